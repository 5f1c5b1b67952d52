import type { Clock } from '../clock.js';
import { OrchestratorError } from '../errors.js';
import { decodeBundle } from '../model/bundle-codec.js';
import { type FirstModelFinding, testFirstModel } from '../retrain/first-model.js';
import { decidePromotion } from '../retrain/promotion-gate.js';
import { Stopwatch } from '../stopwatch.js';
import { slopeEvidence } from '../validation/slope.js';
import { purgedWalkForward, type WalkForwardSplit } from '../validation/walk-forward.js';
import { assembleBundle, importanceOf } from './assemble-bundle.js';
import { type FitObserver, fitTrees } from './fit.js';
import {
  type Fold,
  foldReport,
  incumbentEvidence,
  type OutOfSample,
  poolFolds,
  poolMetrics,
  runFold,
} from './folds.js';
import { fitRegime, windowOf, withRegime } from './regime-column.js';
import { featureSetOf, type TrainingPlan } from './training-plan.js';
import type { TrainingReport } from './training-report.js';
import { buildTrainingSet, type TrainingSeries, type TrainingSet } from './training-set.js';

export interface TrainingRequest {
  readonly series: readonly TrainingSeries[];
  readonly plan: TrainingPlan;
  /** Stamped on the bundle; the only way time enters it. */
  readonly createdAtNs: bigint;
  /** The how-manieth training of this set of instruments this is, from 1: every further attempt is held to a stricter test. */
  readonly attempt: number;
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

const NS_PER_DAY = 86_400_000_000_000;
const BARS_MIN = 1000;
const SAMPLES_MIN = 100;
/** From this length on, windows are counted in bars; shorter series are cut in proportion, both into at least five folds. */
const LONG_SERIES_BARS = 40_000;
const LONG = { trainBars: 15_000, testBars: 5_000 };
const SHORT_SHARE = { train: 0.6, test: 0.08 };

/**
 * Sides → labels → features → purged walk-forward → final fit → verdict → bundle. The final fit takes the newest training window, of the length that was validated.
 * The same request gives the same bundle bytes; one training at a time, since the library's random state belongs to the thread. Throws INSUFFICIENT_DATA, TRAINING_CANCELLED, BOOSTER_FAILED, or what is wrong with a series.
 */
export async function trainModel(request: TrainingRequest, hooks: TrainingHooks): Promise<TrainedModel> {
  const { plan } = request;
  const watch = new Stopwatch(hooks.clock);
  hooks.onProgress({ step: 'set', fold: 0, folds: 0, share: 0 });
  const features = featureSetOf(plan);
  const set = buildTrainingSet(request.series, features, plan.labels, plan.vpin);
  checkEnough(set);
  const setMs = watch.lap();

  const windows = windowSizes(set.calendarNs.length, plan);
  const splits = splitFolds(set, windows, plan);
  const finalRows = newestWindow(set, windows.trainBars, plan.expanding);
  const folds: Fold[] = [];
  for (const [index, split] of splits.entries()) {
    folds.push(await runFold(set, split, features, plan, observerOf(index, splits.length, hooks, watch)));
  }
  const foldsMs = watch.lap();

  const regime = fitRegime(set, windowOf(set, finalRows), plan.seed);
  const complete = withRegime(set, features, regime, finalRows);
  const final = await fitTrees(complete, finalRows, plan, observerOf(splits.length, splits.length, hooks, watch));
  const finalMs = watch.lap();

  const pooled = poolFolds(set, folds);
  const { nTest, aucInterval, aucLong, aucShort, logisticLogLoss, ...metrics } = poolMetrics(set, pooled, folds.length);
  const incumbent = request.incumbent === null ? null : decodeBundle(request.incumbent);
  const verdict = decidePromotion({
    nTest,
    logLoss: metrics.logLoss,
    baseRateLogLoss: metrics.baseRateLogLoss,
    lambda: final.restraint.lambda,
    policy: plan.firstModel,
    finding: findFirstModel(set, pooled, plan, request.attempt, metrics.baseRateLogLoss - metrics.logLoss),
    incumbent: incumbentEvidence(incumbent, set, folds[folds.length - 1]!, features, plan.labels),
  });
  const { createdAtNs } = request;
  const bundle = assembleBundle({
    plan,
    set: complete,
    rows: finalRows,
    fit: final,
    regime,
    pooled,
    metrics,
    verdict,
    createdAtNs,
  });
  return {
    bundle,
    report: {
      ...metrics,
      nTest,
      aucInterval,
      aucLong,
      aucShort,
      logisticLogLoss,
      baseRate: final.baseRate,
      labelCounts: set.counts,
      folds: folds.map((fold) => foldReport(set, fold)),
      importances: importanceOf(final, features.names),
      rounds: final.rounds,
      restraint: final.restraint,
      verdict,
      timingsMs: { set: setMs, folds: foldsMs, final: finalMs, bundle: watch.lap(), fits: watch.timedMs },
    },
  };
}

/** The first-model test on the pooled test signals. An outcome that could have been either counts as half profit, half stop. */
function findFirstModel(
  set: TrainingSet,
  pooled: OutOfSample,
  plan: TrainingPlan,
  attempt: number,
  gain: number,
): FirstModelFinding {
  const { ptMultiplier, slMultiplier } = plan.labels;
  const either = (ptMultiplier - slMultiplier) / 2;
  const outcome = pooled.grossR.map((r, k) => (set.ambiguous[pooled.rows[k]!] === 1 ? either : r));
  const { rows, effectiveN, span } = pooled;
  const firstNs = set.calendarNs[span.start]!;
  const days = Number(set.calendarNs[span.end - 1]! - firstNs) / NS_PER_DAY;
  return testFirstModel({
    attempt,
    slope: slopeEvidence(pooled.confidence, outcome, span),
    gain,
    nTest: rows.length,
    overlap: rows.length / effectiveN,
    signalsPerDay: rows.length / days,
  });
}

/** What the fit of one fold reports to; the final fit comes after all folds. Throws TRAINING_CANCELLED between steps. */
function observerOf(fold: number, folds: number, hooks: TrainingHooks, watch: Stopwatch): FitObserver {
  return {
    progress: (share) => {
      if (hooks.isCancelled()) throw new OrchestratorError('TRAINING_CANCELLED', 'the training was cancelled');
      hooks.onProgress({ step: fold < folds ? 'folds' : 'final', fold, folds, share: (fold + share) / (folds + 1) });
    },
    timed: (call) => watch.timed(call),
  };
}

/** The walk-forward's splits that have labels on both sides. */
function splitFolds(set: TrainingSet, windows: WindowSizes, plan: TrainingPlan): WalkForwardSplit[] {
  const { trainBars, testBars } = windows;
  const { embargoBars: embargo, expanding } = plan;
  const intervals = { start: set.start, end: set.end };
  const splits = [
    ...purgedWalkForward({ intervals, trainSize: trainBars, testSize: testBars, embargo, expanding }),
  ].filter(({ train, test }) => train.length > 0 && test.length > 0);
  if (splits.length > 0) return splits;
  const message = `no fold: ${set.calendarNs.length} bars do not hold a training window of ${trainBars} and a test window of ${testBars} with labels in both`;
  throw new OrchestratorError('INSUFFICIENT_DATA', message, { field: 'training.trainBars' });
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

interface WindowSizes {
  readonly trainBars: number;
  readonly testBars: number;
}

function windowSizes(bars: number, plan: TrainingPlan): WindowSizes {
  const byLength =
    bars >= LONG_SERIES_BARS
      ? LONG
      : { trainBars: Math.floor(bars * SHORT_SHARE.train), testBars: Math.floor(bars * SHORT_SHARE.test) };
  return { trainBars: plan.trainBars ?? byLength.trainBars, testBars: plan.testBars ?? byLength.testBars };
}

/** The rows of the newest window of the length that is validated. Throws INSUFFICIENT_DATA when it is empty. */
function newestWindow(set: TrainingSet, trainBars: number, expanding: boolean): Int32Array {
  const first = expanding ? 0 : set.calendarNs.length - trainBars;
  const rows = Int32Array.from(set.start.keys()).filter((row) => set.start[row]! >= first);
  if (rows.length > 0) return rows;
  throw new OrchestratorError(
    'INSUFFICIENT_DATA',
    `no labelled signal in the newest ${trainBars} bars, which the served model is fitted to`,
    {
      field: 'series',
    },
  );
}
