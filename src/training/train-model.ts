import type { Clock } from '../clock.js';
import { OrchestratorError } from '../errors.js';
import { decodeBundle } from '../model/bundle-codec.js';
import type { RegimeModel } from '../regime/regime-model.js';
import { Stopwatch } from '../stopwatch.js';
import { assembleBundle, importanceOf } from './assemble-bundle.js';
import { challengeOf, judgeAgainst } from './challenge.js';
import { checkLookAhead } from './check-look-ahead.js';
import { judgeFirstModel } from './first-judgement.js';
import { type Fit, type FitObserver, fitTrees } from './fit.js';
import {
  type Fold,
  foldReport,
  type OutOfSample,
  type PooledMetrics,
  poolFolds,
  poolMetrics,
  runFold,
} from './folds.js';
import { fitRegime, windowOf, withRegime } from './regime-column.js';
import { featureSetOf, type TrainingPlan } from './training-plan.js';
import type { TrainingReport } from './training-report.js';
import { seriesBefore, type TrainingSeries } from './training-series.js';
import { buildTrainingSet, type TrainingSet } from './training-set.js';
import { newestWindow, splitFolds, windowSizes } from './windows.js';

export interface TrainingRequest {
  readonly series: readonly TrainingSeries[];
  readonly plan: TrainingPlan;
  /** Stamped on the bundle; the only way time enters it. */
  readonly createdAtNs: bigint;
  /** Number of this training among those of the same instruments, from 1: every further attempt at a first model is held to a stricter test. */
  readonly attempt: number;
  /** The serving bundle's file, null for none. */
  readonly incumbent: Uint8Array | null;
  /** Error the promotion gate may spend on a challenger; null: no test is left, so it stays a candidate. */
  readonly alpha: number | null;
  /** Newest bar of the last test that was taken with these instruments; null for none. */
  readonly testedUntilNs: bigint | null;
  /** Install what is trained, whatever the tests say. */
  readonly force: boolean;
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
  /** File of what was trained: what the verdict installs, or a candidate where it installs nothing. */
  readonly bundle: Uint8Array;
  readonly report: TrainingReport;
}

const BARS_MIN = 1000;
const SAMPLES_MIN = 100;

/**
 * Sides → labels → features → purged walk-forward → final fit → verdict → bundle. The final fit
 * takes the newest training window, of the length that was validated. A challenger, that is a model
 * trained while a comparable one with trees serves, sees nothing of the newest bars: it is tested
 * on them as it is and never refitted. The same request gives the same bundle bytes; one training
 * at a time, since the library's random state belongs to the thread. Throws INSUFFICIENT_DATA,
 * LOOK_AHEAD_SUSPECTED, TRAINING_CANCELLED, BOOSTER_FAILED, what is wrong with a series, or with
 * the incumbent's file.
 */
export async function trainModel(request: TrainingRequest, hooks: TrainingHooks): Promise<TrainedModel> {
  const { plan, createdAtNs } = request;
  const watch = new Stopwatch(hooks.clock);
  hooks.onProgress({ step: 'set', fold: 0, folds: 0, share: 0 });
  const features = featureSetOf(plan);
  const incumbent = request.incumbent === null ? null : decodeBundle(request.incumbent);
  const challenge = challengeOf(incumbent, request.series, plan, features);
  const known =
    challenge === null ? request.series : request.series.map((one) => seriesBefore(one, challenge.testStartNs));
  const set = buildTrainingSet(known, features, plan.labels, plan.vpin);
  checkEnough(set);
  checkLookAhead(set, plan);
  const setMs = watch.lap();

  const found = await validate(set, plan, hooks, watch);
  const { folds, pooled, metrics } = found;
  const parts = { ...found, plan, createdAtNs };
  let bundle: Uint8Array;
  let verdict: TrainingReport['verdict'];
  if (challenge === null) {
    const { attempt, force } = request;
    const decided = judgeFirstModel({
      set,
      plan,
      pooled,
      metrics,
      lambda: found.fit.restraint.lambda,
      attempt,
      force,
      incumbent,
    });
    const evidence = decided.verdict === 'refused' ? 'none' : decided.verdict;
    bundle = assembleBundle({ ...parts, kind: decided.installs, evidence });
    verdict = decided;
  } else {
    const kind = found.fit.restraint.lambda > 0 ? 'trees' : 'base-rate';
    const evidence = kind === 'base-rate' ? 'none' : request.force ? 'forced' : 'strict';
    bundle = assembleBundle({ ...parts, kind, evidence });
    verdict = judgeAgainst(challenge, decodeBundle(bundle), request, features);
  }
  return {
    bundle,
    report: {
      ...metrics,
      baseRate: found.fit.baseRate,
      labelCounts: set.counts,
      lookAhead: set.lookAhead,
      folds: folds.map((fold) => foldReport(set, fold)),
      importances: importanceOf(found.fit, features.names),
      rounds: found.fit.rounds,
      restraint: found.fit.restraint,
      verdict,
      timingsMs: { set: setMs, ...found.timingsMs, bundle: watch.lap(), fits: watch.timedMs },
    },
  };
}

/** The walk-forward and the final fit. */
interface Validated {
  /** With the regime column of the final fit. */
  readonly set: TrainingSet;
  /** What the final fit was fitted to. */
  readonly rows: Int32Array;
  readonly fit: Fit;
  readonly regime: RegimeModel | null;
  readonly folds: readonly Fold[];
  readonly pooled: OutOfSample;
  readonly metrics: PooledMetrics;
  readonly timingsMs: { readonly folds: number; readonly final: number };
}

async function validate(
  set: TrainingSet,
  plan: TrainingPlan,
  hooks: TrainingHooks,
  watch: Stopwatch,
): Promise<Validated> {
  const features = featureSetOf(plan);
  const windows = windowSizes(set.calendarNs.length, plan);
  const splits = splitFolds(set, windows, plan);
  const rows = newestWindow(set, windows.trainBars, plan.expanding);
  const folds: Fold[] = [];
  for (const [index, split] of splits.entries()) {
    folds.push(await runFold(set, split, features, plan, observerOf(index, splits.length, hooks, watch)));
  }
  const foldsMs = watch.lap();
  const regime = fitRegime(set, windowOf(set, rows), plan.seed);
  const complete = withRegime(set, features, regime, rows);
  const fit = await fitTrees(complete, rows, plan, observerOf(splits.length, splits.length, hooks, watch));
  const pooled = poolFolds(set, folds);
  const metrics = poolMetrics(set, pooled, folds.length);
  return {
    set: complete,
    rows,
    fit,
    regime,
    folds,
    pooled,
    metrics,
    timingsMs: { folds: foldsMs, final: watch.lap() },
  };
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
