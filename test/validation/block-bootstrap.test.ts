import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { blockBootstrapInterval } from '../../src/validation/block-bootstrap.js';
import { normal } from '../regime/simulated-returns.js';
import { refusalOf } from '../support/refusal.js';

const OPTIONS = { blockLength: 4, resamples: 200, level: 0.95, seed: 7 };

function meanOf(values: Float64Array): (indices: Int32Array) => number {
  return (indices) => {
    let sum = 0;
    for (let k = 0; k < indices.length; k++) sum += values[indices[k]!]!;
    return sum / indices.length;
  };
}

function draws(count: number, seed: number): Float64Array {
  const random = seededUniform(seed);
  return Float64Array.from({ length: count }, () => normal(random));
}

/** Means of ten neighbouring draws. */
function overlapping(count: number, seed: number): Float64Array {
  const all = draws(count + 9, seed);
  return Float64Array.from({ length: count }, (_, k) => all.subarray(k, k + 10).reduce((sum, x) => sum + x, 0) / 10);
}

test('the same seed gives the same interval and another seed another one', () => {
  const statistic = meanOf(draws(100, 1));
  const first = blockBootstrapInterval(100, statistic, OPTIONS);
  assert.equal(blockBootstrapInterval(100, statistic, OPTIONS), first);
  assert.not.equal(blockBootstrapInterval(100, statistic, { ...OPTIONS, seed: 8 }), first);
});

test('every resample is as long as the sequence and made of blocks of neighbours, the first following the last', () => {
  let resamples = 0;
  const starts = new Set<number>();
  let wrapped = false;
  blockBootstrapInterval(
    10,
    (indices) => {
      resamples++;
      assert.is(indices.length, 10);
      for (let k = 0; k < 10; k++) {
        if (k % 4 === 0) starts.add(indices[k]!);
        else assert.is(indices[k], (indices[k - 1]! + 1) % 10);
        if (k % 4 !== 0 && indices[k] === 0) wrapped = true;
      }
      return 0;
    },
    OPTIONS,
  );
  assert.is(resamples, 200);
  assert.is(starts.size, 10, 'a block begins anywhere');
  assert.ok(wrapped);
});

test('the bounds are the quantiles of the resampled statistic', () => {
  const values: number[] = [];
  const statistic = (indices: Int32Array): number => {
    const value = meanOf(draws(50, 2))(indices);
    values.push(value);
    return value;
  };
  const interval = blockBootstrapInterval(50, statistic, { ...OPTIONS, resamples: 201, level: 0.9 });
  values.sort((a, b) => a - b);
  assert.equal(interval, [values[10], values[190]]);
});

test('a higher level holds a lower one', () => {
  const statistic = meanOf(draws(100, 3));
  const [wide, narrow] = [0.99, 0.5].map((level) => blockBootstrapInterval(100, statistic, { ...OPTIONS, level }));
  assert.ok(wide![0] < narrow![0] && narrow![0] < narrow![1] && narrow![1] < wide![1]);
});

/** Share of seeds whose 95 % interval of the mean holds the true 0, and the mean width. */
function coverage(sample: (count: number, seed: number) => Float64Array, blockLength: number, count = 400) {
  const runs = 300;
  let covered = 0;
  let width = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const options = { blockLength, resamples: 200, level: 0.95, seed };
    const [lower, upper] = blockBootstrapInterval(count, meanOf(sample(count, seed)), options);
    if (lower <= 0 && 0 <= upper) covered++;
    width += upper - lower;
  }
  return { share: covered / runs, width: width / runs };
}

test('the 95 % interval of a mean of independent values covers the true mean in 95 cases of a hundred', () => {
  const { share, width } = coverage(draws, 1);
  // Three standard deviations of a rate of 95 % over 300 runs are 3.8 %; 200 resamples cost about one point.
  assert.ok(share > 0.9 && share < 0.99, `covered ${share}`);
  // Twice 1.96 standard errors of 1/√400, to the noise of a mean over 300 intervals from 200 resamples.
  assert.ok(Math.abs(width - 0.196) < 0.006, `width ${width}`);
});

test('values that hang together need blocks: single values give too narrow an interval', () => {
  const single = coverage(overlapping, 1, 1000);
  const blocks = coverage(overlapping, 40, 1000);
  assert.ok(single.share < 0.6, `single values covered ${single.share}`);
  assert.ok(blocks.share > 0.88, `blocks of four times the dependence covered ${blocks.share}`);
  assert.ok(blocks.width > 2.3 * single.width, `${blocks.width} against ${single.width}; it would be √10 without end`);
});

test('blocks are no use where nothing hangs together, and hardly any harm', () => {
  const single = coverage(draws, 1);
  const blocks = coverage(draws, 8);
  assert.ok(Math.abs(blocks.width / single.width - 1) < 0.05, `${blocks.width} against ${single.width}`);
});

test('a block as long as the sequence leaves nothing to chance in its mean', () => {
  const values = Float64Array.of(1, 2, 4, 8, 16);
  for (const blockLength of [5, 50]) {
    assert.equal(blockBootstrapInterval(5, meanOf(values), { ...OPTIONS, blockLength }), [6.2, 6.2]);
  }
});

test('one value is its own interval and none has none', () => {
  assert.equal(blockBootstrapInterval(1, meanOf(Float64Array.of(3)), OPTIONS), [3, 3]);
  const never = (): number => {
    throw new Error('there is nothing to resample');
  };
  assert.ok(blockBootstrapInterval(0, never, OPTIONS).every(Number.isNaN));
});

test('one resample is both bounds', () => {
  const [lower, upper] = blockBootstrapInterval(100, meanOf(draws(100, 4)), { ...OPTIONS, resamples: 1 });
  assert.is(lower, upper);
});

const REFUSED = [
  { blockLength: 0 },
  { blockLength: -1 },
  { blockLength: Number.NaN },
  { resamples: 0 },
  { resamples: Number.NaN },
  { level: 0 },
  { level: 1 },
  { level: 95 },
  { level: Number.NaN },
];

test('options that mean nothing are refused, even for no values', async () => {
  for (const wrong of REFUSED) {
    for (const length of [0, 10]) {
      const refusal = await refusalOf(() => blockBootstrapInterval(length, () => 0, { ...OPTIONS, ...wrong }));
      assert.is(refusal.code, 'OUT_OF_RANGE', JSON.stringify(wrong));
      assert.is(refusal.field, 'options');
    }
  }
});

test.run();
