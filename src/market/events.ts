import type { Bar, BarSeries } from './bar.js';

/** A side for an instrument at an instant. */
export interface SignalEvent {
  readonly instrumentId: string;
  readonly signal: -1 | 0 | 1;
  /** Nanoseconds since the epoch. The signal sees the stored bars that closed at or before it. */
  readonly timestamp: bigint;
  /** Bars to merge into the store first, at least 100 when given. */
  readonly bars?: BarSeries | readonly Bar[];
  /** Generated when absent, unique, echoed in the answer. */
  readonly signalId?: string;
  /** The user's own point-in-time features, by the names declared in the configuration; frozen at admission. */
  readonly features?: Readonly<Record<string, number>>;
}

/** Why an answer is the default confidence although the signal was good. */
export type DegradedReason = 'deadline' | 'worker-failed' | 'stale-window' | 'insufficient-history' | 'stale-bars';

/** What a risk stage needs of an answer. */
export interface MetaOutput {
  confidence: number;
  regimeWeight: number;
  toxicity: number;
}

/** The answer to one signal. */
export interface EnrichedSignalEvent {
  readonly signalId: string;
  readonly signalEvent: SignalEvent;
  /** P(the side makes money when its first barrier is met), in [0, 1]. */
  readonly metaConfidence: number;
  readonly regimeWeight: number;
  readonly toxicity: number;
  /** Signed fraction of the maximum position, and why it is 0 when it is. */
  readonly size: number;
  readonly sizeReason?: string;
  /** False: the three numbers above are the configured defaults. */
  readonly modelAvailable: boolean;
  readonly toxicityAvailable: boolean;
  readonly regimeAvailable: boolean;
  /** Close of the newest bar the answer has seen, and that bar's sequence number; 0 and −1 for none. */
  readonly asOfNs: bigint;
  readonly asOfSequence: number;
  /** The published bundle behind the answer; 0 and '' before any. */
  readonly generation: number;
  readonly modelId: string;
  readonly latencyNs: number;
  readonly degraded?: DegradedReason;
  toMetaOutput(): MetaOutput;
}
