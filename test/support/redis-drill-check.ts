import type { Dialect, Frame, WrittenFrame } from '../../src/bus/dialect.js';
import { type EnrichedMessage, enrichedMessageOf } from '../../src/bus/message-bus.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { entriesOf, entryField, frameOf, type StreamEntry } from '../../src/bus/redis/stream-entries.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { OrchestratorError } from '../../src/errors.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from './captured-log.js';
import { decodedAnswer } from './decoded-answer.js';
import type { DrillMessage } from './redis-drill-input.js';
import type { Streams } from './redis-drill-streams.js';

/** Ids by their reply: an answer's text, or the code of a rejection. */
export type Replies = ReadonlyMap<string, string>;

/** What every id must end with: the replies of one orchestrator that nothing happens to. */
export async function expectedReplies(
  messages: readonly DrillMessage[],
  input: OrchestratorConfigInput,
): Promise<Replies> {
  const orchestrator = new ML4TOrchestrator(input, { logger: silentLogger });
  await orchestrator.start();
  const dialect = openDialect(orchestrator.config);
  const replies = new Map<string, string>();
  try {
    for (const message of messages) {
      const reply = replyOf(orchestrator, dialect, message);
      if (message.isBad !== reply?.startsWith('refused')) {
        if (reply !== null || message.isBad) throw new Error(`the input is not what it should be: ${reply}`);
      }
      if (message.id !== null && !replies.has(message.id)) replies.set(message.id, reply!);
    }
  } finally {
    await orchestrator.stop();
  }
  return replies;
}

function replyOf(orchestrator: ML4TOrchestrator, dialect: Dialect, { input }: DrillMessage): string | null {
  const decoded = dialect.decode(received(dialect.encodeInput(input)));
  try {
    if (decoded.kind === 'invalid') throw decoded.error;
    if (decoded.kind !== 'input') throw new Error(decoded.kind);
    if (decoded.input.kind === 'bar') {
      orchestrator.addBar(decoded.input.instrumentId, decoded.input.bar);
      return null;
    }
    const message = enrichedMessageOf(orchestrator.processSignalSync(decoded.input.event));
    return textOf(decodedAnswer(dialect, received(dialect.encodeEnriched(message, 0n))));
  } catch (error) {
    if (!(error instanceof OrchestratorError)) throw error;
    return `refused ${error.code}`;
  }
}

/** As the other end gets it. */
function received({ payload, ...frame }: WrittenFrame): Frame {
  return { ...frame, payload: Buffer.from(payload) };
}

/** Everything of an answer but how long it took, and the number of publications its process has seen. */
function textOf({
  latencyNs: _latencyNs,
  generation: _generation,
  repeated: _repeated,
  ...rest
}: EnrichedMessage): string {
  return Object.entries(rest)
    .map(([name, value]) => `${name}=${Object.is(value, -0) ? '-0' : value}`)
    .join(' ');
}

export interface StreamFindings {
  readonly answered: number;
  readonly deadLettered: number;
  /** Copies of first replies, for signals that came again. */
  readonly duplicates: number;
  /** Ids and what is wrong with them; empty when all is well. */
  readonly violations: readonly string[];
}

/** Compares what is in the streams with what must be: each id once, in the right one, bit for bit. */
export function checkStreams(streams: Streams, messages: readonly DrillMessage[], expected: Replies): StreamFindings {
  const dialect = openDialect(OrchestratorConfig.parse());
  const violations: string[] = [];
  const found = new Map<string, string>();
  let copies = 0;
  const note = (id: string, text: string, isRepeated: boolean): void => {
    if (isRepeated) {
      copies++;
      if (found.get(id) !== text) violations.push(`${id} is repeated as ${text}, and was ${found.get(id)}`);
      return;
    }
    if (found.has(id)) violations.push(`${id} twice: ${found.get(id)} and ${text}`);
    found.set(id, text);
  };
  const [input, output, dead] = [streams.input, streams.output, streams.dead].map(entriesOf) as [
    StreamEntry[],
    StreamEntry[],
    StreamEntry[],
  ];
  for (const entry of output) {
    const reply = dialect.decodeReply(frameOf(entry)!);
    if (reply.kind === 'enriched') note(reply.answer.signalId, textOf(reply.answer), reply.answer.repeated);
    else note(reply.rejection.signalId!, `refused ${reply.rejection.code}`, reply.rejection.repeated);
  }
  const refused = new Set<string>();
  const payloads = new Map(input.map((entry) => [entry.id, entryField(entry, 'payload')!]));
  for (const entry of dead) {
    const [id, source] = [entryField(entry, 'signalId')!.toString(), entryField(entry, 'entry')!.toString()];
    const code = `refused ${entryField(entry, 'code')}`;
    if (id !== '' && found.get(id) !== code) violations.push(`${id} has a dead letter: ${code}, and ${found.get(id)}`);
    if (refused.has(source)) violations.push(`entry ${source} is refused twice`);
    refused.add(source);
    if (!payloads.get(source)!.equals(entryField(entry, 'payload')!)) violations.push(`${source} has other bytes`);
  }
  for (const id of new Set([...expected.keys(), ...found.keys()])) {
    const [is, must] = [found.get(id), expected.get(id)];
    if (is !== must) violations.push(`${id}: ${is}\n  must be ${must}`);
  }
  const signals = input.filter((entry) => entryField(entry, 'payload')!.includes('"type":"signal"')).length;
  if (copies !== signals - expected.size) violations.push(`${copies} copies for ${signals - expected.size} repeats`);
  const badBars = input.filter((entry) => isBadBar(entry));
  for (const { id } of badBars) if (!refused.has(id)) violations.push(`bar ${id} is not refused`);
  if (messages.some(({ id, isBad }) => id === null && isBad) && badBars.length === 0) violations.push('no bad bars');
  return {
    answered: [...found.values()].filter((text) => !text.startsWith('refused')).length,
    deadLettered: dead.length,
    duplicates: copies,
    violations,
  };
}

/** The drill's bars that conflict with stored ones say so by their volume. */
function isBadBar(entry: StreamEntry): boolean {
  return entryField(entry, 'payload')!.includes('"volume":1000000000}');
}
