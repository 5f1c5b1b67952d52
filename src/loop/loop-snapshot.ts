import type { OrchestratorConfig } from '../config.js';
import type { RetrainMonitorState } from '../retrain/retrain-monitor.js';
import type { RollbackEvidenceState } from '../retrain/rollback-evidence.js';
import type { TestTokensState } from '../retrain/test-tokens.js';
import type { FeatureEpoch } from './feature-epochs.js';

/** What watches the champion, as plain data. */
export interface ChampionWatchState {
  /** Numbers the watches, so that a stake of an earlier one is never settled in a later. */
  readonly serial: number;
  /** Under which the champion has answered: more than one after its standing changed. */
  readonly modelIds: readonly string[];
  readonly monitor: RetrainMonitorState;
  /** Horizon-closed labels of this champion's own answers. */
  readonly labels: number;
  readonly rollback: RollbackEvidenceState | null;
}

const STORED = [
  'featureNames',
  'userFeatures',
  'labels',
  'vpin',
  'store',
  'training',
  'retrain',
  'retention',
  'outcomeExpiryNs',
  'firstModel',
] as const;

/** The part of a configuration that recorded state depends on. */
export type StoredConfig = Pick<OrchestratorConfig, (typeof STORED)[number]>;

export function storedConfigOf(config: OrchestratorConfig): StoredConfig {
  return Object.fromEntries(STORED.map((name) => [name, config[name]])) as StoredConfig;
}

/** How far a bus had brought its messages when the bars beside it were stored. */
export interface BusPosition {
  readonly stream: string;
  /** The newest message that had been taken in. */
  readonly position: string;
  /**
   * Signals among them that had no reply yet, with the sequence of the newest bar each may see,
   * whether the one that was due is missing, and what had been read where the clock alone says so.
   */
  readonly unanswered: readonly (readonly [id: string, asOf: number, isBarMissing?: boolean, readBefore?: string])[];
  /** Signals among them that wait for a bar, and its close; absent in older snapshots. */
  readonly undecided?: readonly (readonly [id: string, dueNs: bigint])[];
  /** Messages at equal distances from each other, oldest first, and how many were taken in since the last: so the oldest can be forgotten by their number. */
  readonly places: readonly string[];
  readonly sincePlace: number;
}

/** Everything the closed loop knows beside its records, as of the same instant as the records it is stored with. */
export interface LoopSnapshot {
  readonly nextOrdinal: number;
  readonly nextVerdict: number;
  /** No signal before this ordinal is open. */
  readonly openFloor: number;
  /** What the owner was configured to: a tool that owns the directory for a moment must not be told otherwise. */
  readonly config: StoredConfig;
  readonly featureEpochs: readonly FeatureEpoch[];
  /** Of the newest published bundle. */
  readonly generation: number;
  /** Newest bar close of any instrument. */
  readonly newestNs: bigint;
  readonly watch: ChampionWatchState;
  readonly tokens: TestTokensState;
  readonly attempts: Readonly<Record<string, number>>;
  /** Labels at which a provisional champion is tried next; null when nothing is due. */
  readonly trialAtLabels: number | null;
  /** null without a bus. */
  readonly bus: BusPosition | null;
}
