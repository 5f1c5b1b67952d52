import type { Dialect, Frame } from '../../src/bus/dialect.js';
import type { EnrichedMessage } from '../../src/bus/message-bus.js';

/** The answer that the frame must be. */
export function decodedAnswer(dialect: Dialect, frame: Frame): EnrichedMessage {
  const reply = dialect.decodeReply(frame);
  if (reply.kind !== 'enriched') throw new Error(`no answer but ${reply.rejection.code}`);
  return reply.answer;
}
