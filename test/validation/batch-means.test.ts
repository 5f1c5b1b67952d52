import fc from 'fast-check';
import jstat from 'jstat';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { type BatchMeans, batchMeans, dependenceBars, shrinkageFactor } from '../../src/validation/batch-means.js';
import { normal } from '../regime/simulated-returns.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

/** Rounding of sums of a few dozen terms of size 1. */
const ROUNDING = 1e-12;

function judged(
  terms: readonly number[],
  positions: readonly number[],
  end: number,
  dependence: number,
): BatchMeans | null {
  const span = { position: Int32Array.from(positions), start: 0, end, dependenceBars: dependence };
  return batchMeans(Float64Array.from(terms), span);
}

function tOf(means: BatchMeans | null): number {
  if (means === null) throw new Error('the evidence does not suffice');
  return means.t;
}

/** One term a bar, every bar. */
function everyBar(terms: readonly number[], dependence: number): BatchMeans | null {
  return judged(
    terms,
    terms.map((_, bar) => bar),
    terms.length,
    dependence,
  );
}

const FIRST_BARS = [0, 10, 20, 30, 40, 50, 60, 70];

test('t is the sum over its standard error among the spans', () => {
  // Spans of 10 bars sum to 1 … 8: 36 in all, mean 4.5, variance 6, so t = 36/√(8·6) = 3√3.
  const worked = judged([1, 2, 3, 4, 5, 6, 7, 8], FIRST_BARS, 80, 10);
  assert.is(worked?.blocks, 8);
  assert.ok(Math.abs(tOf(worked) - 3 * Math.sqrt(3)) < ROUNDING);
});

test('only the sums of the spans count, not how they come about inside', () => {
  const lastBars = FIRST_BARS.map((bar) => bar + 9);
  const halves = judged(
    [1, 2, 3, 4, 5, 6, 7, 8].flatMap((sum) => [5 * sum, -4 * sum]),
    FIRST_BARS.flatMap((bar, k) => [bar, lastBars[k]!]),
    80,
    10,
  );
  assert.ok(Math.abs(tOf(halves) - 3 * Math.sqrt(3)) < ROUNDING);
  const across = judged([1, 2, 3, 4, 5, 6, 7, 8, 1], FIRST_BARS.map((bar) => bar + 9).concat(10), 80, 10);
  assert.ok(tOf(across) > 3 * Math.sqrt(3) + 0.1, 'one more in the second span, and not in the first, is another t');
});

test('instruments that move together are no more evidence than one of them', () => {
  const random = seededUniform(1);
  const terms = Array.from({ length: 400 }, () => normal(random) + 0.2);
  const positions = terms.map((_, bar) => bar);
  const one = judged(terms, positions, 400, 5);
  const three = judged([...terms, ...terms, ...terms], [...positions, ...positions, ...positions], 400, 5);
  assert.ok(Math.abs(tOf(one) - tOf(three)) < ROUNDING * 100, 'sums of hundreds of terms round a little more');
  const apart = judged(
    [...terms, ...terms, ...terms],
    [...positions, ...positions.map((bar) => bar + 400), ...positions.map((bar) => bar + 800)],
    1200,
    5,
  );
  assert.ok(tOf(apart) > 1.2 * tOf(one), 'the same terms after one another are more evidence');
});

test('the number of spans is a fifth of how often the dependence fits in, between 8 and 32', () => {
  const terms = new Array<number>(1000).fill(1).map((one, bar) => one + (bar % 3));
  const blocks = (dependence: number): number | undefined => everyBar(terms, dependence)?.blocks;
  assert.equal(
    [1, 6.25, 6.3, 10, 10.4, 20, 25, 26, 5000].map(blocks),
    [32, 32, 31, 20, 19, 10, 8, 8, 8],
    '1000 bars at each dependence',
  );
});

test('the interval begins where it says, not at bar 0', () => {
  const shifted = batchMeans(Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8), {
    position: Int32Array.from(FIRST_BARS, (bar) => bar + 5000),
    start: 5000,
    end: 5080,
    dependenceBars: 10,
  });
  assert.is(tOf(shifted), tOf(judged([1, 2, 3, 4, 5, 6, 7, 8], FIRST_BARS, 80, 10)));
});

test('fewer than eight spans with a term are insufficient evidence, however many terms they hold', () => {
  assert.is(judged([1, 2, 3, 4, 5, 6, 7], FIRST_BARS.slice(1), 80, 10), null);
  assert.is(judged([], [], 80, 10), null);
  const crowded = Array.from({ length: 700 }, (_, k) => k % 70);
  assert.is(judged(crowded, crowded, 80, 10), null, 'the eighth span is empty');
  assert.is.not(judged([...crowded, 1], [...crowded, 70], 80, 10), null);
});

test('a gap in the data takes spans away, and eight of 32 still suffice', () => {
  const bars = Array.from({ length: 8 }, (_, k) => 10 * k);
  assert.is(judged([1, 2, 3, 4, 5, 6, 7, 8], bars, 320, 1)?.blocks, 32);
  assert.is(judged([1, 2, 3, 4, 5, 6, 7], bars.slice(1), 320, 1), null);
});

test('terms that are all 0 are evidence of nothing', () => {
  assert.is(tOf(judged([0, 0, 0, 0, 0, 0, 0, 0], FIRST_BARS, 80, 10)), 0);
});

test('the sign of t is that of the sum, and its size does not know the unit', () => {
  const number = fc.integer({ min: -1000, max: 1000 });
  fc.assert(
    fc.property(fc.array(number, { minLength: 80, maxLength: 80 }), fc.constantFrom(2, 0.5, 1024), (terms, scale) => {
      const t = tOf(everyBar(terms, 10));
      const total = terms.reduce((sum, term) => sum + term, 0);
      assert.is(Math.sign(t), Math.sign(total));
      const flipped = everyBar(
        terms.map((term) => -term),
        10,
      );
      assert.is(tOf(flipped) + t, 0);
      const scaled = everyBar(
        terms.map((term) => scale * term),
        10,
      );
      assert.is(tOf(scaled), t, 'powers of two round nothing');
    }),
    { seed: 31, numRuns: PROPERTY_RUNS },
  );
});

test('terms without a place in time are refused', async () => {
  const { code, field } = await refusalOf(() => judged([1, 2, 3], [1, 2], 80, 10));
  assert.equal({ code, field }, { code: 'LENGTH_MISMATCH', field: 'position' });
});

/** Sums of ten neighbouring draws: each hangs together with the nine before and after it. */
function overlapping(count: number, random: () => number): Float64Array {
  const draws = Float64Array.from({ length: count + 9 }, () => normal(random));
  return Float64Array.from({ length: count }, (_, bar) => draws.subarray(bar, bar + 10).reduce((sum, x) => sum + x, 0));
}

/** What t would be if the terms were independent. */
function independentT(terms: Float64Array): number {
  const n = terms.length;
  const mean = terms.reduce((sum, term) => sum + term, 0) / n;
  const variance = terms.reduce((sum, term) => sum + (term - mean) ** 2, 0) / (n - 1);
  return mean / Math.sqrt(variance / n);
}

test('overlapping terms of expectation 0 are taken for more in five cases of a hundred, where a t of independent terms is wrong in every other', () => {
  const runs = 1000;
  const count = 1500;
  let rejected = 0;
  let rejectedIndependent = 0;
  const critical = new Map<number, number>();
  for (let seed = 1; seed <= runs; seed++) {
    const terms = overlapping(count, seededUniform(seed));
    const means = batchMeans(terms, {
      position: Int32Array.from(terms.keys()),
      start: 0,
      end: count,
      dependenceBars: 10,
    });
    if (means === null) throw new Error('every span holds terms');
    const known = critical.get(means.blocks) ?? jstat.jStat.studentt.inv(0.975, means.blocks - 1);
    critical.set(means.blocks, known);
    if (Math.abs(means.t) > known) rejected++;
    if (Math.abs(independentT(terms)) > 1.96) rejectedIndependent++;
  }
  // The standard deviation of a rate of 5 % over 1000 runs is 0.7 %; neighbouring spans share a fifth of a span, which adds up to 1 %.
  assert.ok(Math.abs(rejected / runs - 0.05) < 0.03, `rejected ${rejected} of ${runs}`);
  assert.ok(rejectedIndependent / runs > 0.4, `the control rejected ${rejectedIndependent} of ${runs}`);
});

test('dependence reaches as far as nine labels of ten last', () => {
  assert.is(dependenceBars(Int32Array.of(10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 20), 9);
  assert.is(dependenceBars(Int32Array.of(2, 2, 2, 2, 100), 10), 100);
  assert.is(dependenceBars(Int32Array.of(2, 2, 2, 2, 2, 2, 2, 2, 2, 100), 10), 2, 'one of ten may last for ever');
});

test('dependence reaches at least to the next signal, and one bar', () => {
  assert.is(dependenceBars(Int32Array.of(3, 3, 3, 3), 100), 25);
  assert.is(dependenceBars(Int32Array.of(0, 0, 0, 0), 2), 1);
  assert.is(dependenceBars(new Int32Array(0), 700), 700, 'without a signal everything hangs together');
});

test('the durations are only read', () => {
  const durations = Int32Array.of(5, 1, 4);
  dependenceBars(durations, 10);
  assert.equal(durations, Int32Array.of(5, 1, 4));
});

test('an estimate is kept by 1 − 1/t², and by nothing within one standard error or on the wrong side of 0', () => {
  const kept = (t: number): number => shrinkageFactor({ t });
  assert.equal(
    [2, 4, 1, 0.5, 0, -3, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map(kept),
    [0.75, 0.9375, 0, 0, 0, 0, 1, 0, 0],
  );
  assert.is(shrinkageFactor(null), 0);
});

test('more evidence never shrinks more', () => {
  const t = fc.double({ min: -10, max: 100, noNaN: true });
  fc.assert(
    fc.property(t, t, (a, b) => {
      const kept = [Math.min(a, b), Math.max(a, b)].map((one) => shrinkageFactor({ t: one }));
      assert.ok(0 <= kept[0]! && kept[0]! <= kept[1]! && kept[1]! <= 1, `${a}, ${b}: ${kept}`);
    }),
    { seed: 32, numRuns: PROPERTY_RUNS },
  );
});

test.run();
