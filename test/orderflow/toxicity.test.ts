import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TOXICITY_QUANTILES, toxicityLevel, toxicityQuantiles, toxicityShare } from '../../src/orderflow/toxicity.js';
import { seededUniform } from '../../src/random.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

function quantilesOf(values: Iterable<number>): number[] {
  const quantiles = toxicityQuantiles(Float64Array.from(values));
  if (quantiles === null) throw new Error('there are too few values');
  return Array.from(quantiles);
}

/** The values 0 … last in a random order. */
function shuffled(last: number, seed: number): number[] {
  const random = seededUniform(seed);
  return Array.from({ length: last + 1 }, (_, value) => ({ value, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value);
}

test('the quantiles are the values at every hundredth of their order', () => {
  const hundredths = Array.from({ length: 101 }, (_, k) => k);
  assert.equal(quantilesOf(shuffled(100, 1)), hundredths);
  assert.equal(
    quantilesOf(shuffled(700, 2)),
    hundredths.map((k) => 7 * k),
  );
  const between = quantilesOf(shuffled(250, 3));
  assert.equal(between.slice(0, 4), [0, 3, 5, 8], 'ranks 0, 2.5, 5 and 7.5, halves upwards');
  assert.is(between[100], 250);
});

test('unknown values do not count, and fewer than 101 known ones have no quantiles', () => {
  const unknown = new Array<number>(50).fill(Number.NaN);
  assert.equal(quantilesOf([...unknown, ...shuffled(100, 4), ...unknown]), quantilesOf(shuffled(100, 5)));
  assert.is(toxicityQuantiles(Float64Array.from([...unknown, ...shuffled(99, 4)])), null);
  assert.is(toxicityQuantiles(new Float64Array(0)), null);
});

test('the values are only read', () => {
  const values = Float64Array.from(shuffled(200, 6));
  const before = values.slice();
  toxicityQuantiles(values);
  assert.equal(values, before);
});

test('the share is read off between two quantiles', () => {
  const quantiles = quantilesOf(shuffled(100, 7).map((value) => value / 64));
  assert.is(toxicityShare(quantiles, 30 / 64), 0.3);
  assert.ok(Math.abs(toxicityShare(quantiles, 30.25 / 64) - 0.3025) < 1e-15, 'a quarter of the way on');
  assert.equal(
    [-1, 0, 100 / 64, 5].map((vpin) => toxicityShare(quantiles, vpin)),
    [0, 0, 1, 1],
  );
});

test('an unknown value has no share', () => {
  assert.ok(Number.isNaN(toxicityShare(quantilesOf(shuffled(100, 8)), Number.NaN)));
});

test('more VPIN is never a smaller share, and every share lies in [0, 1]', () => {
  const tenths = fc.integer({ min: 0, max: 10 }).map((tenth) => tenth / 10);
  const anyValue = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), tenths);
  fc.assert(
    fc.property(
      fc.array(anyValue, { minLength: 101, maxLength: 300 }),
      fc.array(fc.oneof(anyValue, fc.double({ noNaN: true })), { minLength: 2, maxLength: 50 }),
      (sample, asked) => {
        const quantiles = quantilesOf(sample);
        asked.sort((a, b) => a - b);
        let before = 0;
        for (const vpin of asked) {
          const share = toxicityShare(quantiles, vpin);
          assert.ok(share >= before && share <= 1, `${share} of ${vpin} after ${before}`);
          before = share;
        }
      },
    ),
    { seed: 51, numRuns: PROPERTY_RUNS },
  );
});

test('the shares of the training interval itself are uniform, whatever its distribution', () => {
  const random = seededUniform(9);
  for (const shape of [(u: number) => u, (u: number) => u ** 6, (u: number) => Math.exp(5 * u)]) {
    const values = Array.from({ length: 2000 }, () => shape(random()));
    const quantiles = quantilesOf(values);
    values.sort((a, b) => a - b);
    for (const [rank, value] of values.entries()) {
      const share = toxicityShare(quantiles, value);
      // Between two quantiles, a hundredth apart, the share need not follow the ranks; a rounded rank adds half of one.
      assert.ok(Math.abs(share - rank / 1999) < 0.0103, `${share} at rank ${rank}`);
    }
  }
});

test('where all values are the same, less is 0, more is 1 and the same is not unusual', () => {
  const quantiles = quantilesOf(new Array<number>(200).fill(0.3));
  assert.equal(
    [0.2, 0.3, 0.4].map((vpin) => toxicityShare(quantiles, vpin)),
    [0, 0, 1],
  );
});

test('a value that half of the interval had lies where that half lies', () => {
  const quantiles = quantilesOf(shuffled(400, 10).map((value) => (value < 100 || value > 300 ? value : 200)));
  const share = toxicityShare(quantiles, 200);
  assert.ok(share >= 0.25 && share <= 0.75, `${share}`);
  const [below, above] = [199.9, 200.1].map((vpin) => toxicityShare(quantiles, vpin));
  assert.ok(below! <= share && share <= above!);
  // A hundredth of the interval is as finely as quantiles see.
  assert.ok(Math.abs(below! - 0.25) <= 0.01 && Math.abs(above! - 0.75) <= 0.01, `${below}, ${above}`);
});

test('the lower half is low and the top tenth is high', () => {
  assert.equal([0, 0.4999, 0.5, 0.8999, 0.9, 1].map(toxicityLevel), ['low', 'low', 'medium', 'medium', 'high', 'high']);
});

test('quantiles come back from JSON as they were', () => {
  const random = seededUniform(11);
  const quantiles = quantilesOf(Array.from({ length: 300 }, () => random()));
  assert.is(quantiles.length, TOXICITY_QUANTILES);
  assert.equal(JSON.parse(JSON.stringify(quantiles)), quantiles);
});

test.run();
