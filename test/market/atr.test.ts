import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { averageTrueRange, trueRange } from '../../src/market/atr.js';
import { randomBars } from '../support/market.js';
import { referenceVectors } from '../support/reference.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import {
  assertRelative,
  assertSameBits,
  barsOf,
  type Maybe,
  referenceSlice,
  vectorBars,
  vectors,
} from '../support/vectors.js';

const SEED = 20_240_102;
const TOLERANCE = 1e-12;

interface AtrReference {
  readonly rows: readonly number[];
  readonly wilder: readonly Maybe[];
  readonly simple: readonly Maybe[];
  readonly full_fsum: { readonly wilder_rows_ge_14: number; readonly simple_all: number };
}

test('the true range reaches to the close before it when the bar gapped away from it', () => {
  assert.is(trueRange(12, 10, 11), 2);
  assert.is(trueRange(12, 10, 15), 5);
  assert.is(trueRange(12, 10, 7), 5);
});

test('the simple average grows to its period and then forgets its oldest range', () => {
  const bars = barsOf([
    [10, 12, 9, 11],
    [11, 11, 10, 10],
    [16, 18, 16, 17],
    [17, 17, 13, 14],
  ]);
  // Ranges 3, 1, 8 (18 against the close of 10), 4.
  assert.equal([...averageTrueRange(bars, { period: 2 })], [3, 2, 4.5, 6]);
  assert.equal([...averageTrueRange(bars, { period: 3 })], [3, 2, 4, 13 / 3]);
});

test("Wilder's average is missing until it can start from a full period, the first bar's range never entering", () => {
  const bars = barsOf([
    [10, 90, 9, 11],
    [11, 11, 10, 10],
    [16, 18, 16, 17],
    [17, 17, 13, 14],
  ]);
  // Starts at bar 2 with (1 + 8) / 2, then (4.5 + 4) / 2.
  assert.equal([...averageTrueRange(bars, { period: 2, smoothing: 'wilder' })], [Number.NaN, Number.NaN, 4.5, 4.25]);
  const tooFew = averageTrueRange(bars.slice(0, 2), { period: 2, smoothing: 'wilder' });
  assert.equal([...tooFew], [Number.NaN, Number.NaN]);
});

test('both averages over 14 bars equal values worked in exact fractions', () => {
  const simple = averageTrueRange(vectorBars());
  const wilder = averageTrueRange(vectorBars(), { smoothing: 'wilder' });
  vectors.atr.simple.forEach((value, i) => {
    assertRelative(simple[i]!, value, TOLERANCE, `simple ${i}`);
  });
  vectors.atr.wilder.forEach((value, i) => {
    assertRelative(wilder[i]!, value, TOLERANCE, `wilder ${i}`);
  });
});

test('no bars have no average, and a period that is no positive integer is refused', () => {
  assert.is(averageTrueRange(barsOf([])).length, 0);
  assert.is(averageTrueRange(barsOf([]), { smoothing: 'wilder' }).length, 0);
  for (const period of [0, -1, 1.5, Number.NaN]) {
    assert.throws(
      () => averageTrueRange(vectorBars(), { period }),
      (error: unknown) =>
        error instanceof OrchestratorError && error.code === 'OUT_OF_RANGE' && error.field === 'period',
    );
  }
});

test('the average at a bar is the same bits without the bars after it', () => {
  const property = fc.property(
    fc.integer({ min: 1, max: 120 }),
    fc.integer(),
    fc.constantFrom('simple' as const, 'wilder' as const),
    fc.integer({ min: 1, max: 30 }),
    (cut, seed, smoothing, period) => {
      const bars = randomBars(120, seed);
      const whole = averageTrueRange(bars, { smoothing, period }).subarray(0, cut);
      assertSameBits(averageTrueRange(bars.slice(0, cut), { smoothing, period }), whole, smoothing);
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

for (const slice of ['btc_0', 'gbpusd_0'] as const) {
  test(`both averages of ${slice} equal the reference, sampled and summed`, async () => {
    const reference = referenceVectors<AtrReference>(`${slice}_atr`);
    const bars = await referenceSlice(slice);
    if (reference === null || bars === null) return;
    const simple = averageTrueRange(bars);
    const wilder = averageTrueRange(bars, { smoothing: 'wilder' });
    assert.ok(reference.rows.length > 400);
    reference.rows.forEach((row, k) => {
      assertRelative(simple[row]!, reference.simple[k]!, TOLERANCE, `simple ${row}`);
      assertRelative(wilder[row]!, reference.wilder[k]!, TOLERANCE, `wilder ${row}`);
    });
    const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
    assertRelative(sum(simple), reference.full_fsum.simple_all, TOLERANCE, 'sum of simple');
    assertRelative(sum(wilder.subarray(14)), reference.full_fsum.wilder_rows_ge_14, TOLERANCE, 'sum of wilder');
  });
}

test.run();
