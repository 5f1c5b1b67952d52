import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { resampleByUniqueness, uniquenessWeights } from '../../src/training/fit.js';
import type { TrainingSet } from '../../src/training/training-set.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { bareSet } from './bare-set.js';

function setOf(uniqueness: readonly number[]): TrainingSet {
  return bareSet(new Uint8Array(uniqueness.length), { uniqueness: Float64Array.from(uniqueness) });
}

function allRows(set: TrainingSet): Int32Array {
  return Int32Array.from(set.metaLabel.keys());
}

function copiesOf(drawn: Int32Array, row: number): number {
  return drawn.filter((one) => one === row).length;
}

const anyUniqueness = fc.array(fc.double({ min: 0.02, max: 1, noNaN: true }), { minLength: 1, maxLength: 200 });
const anySeed = fc.integer({ min: 0, max: 2 ** 31 });

test('weights are the uniqueness of the given rows alone, scaled to mean 1', () => {
  const set = setOf([0.5, 1, 0.25, 0.75, 0.125]);
  assert.equal(uniquenessWeights(set, Int32Array.of(0, 2, 3)), Float32Array.of(1, 0.5, 1.5));
  assert.equal(uniquenessWeights(set, Int32Array.of(4)), Float32Array.of(1));
});

test('the mean weight is 1 and the weights keep the proportions, whatever the uniqueness', () => {
  fc.assert(
    fc.property(anyUniqueness, (uniqueness) => {
      const set = setOf(uniqueness);
      const weights = uniquenessWeights(set, allRows(set));
      const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
      // Half a unit in the last place of a float32 is 6e-8.
      assert.ok(Math.abs(mean - 1) < 1e-7, `${mean}`);
      for (const [k, weight] of weights.entries()) {
        assert.ok(Math.abs(weight / weights[0]! / (uniqueness[k]! / uniqueness[0]!) - 1) < 2e-7);
      }
    }),
    { seed: 61, numRuns: PROPERTY_RUNS },
  );
});

test('as many rows are drawn as there are, each as often as its weight rounded down or up, in order of time', () => {
  fc.assert(
    fc.property(anyUniqueness, anySeed, (uniqueness, seed) => {
      const set = setOf(uniqueness);
      const rows = allRows(set).filter((row) => row % 3 !== 1);
      const weights = uniquenessWeights(set, rows);
      const drawn = resampleByUniqueness(set, rows, seed);
      assert.is(drawn.length, rows.length);
      for (let k = 1; k < drawn.length; k++) assert.ok(drawn[k]! >= drawn[k - 1]!);
      for (const [k, row] of rows.entries()) {
        const copies = copiesOf(drawn, row);
        // The weights are added up, so that a whole one may be a rounding off.
        const [least, most] = [Math.floor(weights[k]! - 1e-4), Math.ceil(weights[k]! + 1e-4)];
        assert.ok(copies >= least && copies <= most, `row ${row} of weight ${weights[k]} came ${copies} times`);
      }
      assert.ok(drawn.every((row) => rows.includes(row)));
    }),
    { seed: 62, numRuns: PROPERTY_RUNS },
  );
});

test('rows of equal uniqueness are all drawn once', () => {
  const set = setOf(new Array<number>(50).fill(0.25));
  assert.equal(resampleByUniqueness(set, allRows(set), 1), allRows(set));
});

test('the same seed draws the same rows and another seed others', () => {
  const random = seededUniform(3);
  const set = setOf(Array.from({ length: 100 }, () => 0.1 + 0.9 * random()));
  const first = resampleByUniqueness(set, allRows(set), 1);
  assert.equal(resampleByUniqueness(set, allRows(set), 1), first);
  assert.not.equal(resampleByUniqueness(set, allRows(set), 2), first);
});

test('over many seeds every row is drawn in proportion to its uniqueness', () => {
  const set = setOf([0.2, 0.5, 0.9, 0.3, 0.6, 1, 0.1, 0.4]);
  const rows = allRows(set);
  const weights = uniquenessWeights(set, rows);
  const copies = new Float64Array(rows.length);
  const seeds = 4000;
  for (let seed = 0; seed < seeds; seed++) for (const row of resampleByUniqueness(set, rows, seed)) copies[row]! += 1;
  for (const row of rows) {
    // A row is its floor or its ceiling: at most 1/2 of standard deviation a seed, 0.008 over all; here are four of them.
    const mean = copies[row]! / seeds;
    assert.ok(Math.abs(mean - weights[row]!) < 0.032, `row ${row} of weight ${weights[row]} came ${mean} times`);
  }
});

test.run();
