import { type Forest, flattenForest } from '../model/forest.js';
import { ForestScorer } from '../model/forest-scorer.js';
import { type Calibration, calibratedProbability, marginOf, probabilityOf } from '../model/log-odds.js';
import { type ModelFile, parseModelFile } from '../model/model-file.js';
import { Booster } from '../model/xgboost.js';
import { seededUniform } from '../random.js';
import { baseRateOf, logLossOf } from '../validation/metrics.js';
import { estimateRestraint, type HeldOut, NO_TRUST, type Restraint } from './restraint.js';
import type { TrainingPlan } from './training-plan.js';
import type { TrainingSet } from './training-set.js';

/** Trees fitted to some rows of a training set, or none, and how far they are trusted. */
export interface Fit {
  readonly model: ModelFile;
  readonly forest: Forest;
  readonly rounds: number;
  readonly baseRate: number;
  readonly calibration: Calibration;
  readonly restraint: Restraint;
}

/** What a fit reports to. */
export interface FitObserver {
  /** Called between steps of boosting rounds with the share of the fit that is done; throws to cancel. */
  progress(share: number): void;
  /** Wraps every fitting call into ml-xgboost, to tell its time from ours. */
  timed<T>(call: () => T | Promise<T>): Promise<T>;
}

/** Rounds between two looks at the cancel word, two reports of progress and, with early stopping, two looks at the inner window. */
export const STEP_ROUNDS = 5;
/** Where a training window is cut to try the trees inside it before they are trusted. */
const INNER_CUTS = [0.5, 0.75] as const;
/** Rows the configured min_child_weight is meant for; it grows with the window. */
const CHILD_WEIGHT_ROWS = 15_000;

/**
 * Tries the trees on two inner purged splits of the rows (each of the two newest quarters held out once), which say how far to trust them (see {@link estimateRestraint}) and, with early
 * stopping, how many rounds to boost; then fits all rows. No trust, no trees. Rows are weighted by their uniqueness, mean 1; the base rate is not.
 */
export async function fitTrees(
  set: TrainingSet,
  rows: Int32Array,
  plan: TrainingPlan,
  observe: FitObserver,
): Promise<Fit> {
  const splits = innerSplits(set, rows);
  const steps = splits.length + 1;
  const observeStep = (step: number): FitObserver => ({
    ...observe,
    progress: (share) => observe.progress((step + share) / steps),
  });
  const trials: Trial[] = [];
  for (const [step, split] of splits.entries()) trials.push(await tryInside(set, split, plan, observeStep(step)));
  const rounds = trials[trials.length - 1]?.rounds ?? 0;
  const restraint = rounds === 0 ? NO_TRUST : estimateRestraint(set, trials);
  const baseRate = baseRateOf(labelsOf(set, rows));
  const boosted = restraint.lambda === 0 ? null : await boost(set, rows, rounds, plan, observeStep(splits.length));
  if (boosted === null) {
    observe.progress(1);
    return withoutTrees(set.columnCount, baseRate, rows.length, restraint);
  }
  const calibration = { baseMargin: marginOf(baseRate), lambda: restraint.lambda };
  return { ...boosted, baseRate, calibration, restraint };
}

/** Calibrated probabilities of the rows under a fit. */
export function predict(fit: Pick<Fit, 'forest' | 'calibration'>, set: TrainingSet, rows: Int32Array): Float64Array {
  const scorer = new ForestScorer(fit.forest);
  return Float64Array.from(rows, (row) =>
    calibratedProbability(scorer.margin(set.rows, row * set.columnCount), fit.calibration),
  );
}

/** A fit that answers the base rate of its `count` labels to everything. */
export function withoutTrees(featureCount: number, baseRate: number, count: number, restraint: Restraint): Fit {
  // A rate of exactly 0 or 1 has no log-odds: half a label more or less keeps it finite.
  const floor = 0.5 / Math.max(count, 1);
  const baseMargin = marginOf(Math.min(Math.max(baseRate, floor), 1 - floor));
  const model = { baseMargin: Math.fround(baseMargin), featureCount, trees: [] };
  return {
    model,
    forest: flattenForest(model),
    rounds: 0,
    baseRate,
    calibration: { baseMargin, lambda: 0 },
    restraint,
  };
}

/** Boosted trees as they come, trusted or not; null where the rows have one class. */
export async function boost(
  set: TrainingSet,
  rows: Int32Array,
  rounds: number,
  plan: TrainingPlan,
  observe: FitObserver,
  proceed: (booster: Booster, done: number) => boolean = () => true,
): Promise<Pick<Fit, 'model' | 'forest' | 'rounds'> | null> {
  const labels = labelsOf(set, rows);
  const baseRate = baseRateOf(labels);
  if (!(baseRate > 0 && baseRate < 1)) return null;
  const minChildWeight = ((plan.boosterParameters.min_child_weight ?? 1) * rows.length) / CHILD_WEIGHT_ROWS;
  const parameters = { ...plan.boosterParameters, min_child_weight: minChildWeight, base_score: baseRate };
  const booster = await observe.timed(() => weightedBooster(set, rows, labels, parameters, plan.seed));
  try {
    let done = 0;
    let going = true;
    while (going && done < rounds) {
      const more = Math.min(STEP_ROUNDS, rounds - done);
      await observe.timed(() => booster.train(more));
      done += more;
      observe.progress(done / rounds);
      going = proceed(booster, done);
    }
    const model = parseModelFile(booster.save());
    return { model, forest: flattenForest(model), rounds: done };
  } finally {
    booster.free();
  }
}

interface InnerSplit {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/** The rows cut at half and at three quarters of their time: each later quarter is held out once, from trees fitted to all that ended before it. */
function innerSplits(set: TrainingSet, rows: Int32Array): InnerSplit[] {
  const first = set.start[rows[0]!]!;
  const length = set.start[rows[rows.length - 1]!]! + 1 - first;
  return INNER_CUTS.map((share, index) => {
    const cut = first + Math.floor(length * share);
    const until = first + Math.floor(length * (INNER_CUTS[index + 1] ?? 1));
    return {
      train: rows.filter((row) => set.end[row]! < cut),
      test: rows.filter((row) => set.start[row]! >= cut && set.start[row]! < until),
    };
  }).filter(({ train, test }) => train.length > 0 && test.length > 0);
}

/** Held-out margins of one split after as many rounds as the plan says or early stopping found. */
interface Trial extends HeldOut {
  readonly rounds: number;
}

/**
 * Fits the older rows of a split and looks at the newer ones. With early stopping the number of rounds, a multiple of the step, is the one with the least
 * log-loss there; looking stops when it has not improved for `earlyStoppingRounds`.
 */
async function tryInside(
  set: TrainingSet,
  { train, test }: InnerSplit,
  plan: TrainingPlan,
  observe: FitObserver,
): Promise<Trial> {
  const margins = new Float64Array(test.length).fill(marginOf(baseRateOf(labelsOf(set, train))));
  let best = { rounds: 0, loss: meanLoss(set, test, margins), margins: margins.slice() };
  let seenTrees = 0;
  const patience = plan.earlyStoppingRounds;
  await boost(set, train, plan.rounds, plan, observe, (booster, done) => {
    if (patience === null && done < plan.rounds) return true;
    const { trees, featureCount } = parseModelFile(booster.save());
    addMargins(set, test, flattenForest({ baseMargin: 0, featureCount, trees: trees.slice(seenTrees) }), margins);
    seenTrees = trees.length;
    const loss = meanLoss(set, test, margins);
    if (patience === null || loss < best.loss) best = { rounds: done, loss, margins: margins.slice() };
    return patience === null || done - best.rounds < patience;
  });
  return { rows: test, margins: best.margins, rounds: best.rounds };
}

function addMargins(set: TrainingSet, rows: Int32Array, forest: Forest, margins: Float64Array): void {
  const scorer = new ForestScorer(forest);
  for (const [k, row] of rows.entries()) margins[k] = margins[k]! + scorer.margin(set.rows, row * set.columnCount);
}

function meanLoss(set: TrainingSet, rows: Int32Array, margins: Float64Array): number {
  return (
    rows.reduce((sum, row, k) => sum + logLossOf(set.metaLabel[row]!, probabilityOf(margins[k]!)), 0) / rows.length
  );
}

/** A booster whose rows weigh their uniqueness; where the library's matrix cannot be patched, rows are drawn again by it. */
async function weightedBooster(
  set: TrainingSet,
  rows: Int32Array,
  labels: Uint8Array,
  parameters: TrainingPlan['boosterParameters'],
  seed: number,
): Promise<Booster> {
  const booster = await Booster.create(gatherRows(set, rows), labels, set.columnCount, parameters);
  if (booster.setWeights(uniquenessWeights(set, rows))) return booster;
  booster.free();
  const drawn = resampleByUniqueness(set, rows, seed);
  return Booster.create(gatherRows(set, drawn), labelsOf(set, drawn), set.columnCount, parameters);
}

/** Uniqueness over the horizon, scaled to mean 1. */
export function uniquenessWeights(set: TrainingSet, rows: Int32Array): Float32Array {
  const total = rows.reduce((sum, row) => sum + set.uniqueness[row]!, 0);
  return Float32Array.from(rows, (row) => (set.uniqueness[row]! * rows.length) / total);
}

/** As many rows, drawn with probability proportional to their uniqueness, in order of time (systematic resampling: one random offset, so no row is off by more than one copy). */
export function resampleByUniqueness(set: TrainingSet, rows: Int32Array, seed: number): Int32Array {
  const weights = uniquenessWeights(set, rows);
  const drawn = new Int32Array(rows.length);
  let reached = 0;
  let next = seededUniform(seed)();
  let count = 0;
  for (let k = 0; k < rows.length; k++) {
    reached += weights[k]!;
    for (; next < reached && count < drawn.length; next++) drawn[count++] = rows[k]!;
  }
  while (count < drawn.length) drawn[count++] = rows[rows.length - 1]!;
  return drawn;
}

export function labelsOf(set: TrainingSet, rows: Int32Array): Uint8Array {
  return Uint8Array.from(rows, (row) => set.metaLabel[row]!);
}

export function gatherRows(set: TrainingSet, rows: Int32Array): Float32Array {
  const { columnCount } = set;
  const gathered = new Float32Array(rows.length * columnCount);
  for (const [k, row] of rows.entries()) {
    gathered.set(set.rows.subarray(row * columnCount, (row + 1) * columnCount), k * columnCount);
  }
  return gathered;
}
