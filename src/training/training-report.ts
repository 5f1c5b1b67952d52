import type { BundleMetrics } from '../model/bundle.js';
import type { Verdict } from '../retrain/verdict.js';
import type { AucInterval } from '../validation/auc-interval.js';
import type { LookAheadFigures } from '../validation/look-ahead.js';
import type { Restraint } from './restraint.js';
import type { LabelCounts } from './training-set.js';

/** One fold of the walk-forward: fitted on its training window, scored on the signals of the window after it. */
export interface FoldReport {
  readonly testStartNs: bigint;
  readonly testEndNs: bigint;
  readonly nTrain: number;
  readonly nTest: number;
  readonly rounds: number;
  /** How far the trees were trusted. */
  readonly lambda: number;
  /** Of the training window. */
  readonly baseRate: number;
  readonly auc: number;
  readonly accuracy: number;
  readonly majorityAccuracy: number;
  readonly logLoss: number;
  readonly baseRateLogLoss: number;
}

export interface ImportanceReport {
  readonly name: string;
  /** Shares of the model's total. */
  readonly gain: number;
  readonly cover: number;
  readonly splits: number;
}

/** Everything a training found out, as plain data. The metrics pool all test signals, each predicted once, by a model that has not seen its horizon. */
export interface TrainingReport extends BundleMetrics {
  /** Of the final training window. */
  readonly baseRate: number;
  readonly nTest: number;
  readonly aucInterval: AucInterval;
  /** Of an L2 logistic regression on the same rows. */
  readonly logisticLogLoss: number;
  readonly aucLong: number;
  readonly aucShort: number;
  readonly labelCounts: LabelCounts;
  /** How well the sides agree with the bars that their outcomes begin with. */
  readonly lookAhead: LookAheadFigures;
  readonly folds: readonly FoldReport[];
  readonly importances: readonly ImportanceReport[];
  readonly rounds: number;
  /** How far the final fit's trees are trusted, and why. */
  readonly restraint: Restraint;
  readonly verdict: Verdict;
  readonly timingsMs: {
    readonly set: number;
    readonly folds: number;
    readonly final: number;
    readonly bundle: number;
    readonly fits: number;
  };
}
