import type { Decoded, Dialect, SequencePlace } from '../../src/bus/dialect.js';
import type { BusInput, BusReply, EnrichedMessage, Rejection } from '../../src/bus/message-bus.js';
import { type ErrorCode, OrchestratorError } from '../../src/errors.js';

/** The simplest dialect that carries everything: JSON in which a bigint is its digits behind an `n`. For tests of transports, which no codec should disturb. */
export const standInDialect: Dialect = {
  decode: ({ payload }) => decode(payload),
  signalTopics: [],
  encodeEnriched: (message) => ({ payload: toBytes(message) }),
  encodeInput: (input) => ({ payload: toBytes(input) }),
  encodeRejected: (rejection) => ({ payload: toBytes({ rejection }) }),
  decodeReply: ({ payload }) => readReply(parse(payload) as Reply),
};

/** An input that says where it stands among those of its sender. */
export function numbered(input: BusInput, place: SequencePlace): Buffer {
  return toBytes({ ...input, place });
}

export function toBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `n${part}` : part)));
}

type Reply = EnrichedMessage | { readonly rejection: Rejection };

function readReply(reply: Reply): BusReply {
  return 'rejection' in reply ? { kind: 'rejected', rejection: reply.rejection } : { kind: 'enriched', answer: reply };
}

function parse(payload: Uint8Array): unknown {
  return JSON.parse(Buffer.from(payload).toString(), (_key, part: unknown) =>
    typeof part === 'string' && /^n-?\d+$/.test(part) ? BigInt(part.slice(1)) : part,
  );
}

function decode(payload: Uint8Array): Decoded {
  try {
    const { place = null, ...input } = parse(payload) as { place?: SequencePlace; kind: string };
    if (input.kind === 'heartbeat') return { kind: 'heartbeat' };
    if (input.kind === 'ignored') return { kind: 'ignored', what: { className: 'X', topic: '', setting: null } };
    if (input.kind === 'invalid') return invalid('INVALID_MESSAGE', place);
    return { kind: 'input', input: input as BusInput, place };
  } catch {
    return invalid('PAYLOAD_MALFORMED', null);
  }
}

function invalid(code: ErrorCode, place: SequencePlace | null): Decoded {
  return { kind: 'invalid', error: new OrchestratorError(code, 'as the test wants it'), claim: null, place };
}
