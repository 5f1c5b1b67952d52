import type { Bar, BarSeries } from './bar.js';

/** A side for an instrument at an instant. */
export interface SignalEvent {
  readonly instrumentId: string;
  readonly signal: -1 | 0 | 1;
  /**
   * Nanoseconds since the epoch. The signal sees the stored bars that closed at or before it;
   * within 1 ms before a whole second it stands for that second.
   */
  readonly timestamp: bigint;
  /** Bars to merge into the store first, at least 100 when given. */
  readonly bars?: BarSeries | readonly Bar[];
  /** Generated when absent, unique, echoed in the answer. */
  readonly signalId?: string;
  /** The user's own point-in-time features, by the names declared in the configuration; frozen at admission. */
  readonly features?: Readonly<Record<string, number>>;
}

/**
 * Why an answer is not what the signal asked for, although it was good: the default confidence, or
 * with 'bar-missing', where it was made in time, that of the bar before the one that was due.
 */
export type DegradedReason =
  | 'deadline'
  | 'worker-failed'
  | 'stale-window'
  | 'insufficient-history'
  | 'stale-bars'
  | 'bar-missing';

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
  /** Resolves when the signal and its answer are durable, so that they are followed to the end whatever happens; rejects with NO_DATA_DIR, or with STORE_WRITE_FAILED when they never will be. */
  readonly recorded: Promise<void>;
  toMetaOutput(): MetaOutput;
}

/** Why a retrain is asked for. */
export type RetrainReason =
  | 'accuracy_degradation'
  | 'sample_count'
  | 'time_interval'
  | 'manual'
  | 'skill_loss'
  | 'base_rate_shift';

/** A retrain that is due. Accuracies are NaN while too few labels are known. */
export interface RetrainTrigger {
  /** The most urgent reason. */
  readonly reason: RetrainReason;
  /** All of them, most urgent first. */
  readonly reasons: readonly RetrainReason[];
  readonly baselineAccuracy: number;
  readonly currentAccuracy: number;
  readonly accuracyDrop: number;
  /** Nanoseconds since the epoch. */
  readonly timestamp: bigint;
  /** 1 the most urgent. */
  readonly priority: 1 | 2 | 3;
}

/** How a followed signal ended. 'censored': it cannot be judged, having no volatility or no bars to follow it on; 'expired': its instrument stopped sending bars. */
export type SignalOutcome = 'profit' | 'stop' | 'timeout' | 'censored' | 'expired';

/** The end of one followed signal. Returns and the meta-label are null where the outcome says nothing about them. */
export interface OutcomeEvent {
  readonly signalId: string;
  readonly instrumentId: string;
  readonly outcome: SignalOutcome;
  /** 'user': told by the user instead of found by the barriers. */
  readonly source: 'barriers' | 'user';
  readonly metaLabel: 0 | 1 | null;
  /** s(exit/E − 1). */
  readonly grossReturn: number | null;
  /** Less the round-trip cost. */
  readonly netReturn: number | null;
  /** grossReturn in units of the barrier. */
  readonly grossR: number | null;
  readonly ambiguous: boolean;
  /** The bar it left at: sequence number and close; −1 and 0 for none. */
  readonly exitSequence: number;
  readonly exitNs: bigint;
}
