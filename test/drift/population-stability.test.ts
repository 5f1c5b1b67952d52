import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { featureQuantiles, populationStability } from '../../src/drift/population-stability.js';
import { seededUniform } from '../../src/random.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

function draws(count: number, seed: number, value: (uniform: number) => number = (u) => u): Float32Array {
  const random = seededUniform(seed);
  return Float32Array.from({ length: count }, () => value(random()));
}

test('deciles are the smallest values with so many tenths at or below them, missing ones aside', () => {
  // 105 known values, 1 to 105, backwards and with gaps between them.
  const values = Float32Array.from({ length: 210 }, (_, k) => (k % 2 === 0 ? Number.NaN : 105 - (k - 1) / 2));
  assert.equal(Array.from(featureQuantiles(values)), [11, 21, 32, 42, 53, 63, 74, 84, 95]);
});

test('fewer than 100 known values have no deciles, and nothing to compare', () => {
  const few = draws(150, 1);
  few.fill(Number.NaN, 99);
  assert.ok(featureQuantiles(few).every(Number.isNaN));
  const deciles = featureQuantiles(draws(100, 1));
  assert.ok(Number.isNaN(populationStability(new Float64Array(9).fill(Number.NaN), draws(1000, 1))));
  assert.ok(Number.isNaN(populationStability(deciles, few)));
  assert.ok(Number.isFinite(populationStability(deciles, draws(100, 2))));
});

test('the same values are stable, and those of the same distribution nearly', () => {
  const training = draws(10_000, 1);
  assert.is(populationStability(featureQuantiles(training), training), 0);
  assert.ok(populationStability(featureQuantiles(training), draws(10_000, 2)) < 0.005);
});

test('a shift is worth what the formula says, summed by hand', () => {
  const deciles = featureQuantiles(Float32Array.from({ length: 1000 }, (_, k) => k));
  // Live values fill the lower half alone: five bins of 20 %, five that hold half a value of 500.
  const live = Float32Array.from({ length: 500 }, (_, k) => k);
  const expected = 5 * (0.2 - 0.1) * Math.log(0.2 / 0.1) + 5 * (0.001 - 0.1) * Math.log(0.001 / 0.1);
  assert.ok(Math.abs(populationStability(deciles, live) - expected) < 1e-12);
});

test('missing values are ignored', () => {
  const deciles = featureQuantiles(draws(1000, 1));
  const live = draws(500, 2, (u) => u * u);
  const holed = Float32Array.from({ length: 1000 }, (_, k) => (k % 2 === 0 ? live[k / 2]! : Number.NaN));
  assert.is(populationStability(deciles, holed), populationStability(deciles, live));
});

test('a feature of few values is stable while their shares stay, and drifts when these move by more than a tenth', () => {
  for (const share of [0.05, 0.25, 0.5, 0.77, 0.95]) {
    const side = (one: number) => (u: number) => (u < one ? -1 : 1);
    const deciles = featureQuantiles(draws(5000, 1, side(share)));
    const same = populationStability(deciles, draws(5000, 2, side(share)));
    assert.ok(same < 0.002, `${share}: ${same}`);
    const moved = populationStability(deciles, draws(5000, 3, side(share < 0.5 ? share + 0.4 : share - 0.4)));
    assert.ok(moved > 0.1, `${share}: ${moved}`);
  }
});

test('a feature with an atom is judged on its other values too', () => {
  const rectified = (scale: number) => (u: number) => Math.max(0, scale * (u - 0.4));
  const deciles = featureQuantiles(draws(5000, 1, rectified(1)));
  assert.ok(populationStability(deciles, draws(5000, 2, rectified(1))) < 0.01);
  assert.ok(populationStability(deciles, draws(5000, 3, rectified(2))) > 0.2);
});

test('a constant that stays is stable and another one is not', () => {
  const deciles = featureQuantiles(new Float32Array(100).fill(3));
  assert.is(populationStability(deciles, new Float32Array(100).fill(3)), 0);
  assert.ok(populationStability(deciles, new Float32Array(100).fill(4)) > 1);
});

test('the index is never negative and always finite', () => {
  const values = fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 100, maxLength: 300 });
  fc.assert(
    fc.property(values, values, (training, live) => {
      const index = populationStability(featureQuantiles(Float32Array.from(training)), Float32Array.from(live));
      assert.ok(index >= 0 && Number.isFinite(index), `${index}`);
      const own = populationStability(featureQuantiles(Float32Array.from(live)), Float32Array.from(live));
      assert.ok(Number.isFinite(own));
    }),
    { seed: 55, numRuns: PROPERTY_RUNS },
  );
});

test('the values are only read', () => {
  const values = draws(200, 5);
  const copy = values.slice();
  populationStability(featureQuantiles(values), values);
  assert.equal(values, copy);
});

test.run();
