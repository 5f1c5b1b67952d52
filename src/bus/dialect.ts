import type { OrchestratorError } from '../errors.js';
import type { BusInput, BusReply, EnrichedMessage, Rejection } from './message-bus.js';
import type { SignalClaim } from './signal-claim.js';

/** One message as a transport carries it. Streams carry all of it, pub/sub the payload alone. */
export interface Frame {
  readonly payload: Uint8Array;
  readonly topic?: string | undefined;
  readonly type?: string | undefined;
  /** 'json' or 'msgpack' in any case; anything else names a format that is not read. */
  readonly encoding?: string | undefined;
}

/** A frame that is to be sent. Text stands for its UTF-8. */
export interface WrittenFrame extends Omit<Frame, 'payload'> {
  readonly payload: Buffer | string;
}

/** What a frame turned out to be. */
export type Decoded =
  | { readonly kind: 'input'; readonly input: BusInput; readonly place: SequencePlace | null }
  | { readonly kind: 'heartbeat' }
  /** Understood, and of no concern to this system as it is configured. */
  | { readonly kind: 'ignored'; readonly what: IgnoredKind }
  | {
      readonly kind: 'invalid';
      readonly error: OrchestratorError;
      /** null for what is no signal. */
      readonly claim: SignalClaim | null;
      readonly place: SequencePlace | null;
    };

/** What is ignored, as a person would look for it. */
export interface IgnoredKind {
  /** '' where the message does not tell. */
  readonly className: string;
  readonly topic: string;
  /** Which setting would take it; null for none. */
  readonly setting: string | null;
}

/** Where a message stands among those of its sender, who numbers them. */
export interface SequencePlace {
  readonly source: string;
  readonly sequence: bigint;
}

/**
 * How messages are written. No method keeps a state; none but {@link encodeInput} and {@link
 * decodeReply} throws.
 */
export interface Dialect {
  readonly decode: (frame: Frame) => Decoded;
  /** On which signals come, as senders name streams after them; empty where topics mean nothing. */
  readonly signalTopics: readonly string[];
  /** `nowNs`: when it is written, for dialects that say so. */
  readonly encodeEnriched: (message: EnrichedMessage, nowNs: bigint) => WrittenFrame;
  /** `tsEventNs`: when the signal says that it happened, or when it was refused. */
  readonly encodeRejected: (rejection: Rejection, tsEventNs: bigint, nowNs: bigint) => WrittenFrame;
  /** What a strategy sends. */
  readonly encodeInput: (input: BusInput) => WrittenFrame;
  /** What a strategy receives. Throws PAYLOAD_MALFORMED or INVALID_MESSAGE. */
  readonly decodeReply: (frame: Frame) => BusReply;
}
