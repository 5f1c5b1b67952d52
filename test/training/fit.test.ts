import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ForestScorer } from '../../src/model/forest-scorer.js';
import { marginOf } from '../../src/model/log-odds.js';
import {
  boost,
  type Fit,
  type FitObserver,
  fitTrees,
  labelsOf,
  predict,
  withoutTrees,
} from '../../src/training/fit.js';
import { estimateRestraint, type HeldOut, NO_TRUST } from '../../src/training/restraint.js';
import { featureSetOf, type TrainingPlan } from '../../src/training/training-plan.js';
import { buildTrainingSet, type TrainingSet } from '../../src/training/training-set.js';
import { baseRateOf, logLoss } from '../../src/validation/metrics.js';
import { plantedPlan, plantedSeries } from '../support/planted.js';
import { refusalOf } from '../support/refusal.js';

const QUIET: FitObserver = {
  progress: () => undefined,
  async timed(call) {
    return call();
  },
};

function trainingSet(barCount: number, seed: number, honesty: number): TrainingSet {
  const plan = plantedPlan();
  return buildTrainingSet([plantedSeries(barCount, seed, honesty)], featureSetOf(plan), plan.labels, plan.vpin);
}

function allRows(set: TrainingSet): Int32Array {
  return Int32Array.from(set.metaLabel.keys());
}

/** Margins of rows after some rounds on others, trusted entirely. */
async function marginsAfter(
  set: TrainingSet,
  train: Int32Array,
  test: Int32Array,
  plan: TrainingPlan,
  rounds: number,
): Promise<Float64Array> {
  const boosted = await boost(set, train, rounds, plan, QUIET);
  const scorer = new ForestScorer(boosted!.forest);
  return Float64Array.from(test, (row) => scorer.margin(set.rows, row * set.columnCount));
}

interface Quarter {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/** The third and the fourth quarter of the time the signals span, each with the labels that end before it. */
function heldOutQuarters(set: TrainingSet): [Quarter, Quarter] {
  const rows = allRows(set);
  const first = set.start[0]!;
  const length = set.start[rows.length - 1]! + 1 - first;
  const [half, threeQuarters] = [first + Math.floor(length / 2), first + Math.floor(length * 0.75)];
  const endedBefore = (cut: number): Int32Array => rows.filter((row) => set.end[row]! < cut);
  return [
    {
      train: endedBefore(half),
      test: rows.filter((row) => set.start[row]! >= half && set.start[row]! < threeQuarters),
    },
    { train: endedBefore(threeQuarters), test: rows.filter((row) => set.start[row]! >= threeQuarters) },
  ];
}

/** Log-losses on the newest quarter after 0, 5, 10 … rounds on the labels that end before it, each from a fit of its own. */
async function innerLosses(set: TrainingSet, plan: TrainingPlan): Promise<number[]> {
  const [, { train, test }] = heldOutQuarters(set);
  assert.ok(train.length + test.length < set.start.length, 'some labels reach across the cut and are left out');
  const y = labelsOf(set, test);
  const losses = [logLoss(y, new Float64Array(y.length).fill(baseRateOf(labelsOf(set, train))))];
  for (let rounds = 5; rounds <= plan.rounds; rounds += 5) {
    const margins = await marginsAfter(set, train, test, plan, rounds);
    losses.push(
      logLoss(
        y,
        margins.map((margin) => 1 / (1 + Math.exp(-margin))),
      ),
    );
  }
  return losses;
}

test('early stopping takes the rounds that were best on the newest quarter before patience ran out', async () => {
  const patience = 5;
  let impatient = 0;
  for (const seed of [81, 82, 83, 84, 85, 86]) {
    const set = trainingSet(700, seed, 0.75);
    const plan = plantedPlan({ rounds: 60, earlyStoppingRounds: patience, eta: 0.3, minChildWeight: 25 });
    const losses = await innerLosses(set, plan);
    let best = 0;
    for (let k = 1; k < losses.length && (k - best) * 5 <= patience; k++) if (losses[k]! < losses[best]!) best = k;
    const fit = await fitTrees(set, allRows(set), plan, QUIET);
    assert.ok(fit.restraint.lambda > 0, `seed ${seed} is trusted`);
    assert.is(fit.rounds, 5 * best, `seed ${seed}`);
    assert.is(fit.forest.treeCount, fit.rounds);
    if (best !== losses.indexOf(Math.min(...losses))) impatient++;
  }
  assert.ok(impatient > 0, 'in some case more patience would have found more');
});

test('after early stopping all rows are fitted, as often as was best', async () => {
  const set = trainingSet(700, 87, 0.85);
  const plan = plantedPlan({ rounds: 40, earlyStoppingRounds: 10 });
  const stopped = await fitTrees(set, allRows(set), plan, QUIET);
  assert.ok(stopped.rounds > 0);
  const direct = await fitTrees(
    set,
    allRows(set),
    { ...plan, rounds: stopped.rounds, earlyStoppingRounds: null },
    QUIET,
  );
  assert.equal(stopped.forest, direct.forest);
});

test('rounds that are no multiple of the step are all taken', async () => {
  const set = trainingSet(500, 88, 0.85);
  assert.is((await fitTrees(set, allRows(set), plantedPlan({ rounds: 13 }), QUIET)).forest.treeCount, 13);
});

test('trees are trusted as far as the two later quarters bear them out, each predicted from all that ended before it', async () => {
  for (const [seed, honesty] of [
    [93, 0.85],
    [94, 0.65],
    [95, 0.5],
  ] as const) {
    const set = trainingSet(700, seed, honesty);
    const plan = plantedPlan();
    const heldOut: HeldOut[] = [];
    for (const { train, test: rows } of heldOutQuarters(set)) {
      heldOut.push({ rows, margins: await marginsAfter(set, train, rows, plan, plan.rounds) });
    }
    const expected = estimateRestraint(set, heldOut);
    const { restraint, rounds } = await fitTrees(set, allRows(set), plan, QUIET);
    for (const name of ['lambda', 'estimate', 't'] as const) {
      assert.ok(Math.abs(restraint[name] - expected[name]) < 1e-5, `${name} of seed ${seed}: ${restraint[name]}`);
    }
    assert.is(rounds, restraint.lambda > 0 ? plan.rounds : 0);
  }
});

test('an honest feature is trusted and a worthless one is not', async () => {
  const honest = trainingSet(900, 96, 0.85);
  assert.ok((await fitTrees(honest, allRows(honest), plantedPlan(), QUIET)).restraint.lambda > 0.9);
  let trusted = 0;
  for (const seed of [97, 98, 99, 100]) {
    const noise = trainingSet(900, seed, 0.5);
    const fit = await fitTrees(noise, allRows(noise), plantedPlan(), QUIET);
    if (fit.restraint.lambda > 0.5) trusted++;
  }
  assert.ok(trusted <= 1, `${trusted} of 4 worthless ones are trusted`);
});

test('a prediction is the base rate moved by the trusted share of what the trees say', async () => {
  const set = trainingSet(700, 94, 0.7);
  const rows = allRows(set);
  const fit = await fitTrees(set, rows, plantedPlan(), QUIET);
  assert.is(fit.baseRate, baseRateOf(set.metaLabel), 'the plain share of winners, unweighted');
  assert.is(fit.calibration.baseMargin, marginOf(fit.baseRate));
  assert.is(fit.calibration.lambda, fit.restraint.lambda);
  const { lambda } = fit.restraint;
  assert.ok(lambda > 0 && lambda < 1, `lambda ${lambda}`);
  const scorer = new ForestScorer(fit.forest);
  const base = Math.log(fit.baseRate / (1 - fit.baseRate));
  for (const [k, p] of predict(fit, set, rows).entries()) {
    const margin = scorer.margin(set.rows, k * set.columnCount);
    assert.ok(Math.abs(Math.log(p / (1 - p)) - (base + lambda * (margin - base))) < 1e-9, `row ${k}`);
  }
});

test('the same trees are fitted however far they are trusted, to all rows', async () => {
  const set = trainingSet(700, 94, 0.7);
  const plan = plantedPlan();
  const fit = await fitTrees(set, allRows(set), plan, QUIET);
  assert.equal(fit.forest, (await boost(set, allRows(set), plan.rounds, plan, QUIET))?.forest);
});

test('no trust leaves no trees, and every row gets the base rate', async () => {
  const set = trainingSet(900, 62, 0.3);
  // The hint lies in the older half and is honest in the newer one: what was learned is wrong there.
  const hint = set.columnCount - 1;
  const rows = set.rows.slice();
  for (const [k, start] of set.start.entries()) {
    if (start > 500) rows[k * set.columnCount + hint] = 1 - rows[k * set.columnCount + hint]!;
  }
  const turned = { ...set, rows };
  const fit = await fitTrees(turned, allRows(set), plantedPlan(), QUIET);
  assert.equal([fit.restraint.lambda, fit.rounds, fit.forest.treeCount], [0, 0, 0]);
  assert.ok(fit.restraint.t < 0, `t ${fit.restraint.t}`);
  const p = predict(fit, turned, allRows(set));
  assert.ok(p.every((confidence) => Math.abs(confidence - fit.baseRate) < 1e-15));
});

test('too few rows to hold any out give no trees', async () => {
  const set = trainingSet(500, 88, 0.85);
  const plan = plantedPlan();
  const fit = await fitTrees(set, allRows(set).subarray(0, 2), plan, QUIET);
  assert.equal([fit.restraint.lambda, fit.rounds, fit.forest.treeCount], [0, 0, 0]);
});

test('rows of one class give no trees and a probability short of certainty', async () => {
  const set = trainingSet(500, 89, 0.85);
  const winners = allRows(set).filter((row) => set.metaLabel[row] === 1);
  const losers = allRows(set).filter((row) => set.metaLabel[row] === 0);
  for (const [rows, baseRate] of [
    [winners, 1],
    [losers, 0],
  ] as const) {
    const fit: Fit = await fitTrees(set, rows, plantedPlan(), QUIET);
    assert.equal([fit.rounds, fit.forest.treeCount, fit.baseRate, fit.restraint.lambda], [0, 0, baseRate, 0]);
    assert.is(await boost(set, rows, 5, plantedPlan(), QUIET), null);
    for (const p of predict(fit, set, rows)) {
      assert.ok(Math.abs(p - baseRate) < 0.1 && p > 0 && p < 1, `probability ${p}`);
    }
  }
});

test('without trees every row gets exactly the base rate', () => {
  const set = trainingSet(300, 89, 0.85);
  for (const baseRate of [0.1, 0.37, 0.5, 0.999]) {
    const fit = withoutTrees(set.columnCount, baseRate, 1000, NO_TRUST);
    assert.is(fit.forest.treeCount, 0);
    for (const p of predict(fit, set, allRows(set))) assert.ok(Math.abs(p - baseRate) < 2e-16, `${p} for ${baseRate}`);
  }
});

test('rows outside those that are fitted change nothing', async () => {
  const set = trainingSet(700, 94, 0.75);
  const rows = allRows(set).subarray(60, 280);
  const garbled = {
    ...set,
    rows: set.rows.slice(),
    metaLabel: set.metaLabel.slice(),
    uniqueness: set.uniqueness.map(() => 0.5),
  };
  const inside = new Set(rows);
  for (const row of allRows(set)) {
    if (inside.has(row)) {
      garbled.uniqueness[row] = set.uniqueness[row]!;
      continue;
    }
    garbled.rows.fill(7, row * set.columnCount, (row + 1) * set.columnCount);
    garbled.metaLabel[row] = 1 - set.metaLabel[row]!;
  }
  const fit = await fitTrees(set, rows, plantedPlan(), QUIET);
  assert.ok(fit.rounds > 0);
  assert.equal(await fitTrees(garbled, rows, plantedPlan(), QUIET), fit);
});

test('rows weigh their uniqueness: its scale changes no tree, its distribution does', async () => {
  const set = trainingSet(500, 90, 0.75);
  const rows = allRows(set);
  const forestOf = async (uniqueness: Float64Array) =>
    (await boost({ ...set, uniqueness }, rows, 10, plantedPlan(), QUIET))!.forest;
  const forest = await forestOf(set.uniqueness);
  assert.equal(await forestOf(set.uniqueness.map((value) => value / 4)), forest);
  assert.not.equal(await forestOf(set.uniqueness.map(() => 1)), forest);
});

test('an observer that throws ends the fit, and the next fit is the same as ever', async () => {
  const set = trainingSet(500, 90, 0.85);
  const before = await fitTrees(set, allRows(set), plantedPlan(), QUIET);
  assert.ok(before.rounds > 0);
  for (const limit of [0.2, 0.5, 0.9]) {
    const progress = (share: number): void => {
      if (share >= limit) throw new RangeError('enough');
    };
    let thrown: unknown;
    await fitTrees(set, allRows(set), plantedPlan(), { ...QUIET, progress }).catch((error: unknown) => {
      thrown = error;
    });
    assert.instance(thrown, RangeError);
  }
  assert.equal(await fitTrees(set, allRows(set), plantedPlan(), QUIET), before);
});

test('progress of one fit never decreases and ends at the whole', async () => {
  const set = trainingSet(500, 91, 0.85);
  for (const earlyStoppingRounds of [null, 10]) {
    const shares: number[] = [];
    const progress = (share: number): void => void shares.push(share);
    await fitTrees(set, allRows(set), plantedPlan({ earlyStoppingRounds }), { ...QUIET, progress });
    assert.ok(shares.length >= 6);
    for (const [k, share] of shares.slice(1).entries()) assert.ok(share >= shares[k]! && share <= 1);
    assert.is(shares[shares.length - 1], 1);
  }
});

test('a parameter the library does not know is refused with its code', async () => {
  const set = trainingSet(500, 92, 0.85);
  const plan = {
    ...plantedPlan(),
    boosterParameters: JSON.parse('{"nthread":2}') as TrainingPlan['boosterParameters'],
  };
  assert.is((await refusalOf(() => fitTrees(set, allRows(set), plan, QUIET))).code, 'BOOSTER_PARAMETER_UNKNOWN');
});

test.run();
