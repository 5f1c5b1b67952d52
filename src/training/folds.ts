import type { FeatureSet } from '../features/feature-set.js';
import type { BundleMetrics } from '../model/bundle.js';
import { fitLogistic } from '../model/logistic-regression.js';
import { type AucInterval, aucInterval } from '../validation/auc-interval.js';
import type { TimeSpan } from '../validation/batch-means.js';
import { accuracy, brierScore, logLoss, rocAuc } from '../validation/metrics.js';
import type { WalkForwardSplit } from '../validation/walk-forward.js';
import { type Fit, type FitObserver, fitTrees, gatherRows, labelsOf, predict } from './fit.js';
import { spanOf } from './out-of-sample.js';
import { fitRegime, windowOf, withRegime } from './regime-column.js';
import type { TrainingPlan } from './training-plan.js';
import type { FoldReport } from './training-report.js';
import type { TrainingSet } from './training-set.js';

/** One fold of the walk-forward with its out-of-sample confidences. */
export interface Fold {
  readonly train: Int32Array;
  readonly test: Int32Array;
  readonly fit: Fit;
  readonly metaLabel: Uint8Array;
  readonly confidence: Float64Array;
  /** The training window's base rate, for every test signal. */
  readonly baseRate: Float64Array;
  /** Confidences of an L2 logistic regression on the same rows, to compare with. */
  readonly logistic: Float64Array;
}

/** Everything fitted is fitted inside the training window; the test signals are only predicted. */
export async function runFold(
  set: TrainingSet,
  split: WalkForwardSplit,
  features: FeatureSet,
  plan: TrainingPlan,
  observe: FitObserver,
): Promise<Fold> {
  const { train, test } = split;
  const regime = fitRegime(set, windowOf(set, train), plan.seed);
  const complete = withRegime(set, features, regime, [...train, ...test]);
  const fit = await fitTrees(complete, train, plan, observe);
  const logistic = fitLogistic(gatherRows(complete, train), complete.columnCount, labelsOf(complete, train));
  return {
    train,
    test,
    fit,
    metaLabel: labelsOf(set, test),
    confidence: predict(fit, complete, test),
    baseRate: new Float64Array(test.length).fill(fit.baseRate),
    logistic: Float64Array.from(test, (row) => logistic.probability(complete.rows, row * complete.columnCount)),
  };
}

/** All test signals in order of time, each predicted once by a model that had not seen its horizon. */
export interface OutOfSample {
  readonly rows: Int32Array;
  readonly metaLabel: Uint8Array;
  readonly confidence: Float64Array;
  readonly baseRate: Float64Array;
  readonly logistic: Float64Array;
  readonly grossR: Float64Array;
  /** Independent labels among them. */
  readonly effectiveN: number;
  readonly span: TimeSpan;
}

export function poolFolds(set: TrainingSet, folds: readonly Fold[]): OutOfSample {
  const rows = Int32Array.from(folds.flatMap((fold) => [...fold.test]));
  const pooled = (of: (fold: Fold) => Float64Array): Float64Array =>
    Float64Array.from(folds.flatMap((fold) => [...of(fold)]));
  return {
    rows,
    metaLabel: labelsOf(set, rows),
    confidence: pooled((fold) => fold.confidence),
    baseRate: pooled((fold) => fold.baseRate),
    logistic: pooled((fold) => fold.logistic),
    grossR: Float64Array.from(rows, (row) => set.grossR[row]!),
    effectiveN: rows.reduce((sum, row) => sum + set.uniqueness[row]!, 0),
    span: spanOf(set, rows),
  };
}

/** Figures over the test signals of all folds. */
export interface PooledMetrics extends BundleMetrics {
  readonly nTest: number;
  readonly aucInterval: AucInterval;
  readonly aucLong: number;
  readonly aucShort: number;
  readonly logisticLogLoss: number;
}

export function poolMetrics(set: TrainingSet, pooled: OutOfSample, nFolds: number): PooledMetrics {
  const { rows, metaLabel: y, confidence: p, baseRate: base } = pooled;
  const aucOfSide = (side: number): number => {
    const of = [...rows].flatMap((row, k) => (set.side[row] === side ? [k] : []));
    return rocAuc(
      Uint8Array.from(of, (k) => y[k]!),
      Float64Array.from(of, (k) => p[k]!),
    );
  };
  const interval = aucInterval(y, p, pooled.span);
  return {
    nFolds,
    nSamples: set.metaLabel.length,
    nTest: rows.length,
    effectiveN: set.uniqueness.reduce((sum, value) => sum + value, 0),
    accuracy: accuracy(y, p),
    majorityAccuracy: accuracy(y, base),
    auc: interval.auc,
    aucInterval: interval,
    aucLong: aucOfSide(1),
    aucShort: aucOfSide(-1),
    logLoss: logLoss(y, p),
    baseRateLogLoss: logLoss(y, base),
    logisticLogLoss: logLoss(y, pooled.logistic),
    brier: brierScore(y, p),
    baseRateBrier: brierScore(y, base),
  };
}

export function foldReport(set: TrainingSet, fold: Fold): FoldReport {
  const { test, train, fit, metaLabel, confidence, baseRate } = fold;
  return {
    testStartNs: set.calendarNs[set.start[test[0]!]!]!,
    testEndNs: set.calendarNs[set.start[test[test.length - 1]!]!]!,
    nTrain: train.length,
    nTest: test.length,
    rounds: fit.rounds,
    lambda: fit.restraint.lambda,
    baseRate: fit.baseRate,
    auc: rocAuc(metaLabel, confidence),
    accuracy: accuracy(metaLabel, confidence),
    majorityAccuracy: accuracy(metaLabel, baseRate),
    logLoss: logLoss(metaLabel, confidence),
    baseRateLogLoss: logLoss(metaLabel, baseRate),
  };
}
