import type { TripleBarrier } from '../labeling/triple-barrier.js';
import type { BundleMetrics } from '../model/bundle.js';
import { decodeBundle } from '../model/bundle-codec.js';
import type { IncumbentEvidence } from '../retrain/promotion-gate.js';
import { accuracy, brierScore, logLoss, rocAuc } from '../validation/metrics.js';
import { type Fit, predict } from './fit.js';
import { featureSetOf, type TrainingPlan } from './training-plan.js';
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
}

export function scoreFold(set: TrainingSet, split: { train: Int32Array; test: Int32Array }, fit: Fit): Fold {
  const { train, test } = split;
  return {
    train,
    test,
    fit,
    metaLabel: Uint8Array.from(test, (row) => set.metaLabel[row]!),
    confidence: predict(fit.forest, set, test),
    baseRate: new Float64Array(test.length).fill(fit.baseRate),
  };
}

/** Figures over the test signals of all folds, each predicted once by a model that had not seen its horizon. */
export interface PooledMetrics extends BundleMetrics {
  readonly nTest: number;
  readonly aucLong: number;
  readonly aucShort: number;
}

export function poolMetrics(set: TrainingSet, folds: readonly Fold[]): PooledMetrics {
  const rows = folds.flatMap((fold) => [...fold.test]);
  const y = Uint8Array.from(rows, (row) => set.metaLabel[row]!);
  const p = Float64Array.from(folds.flatMap((fold) => [...fold.confidence]));
  const base = Float64Array.from(folds.flatMap((fold) => [...fold.baseRate]));
  const aucOfSide = (side: number): number => {
    const of = rows.flatMap((row, k) => (set.side[row] === side ? [k] : []));
    return rocAuc(
      Uint8Array.from(of, (k) => y[k]!),
      Float64Array.from(of, (k) => p[k]!),
    );
  };
  return {
    nFolds: folds.length,
    nSamples: set.metaLabel.length,
    nTest: rows.length,
    effectiveN: set.uniqueness.reduce((sum, value) => sum + value, 0),
    accuracy: accuracy(y, p),
    majorityAccuracy: accuracy(y, base),
    auc: rocAuc(y, p),
    aucLong: aucOfSide(1),
    aucShort: aucOfSide(-1),
    logLoss: logLoss(y, p),
    baseRateLogLoss: logLoss(y, base),
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
    baseRate: fit.baseRate,
    auc: rocAuc(metaLabel, confidence),
    accuracy: accuracy(metaLabel, confidence),
    majorityAccuracy: accuracy(metaLabel, baseRate),
    logLoss: logLoss(metaLabel, confidence),
    baseRateLogLoss: logLoss(metaLabel, baseRate),
  };
}

/** The incumbent's file on the last fold, if it answers the same question and ended its training before that fold's first signal. */
export function incumbentEvidence(
  file: Uint8Array | null,
  set: TrainingSet,
  lastFold: Fold,
  plan: TrainingPlan,
): IncumbentEvidence {
  if (file === null) return { kind: 'no-incumbent' };
  const incumbent = decodeBundle(file);
  const sameQuestion =
    incumbent.featureFingerprint === featureSetOf(plan).fingerprint &&
    (Object.keys(plan.labels) as (keyof TripleBarrier)[]).every((name) => incumbent.labels[name] === plan.labels[name]);
  const unseen = incumbent.trainingEndNs < set.calendarNs[set.start[lastFold.test[0]!]!]!;
  if (!sameQuestion || !unseen) return { kind: 'incumbent-not-comparable' };
  return {
    kind: 'compared',
    incumbentLogLoss: logLoss(lastFold.metaLabel, predict(incumbent.forest, set, lastFold.test)),
    treesLogLoss: logLoss(lastFold.metaLabel, lastFold.confidence),
    baseRateLogLoss: logLoss(lastFold.metaLabel, lastFold.baseRate),
  };
}
