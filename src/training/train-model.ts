import type { Clock } from '../clock.js';
import { OrchestratorError } from '../errors.js';
import { type BundleHeader, BundleScorer, GOLDEN_ROW_COUNT, type ModelBundle } from '../model/bundle.js';
import { decodeBundle, encodeBundle } from '../model/bundle-codec.js';
import { splitImportance } from '../model/forest.js';
import { decidePromotion, type IncumbentEvidence } from '../retrain/promotion-gate.js';
import { accuracy, brierScore, logLoss, rocAuc } from '../validation/metrics.js';
import { purgedWalkForward } from '../validation/walk-forward.js';
import { type Fit, type FitObserver, fitTrees, predict, withoutTrees } from './fit.js';
import { featureSetOf, type TrainingPlan } from './training-plan.js';
import type { FoldReport, ImportanceReport, TrainingReport } from './training-report.js';
import { buildTrainingSet, type TrainingSeries, type TrainingSet } from './training-set.js';

export interface TrainingRequest {
  readonly series: readonly TrainingSeries[];
  readonly plan: TrainingPlan;
  /** Stamped on the bundle; the only way time enters it. */
  readonly createdAtNs: bigint;
  /** The serving bundle's file, to compare with. */
  readonly incumbent: Uint8Array | null;
}

export interface TrainingProgress {
  readonly step: 'set' | 'folds' | 'final';
  /** Folds done, of how many. */
  readonly fold: number;
  readonly folds: number;
  /** Share of the whole training, in [0, 1]. */
  readonly share: number;
}

export interface TrainingHooks {
  readonly clock: Clock;
  onProgress(progress: TrainingProgress): void;
  isCancelled(): boolean;
}

export interface TrainedModel {
  /** File of the bundle the verdict installs, null when the incumbent stays. */
  readonly bundle: Uint8Array | null;
  readonly report: TrainingReport;
}

const BARS_MIN = 1000;
const SAMPLES_MIN = 100;
/** From this length on, windows are counted in bars; shorter series are cut in proportion, both into at least five folds. */
const LONG_SERIES_BARS = 40_000;
const LONG = { trainBars: 15_000, testBars: 5_000 };
const SHORT_SHARE = { train: 0.6, test: 0.08 };

/**
 * Sides → labels → features → purged walk-forward → final fit → verdict → bundle. The final fit takes the newest training window, of the length that was validated.
 * The same request gives the same bundle bytes. Throws INSUFFICIENT_DATA, TRAINING_CANCELLED, BOOSTER_FAILED, or what is wrong with a series.
 */
export async function trainModel(request: TrainingRequest, hooks: TrainingHooks): Promise<TrainedModel> {
  const { plan } = request;
  const watch = new Stopwatch(hooks.clock);
  hooks.onProgress({ step: 'set', fold: 0, folds: 0, share: 0 });
  const set = buildTrainingSet(request.series, featureSetOf(plan), plan.labels, plan.vpin);
  checkEnough(set);
  const setMs = watch.lap();

  const windows = windowSizes(set.calendarNs.length, plan);
  const intervals = { start: set.start, end: set.end };
  const splits = [
    ...purgedWalkForward({
      intervals,
      trainSize: windows.trainBars,
      testSize: windows.testBars,
      embargo: plan.embargoBars,
      expanding: plan.expanding,
    }),
  ].filter(({ train, test }) => train.length > 0 && test.length > 0);
  if (splits.length === 0) {
    throw new OrchestratorError(
      'INSUFFICIENT_DATA',
      `no fold: ${set.calendarNs.length} bars do not hold a training window of ${windows.trainBars} and a test window of ${windows.testBars} with labels in both`,
      {
        field: 'training.trainBars',
      },
    );
  }
  const observer = (fold: number): FitObserver => ({
    progress: (share) => {
      if (hooks.isCancelled()) throw new OrchestratorError('TRAINING_CANCELLED', 'the training was cancelled');
      const step = fold < splits.length ? 'folds' : 'final';
      hooks.onProgress({ step, fold, folds: splits.length, share: (fold + share) / (splits.length + 1) });
    },
    timed: (call) => watch.timed(call),
  });
  const folds: Fold[] = [];
  for (const [index, split] of splits.entries()) {
    folds.push(scoreFold(set, split, await fitTrees(set, split.train, plan, observer(index))));
  }
  const foldsMs = watch.lap();

  const finalRows = newestWindow(set, windows.trainBars, plan.expanding);
  const final = await fitTrees(set, finalRows, plan, observer(splits.length));
  const finalMs = watch.lap();

  const metrics = poolMetrics(set, folds);
  const verdict = decidePromotion({
    nTest: metrics.nTest,
    logLoss: metrics.logLoss,
    baseRateLogLoss: metrics.baseRateLogLoss,
    rounds: final.rounds,
    incumbent: incumbentEvidence(request.incumbent, set, folds[folds.length - 1]!, plan),
  });
  const importances = importanceOf(final, featureSetOf(plan).names);
  const { nTest: _nTest, aucLong, aucShort, ...bundleMetrics } = metrics;
  const served =
    verdict.installs === 'base-rate' ? withoutTrees(set.columnCount, final.baseRate, finalRows.length) : final;
  const bundle =
    verdict.installs === null
      ? null
      : encodeBundle({
          ...bundleHeader(request, set, finalRows, served),
          importance: Object.fromEntries(importances.map(({ name, gain }) => [name, served.rounds === 0 ? 0 : gain])),
          metrics: bundleMetrics,
          forest: served.forest,
          ...goldenRows(set, finalRows, served),
        });
  return {
    bundle,
    report: {
      ...bundleMetrics,
      aucLong,
      aucShort,
      baseRate: final.baseRate,
      labelCounts: set.counts,
      folds: folds.map((fold) => foldReport(set, fold)),
      importances,
      rounds: final.rounds,
      verdict,
      timingsMs: { set: setMs, folds: foldsMs, final: finalMs, bundle: watch.lap(), fits: watch.timedMs },
    },
  };
}

function checkEnough(set: TrainingSet): void {
  const bars = set.calendarNs.length;
  const samples = set.metaLabel.length;
  if (bars < BARS_MIN) {
    throw new OrchestratorError('INSUFFICIENT_DATA', `training needs at least ${BARS_MIN} bars; there are ${bars}`, {
      field: 'series',
    });
  }
  const winners = set.metaLabel.reduce((sum, label) => sum + label, 0);
  if (samples < SAMPLES_MIN || winners === 0 || winners === samples) {
    throw new OrchestratorError(
      'INSUFFICIENT_DATA',
      `training needs at least ${SAMPLES_MIN} labelled signals of both classes; there are ${winners} winners and ${samples - winners} losers`,
      { field: 'series' },
    );
  }
}

function windowSizes(bars: number, plan: TrainingPlan): { trainBars: number; testBars: number } {
  const byLength =
    bars >= LONG_SERIES_BARS
      ? LONG
      : { trainBars: Math.floor(bars * SHORT_SHARE.train), testBars: Math.floor(bars * SHORT_SHARE.test) };
  return { trainBars: plan.trainBars ?? byLength.trainBars, testBars: plan.testBars ?? byLength.testBars };
}

interface Fold {
  readonly train: Int32Array;
  readonly test: Int32Array;
  readonly fit: Fit;
  readonly metaLabel: Uint8Array;
  readonly confidence: Float64Array;
  /** The training window's base rate, for every test signal. */
  readonly baseRate: Float64Array;
}

function scoreFold(set: TrainingSet, split: { train: Int32Array; test: Int32Array }, fit: Fit): Fold {
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

function newestWindow(set: TrainingSet, trainBars: number, expanding: boolean): Int32Array {
  const first = expanding ? 0 : set.calendarNs.length - trainBars;
  return Int32Array.from(set.start.keys()).filter((row) => set.start[row]! >= first);
}

function poolMetrics(
  set: TrainingSet,
  folds: readonly Fold[],
): Omit<TrainingReport, 'baseRate' | 'labelCounts' | 'folds' | 'importances' | 'rounds' | 'verdict' | 'timingsMs'> & {
  nTest: number;
} {
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

function foldReport(set: TrainingSet, fold: Fold): FoldReport {
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

/** The incumbent on the last fold, if it answers the same question and ended its training before that fold's first signal. */
function incumbentEvidence(
  file: Uint8Array | null,
  set: TrainingSet,
  lastFold: Fold,
  plan: TrainingPlan,
): IncumbentEvidence {
  if (file === null) return { kind: 'no-incumbent' };
  const incumbent = decodeBundle(file);
  const sameQuestion =
    incumbent.featureFingerprint === featureSetOf(plan).fingerprint &&
    JSON.stringify(incumbent.labels) === JSON.stringify(plan.labels);
  const unseen = incumbent.trainingEndNs < set.calendarNs[set.start[lastFold.test[0]!]!]!;
  if (!sameQuestion || !unseen) return { kind: 'incumbent-not-comparable' };
  return {
    kind: 'compared',
    incumbentLogLoss: logLoss(lastFold.metaLabel, predict(incumbent.forest, set, lastFold.test)),
    treesLogLoss: logLoss(lastFold.metaLabel, lastFold.confidence),
    baseRateLogLoss: logLoss(lastFold.metaLabel, lastFold.baseRate),
  };
}

function importanceOf(fit: Fit, names: readonly string[]): ImportanceReport[] {
  const { gain, cover, splits } = splitImportance(fit.model);
  const shares = [gain, cover, splits].map((column) => {
    const total = column.reduce((sum, value) => sum + value, 0);
    return column.map((value) => (total > 0 ? value / total : 0));
  });
  return names.map((name, k) => ({ name, gain: shares[0]![k]!, cover: shares[1]![k]!, splits: shares[2]![k]! }));
}

function bundleHeader(
  request: TrainingRequest,
  set: TrainingSet,
  rows: Int32Array,
  fit: Fit,
): Omit<BundleHeader, 'importance' | 'metrics'> {
  const { plan } = request;
  const features = featureSetOf(plan);
  const lastEnd = rows.reduce((last, row) => Math.max(last, set.end[row]!), 0);
  return {
    kind: fit.rounds > 0 ? 'trees' : 'base-rate',
    createdAtNs: request.createdAtNs,
    featureNames: features.names,
    featureFingerprint: features.fingerprint,
    labels: plan.labels,
    trainingStartNs: set.calendarNs[set.start[rows[0]!]!]!,
    trainingEndNs: set.calendarNs[lastEnd]!,
    instrumentIds: set.instrumentIds,
    baseRate: fit.baseRate,
    seed: plan.seed,
    boosterParameters: { ...plan.boosterParameters },
    rounds: fit.rounds,
  };
}

function goldenRows(
  set: TrainingSet,
  rows: Int32Array,
  fit: Fit,
): Pick<ModelBundle, 'goldenRows' | 'goldenConfidences'> {
  const golden = new Float32Array(GOLDEN_ROW_COUNT * set.columnCount);
  for (let k = 0; k < GOLDEN_ROW_COUNT; k++) {
    const row = rows[Math.floor((k * rows.length) / GOLDEN_ROW_COUNT)]!;
    golden.set(set.rows.subarray(row * set.columnCount, (row + 1) * set.columnCount), k * set.columnCount);
  }
  return { goldenRows: golden, goldenConfidences: new BundleScorer(fit).confidences(golden) };
}

class Stopwatch {
  timedMs = 0;
  private lapStart: number;

  constructor(private readonly clock: Clock) {
    this.lapStart = clock.monotonicNs();
  }

  /** Milliseconds since the last lap. */
  lap(): number {
    const now = this.clock.monotonicNs();
    const ms = (now - this.lapStart) / 1e6;
    this.lapStart = now;
    return ms;
  }

  async timed<T>(call: () => T | Promise<T>): Promise<T> {
    const start = this.clock.monotonicNs();
    try {
      return await call();
    } finally {
      this.timedMs += (this.clock.monotonicNs() - start) / 1e6;
    }
  }
}
