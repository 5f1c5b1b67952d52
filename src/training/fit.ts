import { type Forest, flattenForest } from '../model/forest.js';
import { ForestScorer } from '../model/forest-scorer.js';
import { marginOf, probabilityOf } from '../model/log-odds.js';
import { type ModelFile, parseModelFile } from '../model/model-file.js';
import { Booster } from '../model/xgboost.js';
import { baseRateOf, logLossOf } from '../validation/metrics.js';
import type { TrainingPlan } from './training-plan.js';
import type { TrainingSet } from './training-set.js';

/** Trees fitted to some rows of a training set, or none. */
export interface Fit {
  readonly model: ModelFile;
  readonly forest: Forest;
  readonly rounds: number;
  readonly baseRate: number;
}

/** What a fit reports to. */
export interface FitObserver {
  /** Called between steps of boosting rounds with the share of the fit that is done; throws to cancel. */
  progress(share: number): void;
  /** Wraps every fitting call into ml-xgboost, to tell its time from ours. */
  timed<T>(call: () => T | Promise<T>): Promise<T>;
}

/** Rounds between two looks at the clock, the cancel word and the inner window. */
const STEP_ROUNDS = 5;
/** Newest share of a training window that early stopping is judged on. */
const INNER_SHARE = 0.25;

/**
 * Boosts on the given rows, `plan.rounds` times at most. With early stopping the number of rounds is found first on an inner purged split of the same
 * rows (newest quarter held out), then all rows are fitted that often; 0 rounds, the bare base rate, is a possible outcome.
 * Rows of one class give no trees.
 */
export async function fitTrees(
  set: TrainingSet,
  rows: Int32Array,
  plan: TrainingPlan,
  observe: FitObserver,
): Promise<Fit> {
  const inner = plan.earlyStoppingRounds === null ? null : innerSplit(set, rows);
  const innerShare = inner === null ? 0 : (1 - INNER_SHARE) / (2 - INNER_SHARE);
  const rounds =
    inner === null
      ? plan.rounds
      : await chooseRounds(set, inner, plan, { ...observe, progress: (share) => observe.progress(share * innerShare) });
  return boost(set, rows, rounds, plan, observe, (_booster, done) => {
    observe.progress(innerShare + ((1 - innerShare) * done) / rounds);
    return true;
  });
}

/** Margins of the rows under a fit, as probabilities. */
export function predict(forest: Forest, set: TrainingSet, rows: Int32Array): Float64Array {
  const scorer = new ForestScorer(forest);
  return Float64Array.from(rows, (row) => probabilityOf(scorer.margin(set.rows, row * set.columnCount)));
}

interface InnerSplit {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

function innerSplit(set: TrainingSet, rows: Int32Array): InnerSplit {
  const first = set.start[rows[0]!]!;
  const last = set.start[rows[rows.length - 1]!]!;
  const cut = first + Math.floor((last - first) * (1 - INNER_SHARE));
  return {
    train: rows.filter((row) => set.end[row]! < cut),
    test: rows.filter((row) => set.start[row]! >= cut),
  };
}

/** The number of rounds, a multiple of the step, with the least log-loss on the inner test; looking stops when it has not improved for `earlyStoppingRounds`. */
async function chooseRounds(
  set: TrainingSet,
  inner: InnerSplit,
  plan: TrainingPlan,
  observe: FitObserver,
): Promise<number> {
  const { train, test } = inner;
  const patience = plan.earlyStoppingRounds ?? plan.rounds;
  if (train.length === 0 || test.length === 0) return 0;
  const margins = new Float64Array(test.length);
  const loss = (): number =>
    test.reduce((sum, row, k) => sum + logLossOf(set.metaLabel[row]!, probabilityOf(margins[k]!)), 0);
  margins.fill(marginOf(baseRateOf(labelsOf(set, train))));
  let best = { rounds: 0, loss: loss() };
  let seenTrees = 0;
  await boost(set, train, plan.rounds, plan, observe, (booster, done) => {
    observe.progress(done / plan.rounds);
    const { trees, featureCount } = parseModelFile(booster.save());
    const added = new ForestScorer(flattenForest({ baseMargin: 0, featureCount, trees: trees.slice(seenTrees) }));
    seenTrees = trees.length;
    for (const [k, row] of test.entries()) margins[k] = margins[k]! + added.margin(set.rows, row * set.columnCount);
    const now = loss();
    if (now < best.loss) best = { rounds: done, loss: now };
    return done - best.rounds < patience;
  });
  return best.rounds;
}

/** Runs rounds in small steps while `step` says so. */
async function boost(
  set: TrainingSet,
  rows: Int32Array,
  rounds: number,
  plan: TrainingPlan,
  observe: FitObserver,
  step: (booster: Booster, done: number) => boolean,
): Promise<Fit> {
  const labels = labelsOf(set, rows);
  const baseRate = baseRateOf(labels);
  if (rounds === 0 || !(baseRate > 0 && baseRate < 1)) return withoutTrees(set.columnCount, baseRate, rows.length);
  const booster = await Booster.create(gatherRows(set, rows), labels, set.columnCount, {
    ...plan.boosterParameters,
    base_score: baseRate,
  });
  try {
    let done = 0;
    let proceed = true;
    while (proceed && done < rounds) {
      const more = Math.min(STEP_ROUNDS, rounds - done);
      await observe.timed(() => booster.train(more));
      done += more;
      proceed = step(booster, done);
    }
    const model = parseModelFile(booster.save());
    return { model, forest: flattenForest(model), rounds: done, baseRate };
  } finally {
    booster.free();
  }
}

/** A fit that answers the base rate of its `count` labels to everything. */
export function withoutTrees(featureCount: number, baseRate: number, count: number): Fit {
  // A rate of exactly 0 or 1 has no log-odds: half a label more or less keeps it finite.
  const floor = 0.5 / Math.max(count, 1);
  const margin = marginOf(Math.min(Math.max(baseRate, floor), 1 - floor));
  const model = { baseMargin: Math.fround(margin), featureCount, trees: [] };
  return { model, forest: flattenForest(model), rounds: 0, baseRate };
}

function labelsOf(set: TrainingSet, rows: Int32Array): Uint8Array {
  return Uint8Array.from(rows, (row) => set.metaLabel[row]!);
}

function gatherRows(set: TrainingSet, rows: Int32Array): Float32Array {
  const { columnCount } = set;
  const gathered = new Float32Array(rows.length * columnCount);
  for (const [k, row] of rows.entries()) {
    gathered.set(set.rows.subarray(row * columnCount, (row + 1) * columnCount), k * columnCount);
  }
  return gathered;
}
