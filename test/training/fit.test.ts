import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { probabilityOf } from '../../src/model/log-odds.js';
import { type Fit, type FitObserver, fitTrees, predict, withoutTrees } from '../../src/training/fit.js';
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

function lossOf(fit: Fit, set: TrainingSet, rows: Int32Array): number {
  const y = Uint8Array.from(rows, (row) => set.metaLabel[row]!);
  return logLoss(y, predict(fit.forest, set, rows));
}

/** Log-losses on the newest quarter after 0, 5, 10 … rounds on the labels that end before it, each from a fit of its own. */
async function innerLosses(set: TrainingSet, plan: TrainingPlan): Promise<number[]> {
  const rows = allRows(set);
  const first = set.start[0]!;
  const cut = first + Math.floor((set.start[rows.length - 1]! - first) * 0.75);
  const train = rows.filter((row) => set.end[row]! < cut);
  const newest = rows.filter((row) => set.start[row]! >= cut);
  assert.ok(train.length + newest.length < rows.length, 'some labels reach across the cut and are left out');
  const rate = baseRateOf(Uint8Array.from(train, (row) => set.metaLabel[row]!));
  const losses = [lossOf(withoutTrees(set.columnCount, rate, train.length), set, newest)];
  for (let rounds = 5; rounds <= plan.rounds; rounds += 5) {
    const fit = await fitTrees(set, train, { ...plan, rounds, earlyStoppingRounds: null }, QUIET);
    losses.push(lossOf(fit, set, newest));
  }
  return losses;
}

test('early stopping takes the rounds that were best on the newest quarter before patience ran out', async () => {
  const patience = 5;
  let impatient = 0;
  for (const seed of [81, 82, 83, 84, 85, 86]) {
    const set = trainingSet(700, seed, 0.7);
    const plan = plantedPlan({ rounds: 60, earlyStoppingRounds: patience, eta: 0.3, minChildWeight: 1 });
    const losses = await innerLosses(set, plan);
    let best = 0;
    for (let k = 1; k < losses.length && (k - best) * 5 <= patience; k++) if (losses[k]! < losses[best]!) best = k;
    const fit = await fitTrees(set, allRows(set), plan, QUIET);
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

test('rows of one class give no trees and a probability short of certainty', async () => {
  const set = trainingSet(500, 89, 0.85);
  const winners = allRows(set).filter((row) => set.metaLabel[row] === 1);
  const fit = await fitTrees(set, winners, plantedPlan(), QUIET);
  assert.equal([fit.rounds, fit.forest.treeCount, fit.baseRate], [0, 0, 1]);
  const p = predict(fit.forest, set, winners);
  assert.ok(p.every((confidence) => confidence > 0.9 && confidence < 1));
});

test('without trees every row gets the base rate', () => {
  for (const baseRate of [0.1, 0.37, 0.5]) {
    const { forest } = withoutTrees(3, baseRate, 1000);
    assert.ok(Math.abs(probabilityOf(forest.baseMargin) - baseRate) < 1e-6);
    assert.is(forest.treeCount, 0);
  }
});

test('an observer that throws ends the fit, and the next fit is the same as ever', async () => {
  const set = trainingSet(500, 90, 0.85);
  const before = await fitTrees(set, allRows(set), plantedPlan(), QUIET);
  for (const limit of [0.2, 0.9]) {
    const progress = (share: number): void => {
      if (share >= limit) throw new RangeError('enough');
    };
    let thrown: unknown;
    await fitTrees(set, allRows(set), plantedPlan(), { ...QUIET, progress }).catch((error: unknown) => {
      thrown = error;
    });
    assert.instance(thrown, RangeError);
  }
  assert.equal((await fitTrees(set, allRows(set), plantedPlan(), QUIET)).forest, before.forest);
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
