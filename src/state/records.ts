import type { DegradedReason, OutcomeEvent } from '../market/events.js';
import type { Stake } from '../retrain/rollback-evidence.js';

/** What the champion before said about a signal, and what was staked on it. */
export interface RivalRecord {
  readonly modelId: string;
  readonly confidence: number;
  /** The watch that staked, by its serial number. */
  readonly watch: number;
  readonly stake: Stake;
}

/** One answered signal: what it asked, what it was told, and what that can be recomputed from. */
export interface SignalRecord {
  /** 0, 1, 2 … in the order of the answers. */
  readonly ordinal: number;
  readonly signalId: string;
  readonly instrumentId: string;
  readonly side: -1 | 1;
  readonly timestampNs: bigint;
  /** Sequence number and close of the newest bar it could see; −1 and 0 for none. */
  readonly asOf: number;
  readonly asOfNs: bigint;
  readonly generation: number;
  readonly modelId: string;
  readonly confidence: number;
  readonly regimeWeight: number;
  readonly toxicity: number;
  readonly size: number;
  readonly sizeReason: string | null;
  readonly modelAvailable: boolean;
  readonly regimeAvailable: boolean;
  readonly toxicityAvailable: boolean;
  readonly degraded: DegradedReason | null;
  readonly latencyNs: number;
  readonly userValues: Float64Array;
  /** Empty where nothing was evaluated. */
  readonly row: Float32Array;
  readonly rival: RivalRecord | null;
}

/** How the signal with that ordinal ended; at most one per ordinal. */
export type OutcomeRecord = OutcomeEvent & { readonly ordinal: number };

/** Plain data: what a verdict's figures are made of. */
export type PlainValue =
  | string
  | number
  | boolean
  | null
  | readonly PlainValue[]
  | { readonly [name: string]: PlainValue };

/** One decision about a model, with the figures it rests on. */
export interface VerdictRecord {
  readonly serial: number;
  readonly atNs: bigint;
  readonly kind: string;
  readonly challengerId: string;
  readonly championId: string;
  readonly sentence: string;
  readonly figures: Readonly<Record<string, PlainValue>>;
}

export type ModelRole = 'champion' | 'previous' | 'candidate' | 'retired';

/** How a model came to its role. */
export type InstallHow =
  | 'first-model'
  | 'promoted'
  | 'full'
  | 'withdrawn'
  | 'forced'
  | 'swapped'
  | 'rolled-back'
  | 'candidate';

/** One model file and the part it plays; the file itself lies beside the store. */
export interface ModelRecord {
  readonly modelId: string;
  readonly fileName: string;
  readonly createdAtNs: bigint;
  readonly role: ModelRole;
  /** When it took this role, and how. */
  readonly sinceNs: bigint;
  readonly how: InstallHow;
}
