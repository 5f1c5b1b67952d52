import type { EventEmitter } from 'eventemitter3';
import type { ErrorCode } from '../errors.js';
import type { BusPosition } from '../loop/loop-snapshot.js';
import type { Bar } from '../market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from '../market/events.js';
import type { IgnoredKind } from './dialect.js';
import type { Refusals } from './refusal-notice.js';

/** What comes in over a bus. */
export type BusInput =
  | {
      readonly kind: 'bar';
      readonly instrumentId: string;
      readonly bar: Bar;
      /**
       * One of the past that is published again: taken where it continues what is stored, else
       * passed over.
       */
      readonly historical?: true;
    }
  | { readonly kind: 'signal'; readonly event: SignalEvent };

/** What goes out for every signal, and for every message that cannot be one: an answer, or why there is none. */
export type BusReply =
  | { readonly kind: 'enriched'; readonly answer: EnrichedMessage }
  | { readonly kind: 'rejected'; readonly rejection: Rejection };

/** An answer as it travels: the signal beside what was made of it. */
export interface EnrichedMessage {
  readonly signalId: string;
  readonly instrumentId: string;
  readonly signal: -1 | 0 | 1;
  readonly timestamp: bigint;
  readonly metaConfidence: number;
  readonly regimeWeight: number;
  readonly toxicity: number;
  readonly size: number;
  readonly sizeReason: string | null;
  readonly modelAvailable: boolean;
  readonly toxicityAvailable: boolean;
  readonly regimeAvailable: boolean;
  readonly asOfNs: bigint;
  readonly asOfSequence: number;
  readonly generation: number;
  readonly modelId: string;
  readonly latencyNs: number;
  readonly degraded: EnrichedSignalEvent['degraded'] | null;
  /** A copy of the first reply, since the same signal came again. */
  readonly repeated: boolean;
}

/** A message that was refused. */
export interface Rejection {
  readonly code: ErrorCode;
  readonly field: string | null;
  readonly reason: string;
  /** null where the message does not tell, or is no signal. */
  readonly signalId: string | null;
  readonly instrumentId: string | null;
  /**
   * The original bytes; null where they were too many to send back, and for a signal over streams,
   * whose producer reads it beside the answers: the dead letter has them.
   */
  readonly payload: Uint8Array | null;
  /** The signal had its reply before: this is a copy of that, or says that it is gone. */
  readonly repeated: boolean;
}

/** What a bus brings its messages to. Everything is done at once, in the order of the calls; only answers come later. */
export interface BusTarget {
  /** Throws as {@link FeatureStoreWriter.append} does, and STORE_BEHIND, NOT_STARTED, STOPPED. */
  addBar(instrumentId: string, bar: Bar): void;
  /** Stores what a signal that has its reply already left behind: the bars it brought, all or none, as at its admission. Throws as {@link submit}. */
  mergeBars(event: SignalEvent): void;
  /**
   * `sight`: what it sees, where that was fixed before. Throws what admission refuses with,
   * OVERLOADED, STORE_BEHIND, NOT_STARTED, STOPPED.
   */
  submit(event: SignalEvent, sight?: SignalSight): Submission;
  /** Sequence of the newest bar that the signal would see now; −1 for none. */
  asOf(event: SignalEvent): number;
  /** Close of that bar; 0 for none. */
  asOfNs(event: SignalEvent): bigint;
  /**
   * Close of the bar that is due for the signal and not stored: one interval after the instrument's
   * newest bar, and the signal's time has reached it, but not the next one. null for none.
   */
  dueNs(event: SignalEvent): bigint | null;
  /** Close of the instrument's newest bar; 0 for none. */
  newestNs(instrumentId: string): bigint;
  /** Resolves when everything brought so far is durable; at once where nothing is recorded. */
  durable(): Promise<void>;
}

/** What a signal sees, fixed. */
export interface SignalSight {
  /** Sequence of the newest bar it may see; −1 for none. */
  readonly asOf: number;
  /** The bar that was due for it did not come: it is answered with size 0, and not learned from. */
  readonly isBarMissing: boolean;
}

/** A signal that was let in. */
export interface Submission {
  /** Sequence of the newest bar it may see; −1 for none. */
  readonly asOf: number;
  /** Rejects with STOPPED, or with STORE_WRITE_FAILED where it waits for the disk. */
  readonly answer: Promise<EnrichedSignalEvent>;
}

export interface BusEvents {
  /** Messages come and answers go from now on. `server` names it without credentials. */
  busUp: (up: { readonly server: string }) => void;
  /** They do not; the bus tries again by itself. `code`: as `ECONNREFUSED` or `FENCED`; `STANDBY` while another process owns the partition. */
  busDown: (down: { readonly server: string; readonly code: string; readonly reason: string }) => void;
  /** Messages are missing that the other side had sent; `reason` says which and why. */
  busGap: (gap: { readonly server: string; readonly missing: number | null; readonly reason: string }) => void;
  /**
   * Messages were refused since the last such event, the first of them with this code; at most
   * every ten seconds.
   */
  busRefused: (refused: { readonly server: string } & Refusals) => void;
  /** A kind of message is ignored; once for each class and topic, of 256 at the most. */
  busIgnored: (ignored: { readonly server: string } & IgnoredKind) => void;
  /** A node's heartbeats came every so often, and three are missing. */
  heartbeatsStopped: (stopped: { readonly server: string; readonly intervalMs: number }) => void;
  /** They come again. */
  heartbeatsResumed: (resumed: { readonly server: string; readonly silentMs: number }) => void;
}

export interface BusMetrics {
  /** 'standby': another process owns the partition. */
  readonly state: 'starting' | 'standby' | 'up' | 'down' | 'stopped';
  readonly bars: number;
  readonly signals: number;
  readonly answered: number;
  readonly rejected: number;
  /** Understood, and of no concern to this system. */
  readonly ignored: number;
  readonly heartbeats: number;
  /** Historical bars that continue nothing: known already, or older than what is stored. */
  readonly historicalIgnored: number;
  /** Signals that were sent again after they had their reply, and got a copy of it. */
  readonly duplicates: number;
  /** Messages known to be missing. */
  readonly missing: number;
  /** Signals that were let in, and over streams refused messages too, whose reply is not out. */
  readonly inFlight: number;
}

/**
 * Brings messages to the orchestrator and its replies back. Bars and signals reach the target in the order they were sent, so a signal sees the bars sent before it and none sent after.
 * A message that is refused is replied to with its code and never holds up the rest. What each bus promises when something dies is said at its class.
 */
export interface MessageBus {
  readonly events: EventEmitter<BusEvents>;
  readonly metrics: BusMetrics;
  /** What has to be recorded with the bars that the target has by now, so that the next process can go on here; null where messages do not come again. */
  readonly position: BusPosition | null;
  /** Begins, and never fails because the other side is away: that is told by events, and tried again. */
  start(): void;
  /** Takes no more messages, lets the signals on their way be answered, over Redis for two seconds at most, and lets go of everything. Idempotent. */
  stop(): Promise<void>;
}

/** The other end of a bus: a strategy's. */
export interface BusClient {
  /** Resolves once the bus has the message. Rejects with BUS_UNAVAILABLE when it cannot be told whether it has; the same message may then be sent again. */
  send(input: BusInput): Promise<void>;
  /** Calls back with every reply from now on, in their order. Resolves once that is so. */
  listen(onReply: (reply: BusReply) => void): Promise<void>;
  close(): Promise<void>;
}

export function enrichedMessageOf(answer: EnrichedSignalEvent): EnrichedMessage {
  const { signalEvent } = answer;
  return {
    signalId: answer.signalId,
    instrumentId: signalEvent.instrumentId,
    signal: signalEvent.signal,
    timestamp: signalEvent.timestamp,
    metaConfidence: answer.metaConfidence,
    regimeWeight: answer.regimeWeight,
    toxicity: answer.toxicity,
    size: answer.size,
    sizeReason: answer.sizeReason ?? null,
    modelAvailable: answer.modelAvailable,
    toxicityAvailable: answer.toxicityAvailable,
    regimeAvailable: answer.regimeAvailable,
    asOfNs: answer.asOfNs,
    asOfSequence: answer.asOfSequence,
    generation: answer.generation,
    modelId: answer.modelId,
    latencyNs: answer.latencyNs,
    degraded: answer.degraded ?? null,
    repeated: false,
  };
}
