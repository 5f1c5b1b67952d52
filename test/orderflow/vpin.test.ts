import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import type { Bar } from '../../src/market/bar.js';
import { VpinIndicator, type VpinOptions } from '../../src/orderflow/vpin.js';
import { randomBars } from '../support/market.js';
import { referenceVectors } from '../support/reference.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { assertAbsolute, type Maybe, referenceSlice, vectorBars, vectors } from '../support/vectors.js';

const SEED = 20_240_108;
const TOLERANCE = 1e-9;
/** A bar takes microseconds; a pour bucket by bucket of these volumes would take for ever. */
const ONE_BAR_MS_MAX = 2000;

const METHOD = { tick_rule: 'tick-rule', close_vs_open: 'close-vs-open' } as const;
type ReferenceMethod = keyof typeof METHOD | 'bvc';

interface FixedReference {
  readonly cases: readonly {
    readonly method: ReferenceMethod;
    readonly bucket_size: number;
    readonly n_buckets: number;
    readonly value: readonly number[];
    readonly bucket_count?: readonly number[];
  }[];
}

interface EdgeReference {
  readonly vpin: readonly {
    readonly case: string;
    readonly method: ReferenceMethod;
    readonly bucket_size: number;
    readonly n_buckets: number;
    readonly bars_ohlcv: readonly (readonly [number, number, number, number, number])[];
    /** Value, buckets complete, volume and buys in the open bucket. */
    readonly after_each_bar_value_count_acc_buy: readonly (readonly [number, number, Maybe, Maybe])[];
  }[];
}

interface BulkReference {
  readonly configs: readonly {
    readonly barsPerBucket: number;
    readonly volumeWindow: number;
    readonly nBuckets: number;
    readonly sigmaWindow: number;
    readonly every: number;
    readonly values: readonly Maybe[];
  }[];
}

function barOf(open: number, close: number, volume: number): Bar {
  return { tsEventNs: 0n, open, high: Math.max(open, close), low: Math.min(open, close), close, volume };
}

const rising = (volume: number): Bar => barOf(1, 2, volume);
const falling = (volume: number): Bar => barOf(2, 1, volume);

/** The value after each bar, NaN for null. */
function valuesOf(indicator: VpinIndicator, bars: Iterable<Bar>): number[] {
  return Array.from(bars, (bar) => {
    indicator.update(bar);
    return indicator.value ?? Number.NaN;
  });
}

function* barsOfSeries(series: { length: number; at(index: number): Bar }): Iterable<Bar> {
  for (let i = 0; i < series.length; i++) yield series.at(i);
}

/** Fails when the work takes longer than one bar ever may, instead of hanging. */
function assertEndsSoon(work: () => void): void {
  runInNewContext('work()', { work }, { timeout: ONE_BAR_MS_MAX });
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof OrchestratorError && error.code === code;
}

for (const slice of ['btc_0', 'gbpusd_0'] as const) {
  test(`with fixed buckets ${slice} has the reference's values, and none while theirs is zero for want of buckets`, async () => {
    const reference = referenceVectors<FixedReference>(`${slice}_vpin`);
    const bars = await referenceSlice(slice);
    if (reference === null || bars === null) return;
    const constant = slice === 'gbpusd_0';
    let cases = 0;
    for (const { method, bucket_size, n_buckets, value } of reference.cases) {
      if (method === 'bvc') continue;
      const counts = reference.cases.find(
        (other) => other.method === method && other.bucket_size === bucket_size && other.bucket_count !== undefined,
      )?.bucket_count;
      assert.ok(counts, 'the reference counts its buckets');
      const indicator = new VpinIndicator({
        method: METHOD[method],
        bucketVolume: bucket_size,
        nBuckets: n_buckets,
      });
      const ours = valuesOf(
        indicator,
        Array.from(barsOfSeries(bars), (bar) => (constant ? { ...bar, volume: 1 } : bar)),
      );
      value.forEach((expected, k) => {
        const wanted = counts[k]! < n_buckets ? null : expected;
        const what = `${method} ${bucket_size}/${n_buckets} after bar ${50 * k + 49}`;
        assertAbsolute(ours[50 * k + 49]!, wanted, TOLERANCE, what);
      });
      cases++;
    }
    assert.is(cases, 8);
  });
}

test('bulk VPIN of real bars equals the reference, and has no value while the reference has none', async () => {
  const reference = referenceVectors<BulkReference>('btc_0_bulk_vpin');
  const bars = await referenceSlice('btc_0');
  if (reference === null || bars === null) return;
  assert.is(reference.configs.length, 2);
  for (const { every, values, barsPerBucket, volumeWindow, nBuckets, sigmaWindow } of reference.configs) {
    const options = { barsPerBucket, volumeWindow, nBuckets, sigmaWindow };
    const ours = valuesOf(new VpinIndicator(options), barsOfSeries(bars));
    assert.is(values.length, Math.floor(bars.length / every));
    values.forEach((expected, k) => {
      const bar = every * (k + 1) - 1;
      assertAbsolute(ours[bar]!, expected, TOLERANCE, `${JSON.stringify(options)} after bar ${bar}`);
    });
  }
});

test("tiny inputs have the reference's values bar by bar", () => {
  const reference = referenceVectors<EdgeReference>('edge_vpin');
  if (reference === null) return;
  let compared = 0;
  for (const {
    method,
    bucket_size,
    n_buckets,
    bars_ohlcv,
    after_each_bar_value_count_acc_buy,
    ...rest
  } of reference.vpin) {
    if (method === 'bvc') continue;
    const indicator = new VpinIndicator({ method: METHOD[method], bucketVolume: bucket_size, nBuckets: n_buckets });
    const ours = valuesOf(
      indicator,
      bars_ohlcv.map(([open, high, low, close, volume]) => ({ tsEventNs: 0n, open, high, low, close, volume })),
    );
    after_each_bar_value_count_acc_buy.forEach(([value, count], k) => {
      assertAbsolute(ours[k]!, count < n_buckets ? null : value, TOLERANCE, `${rest.case}, ${method}, bar ${k}`);
      compared++;
    });
  }
  assert.ok(compared > 10);
});

test('every method equals values worked in exact fractions and an exact normal CDF', () => {
  for (const { options, values } of vectors.vpin) {
    const ours = valuesOf(new VpinIndicator(options), barsOfSeries(vectorBars()));
    values.forEach((expected, k) => {
      assertAbsolute(ours[k]!, expected, TOLERANCE, `${JSON.stringify(options)} after bar ${k}`);
    });
  }
});

test('there is no value before the last of nBuckets buckets is complete', () => {
  const indicator = new VpinIndicator({ method: 'close-vs-open', bucketVolume: 10, nBuckets: 2 });
  assert.is(indicator.value, null);
  assert.is(indicator.toxicityLevel, null);
  assert.equal(valuesOf(indicator, [rising(10), falling(9), falling(1)]), [Number.NaN, Number.NaN, 1]);
});

test('volume beyond a bucket opens the next one, and only the last nBuckets count', () => {
  const indicator = new VpinIndicator({ method: 'close-vs-open', bucketVolume: 10, nBuckets: 2 });
  // Buckets: 8 up and 2 down (0.6), 10 down (1), 3 down and 7 up (0.4), 10 up (1).
  const values = valuesOf(indicator, [rising(8), falling(15), rising(17)]);
  assertAbsolute(values[1]!, 0.8, TOLERANCE, 'after two buckets');
  assertAbsolute(values[2]!, 0.7, TOLERANCE, 'after four buckets');
});

test('the tick rule gives an unchanged close the side before it, and the first bar none', () => {
  const indicator = new VpinIndicator({ method: 'tick-rule', bucketVolume: 10, nBuckets: 1 });
  const closes = [5, 5, 6, 6, 5, 5];
  const values = valuesOf(
    indicator,
    closes.map((close) => barOf(1, close, 5)),
  );
  // The first two bars have no side and pour nothing; 6 and 6 fill a bucket of buys, 5 and 5 one of sells.
  assert.equal(values, [Number.NaN, Number.NaN, Number.NaN, 1, 1, 1]);
  const mixed = new VpinIndicator({ method: 'tick-rule', bucketVolume: 10, nBuckets: 1 });
  assert.is(
    valuesOf(
      mixed,
      [5, 6, 5].map((close) => barOf(1, close, 5)),
    ).at(-1),
    0,
  );
});

test('a bar that closes where it opened pours nothing when the close is held against the open', () => {
  const indicator = new VpinIndicator({ method: 'close-vs-open', bucketVolume: 10, nBuckets: 1 });
  assert.equal(valuesOf(indicator, [barOf(3, 3, 1000), rising(5), falling(5)]), [Number.NaN, Number.NaN, 0]);
});

test('bulk volume is split evenly before two changes are known, and goes to one side when the changes do not vary', () => {
  const options = { barsPerBucket: 1, volumeWindow: 1, nBuckets: 1, sigmaWindow: 3 };
  const after = (closes: readonly number[]): number[] =>
    valuesOf(
      new VpinIndicator(options),
      closes.map((close) => barOf(1, close, 7)),
    );
  assert.equal(after([10, 11, 12, 13]), [0, 0, 1, 1]);
  assert.equal(after([13, 12, 11, 10]), [0, 0, 1, 1]);
  assert.equal(after([10, 10, 10, 10]), [0, 0, 0, 0]);
});

test('a bulk bucket is sized by the mean volume of the window when it opens', () => {
  const options = { barsPerBucket: 1, volumeWindow: 2, nBuckets: 1, sigmaWindow: 2 };
  const indicator = new VpinIndicator(options);
  // Sizes: 4; then (4 + 8) / 2 = 6 twice, the second opened by the 2 left over and closed by 4 of the next bar.
  const values = valuesOf(indicator, [barOf(1, 10, 4), barOf(1, 11, 8), barOf(1, 12, 3), barOf(1, 13, 1)]);
  // 2 at one half each and 4 bought whole: |2 · (1 + 4) − 6| / 6.
  assert.equal(values.slice(0, 3), [0, 0, 0]);
  assertAbsolute(values[3]!, 4 / 6, TOLERANCE, 'the bucket of two bars');
});

test('unknown volume makes the value unavailable until the next known volume, and pours nothing', () => {
  for (const unknown of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const indicator = new VpinIndicator({ method: 'close-vs-open', bucketVolume: 10, nBuckets: 1 });
    const values = valuesOf(indicator, [rising(10), falling(5), falling(unknown)]);
    assert.equal(values, [1, 1, Number.NaN]);
    assert.is(indicator.toxicityLevel, null);
    assert.equal(valuesOf(indicator, [rising(0), rising(5)]), [1, 0]);
  }
});

test('negative volume is refused and leaves the indicator as it was', () => {
  const indicator = new VpinIndicator({ barsPerBucket: 2, nBuckets: 2 });
  valuesOf(indicator, barsOfSeries(randomBars(30, 1)));
  const before = indicator.toState();
  assert.throws(() => indicator.update(barOf(1, 2, -1)), hasCode('OUT_OF_RANGE'));
  assert.equal(indicator.toState(), before);
});

test('the level is low below 0.3, medium from there and high from 0.7', () => {
  const levelOf = (buys: number): string | null => {
    const indicator = new VpinIndicator({ method: 'close-vs-open', bucketVolume: 10, nBuckets: 1 });
    valuesOf(indicator, [rising(buys), falling(10 - buys)]);
    return indicator.toxicityLevel;
  };
  assert.equal([5, 6.4375, 6.5, 8.4375, 8.5, 10].map(levelOf), ['low', 'low', 'medium', 'medium', 'high', 'high']);
});

test('a bar of enormous volume takes no longer than any other and keeps the rest of it in the open bucket', () => {
  const indicator = new VpinIndicator({ method: 'close-vs-open', bucketVolume: 3, nBuckets: 2 });
  assertEndsSoon(() => indicator.update(rising(2 ** 60)));
  assert.is(indicator.value, 1);
  // 2^60 leaves 1 after whole buckets of 3: the next bucket closes with 1 bought and 2 sold.
  indicator.update(falling(2));
  assertAbsolute(indicator.value ?? Number.NaN, (1 + 1 / 3) / 2, TOLERANCE, 'after the rest');
});

test('a volume of 1e300 ends at once with every method, and the value stays between 0 and 1', () => {
  const methods: VpinOptions[] = [
    { barsPerBucket: 0.001, volumeWindow: 1000, nBuckets: 50, sigmaWindow: 5 },
    { method: 'tick-rule', bucketVolume: 1e-9, nBuckets: 50 },
    { method: 'close-vs-open', bucketVolume: 1e-9, nBuckets: 50 },
  ];
  for (const options of methods) {
    const indicator = new VpinIndicator(options);
    valuesOf(indicator, barsOfSeries(randomBars(60, 2)));
    assertEndsSoon(() => indicator.update({ ...randomBars(1, 3).at(0), volume: 1e300 }));
    for (const value of [indicator.value, ...valuesOf(indicator, barsOfSeries(randomBars(20, 4)))]) {
      assert.ok(value !== null && value >= 0 && value <= 1, `${value} with ${JSON.stringify(options)}`);
    }
  }
});

test('the largest volume a number can hold makes no value outside 0 to 1', () => {
  const indicator = new VpinIndicator({ barsPerBucket: 2, volumeWindow: 4, nBuckets: 2, sigmaWindow: 5 });
  valuesOf(indicator, barsOfSeries(randomBars(20, 5)));
  assertEndsSoon(() => {
    for (let k = 0; k < 3; k++) indicator.update(barOf(10, 10, Number.MAX_VALUE));
  });
  const { value } = indicator;
  assert.ok(value === null || (value >= 0 && value <= 1), `${value}`);
});

test('the smallest volume above zero does not stop the buckets after it', () => {
  const indicator = new VpinIndicator({ barsPerBucket: 2, volumeWindow: 4, nBuckets: 2, sigmaWindow: 5 });
  assertEndsSoon(() => {
    for (const volume of [0, Number.MIN_VALUE, Number.MIN_VALUE]) indicator.update(barOf(10, 10, volume));
  });
  const values = valuesOf(indicator, barsOfSeries(randomBars(60, 5)));
  assert.ok(values.at(-1)! >= 0 && values.at(-1)! <= 1, `${values.at(-1)}`);
});

/** The definition without a bound: every bucket is poured and kept. Exact for the volumes it is given below. */
function pouredWhole(
  buyFractions: readonly number[],
  volumes: readonly number[],
  sizeAt: (bar: number) => number,
  nBuckets: number,
): number[] {
  const imbalances: number[] = [];
  let size = 0;
  let filled = 0;
  let buys = 0;
  return volumes.map((volume, bar) => {
    for (let left = volume; left > 0; ) {
      if (size === 0) size = sizeAt(bar);
      const taken = Math.min(left, size - filled);
      filled += taken;
      buys += taken * buyFractions[bar]!;
      left -= taken;
      if (filled < size) continue;
      imbalances.push(Math.abs(2 * buys - size) / size);
      [size, filled, buys] = [0, 0, 0];
    }
    const last = imbalances.slice(-nBuckets);
    return last.length < nBuckets ? Number.NaN : last.reduce((sum, value) => sum + value, 0) / nBuckets;
  });
}

test('fixed buckets give the value of a pour that skips no bucket', () => {
  const bar = fc.record({ up: fc.boolean(), volume: fc.oneof(fc.nat(20), fc.nat(5000)) });
  const property = fc.property(
    fc.array(bar, { minLength: 1, maxLength: 60 }),
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 8 }),
    (bars, bucketVolume, nBuckets) => {
      const indicator = new VpinIndicator({ method: 'close-vs-open', bucketVolume, nBuckets });
      const ours = valuesOf(
        indicator,
        bars.map(({ up, volume }) => (up ? rising(volume) : falling(volume))),
      );
      const naive = pouredWhole(
        bars.map(({ up }) => Number(up)),
        bars.map(({ volume }) => volume),
        () => bucketVolume,
        nBuckets,
      );
      naive.forEach((value, k) => {
        assertAbsolute(ours[k]!, value, TOLERANCE, `after bar ${k}`);
      });
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('bulk buckets give the value of a pour that skips no bucket', () => {
  // Volumes in multiples of 12 over windows of up to 4 bars, so that every bucket size is exact.
  const volume = fc.oneof(fc.nat(9), fc.nat(2000)).map((twelves) => 12 * twelves);
  const property = fc.property(
    fc.array(volume, { minLength: 4, maxLength: 60 }),
    fc.constantFrom(0.25, 0.5, 1, 3),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 6 }),
    (volumes, barsPerBucket, volumeWindow, nBuckets) => {
      // A price that never turns: half of the first two bars bought, then all of them.
      const indicator = new VpinIndicator({ barsPerBucket, volumeWindow, nBuckets, sigmaWindow: 3 });
      const ours = valuesOf(
        indicator,
        volumes.map((value, k) => barOf(1, 10 + k, value)),
      );
      const naive = pouredWhole(
        volumes.map((_, k) => (k < 2 ? 0.5 : 1)),
        volumes,
        (bar) => {
          const window = volumes.slice(Math.max(0, bar + 1 - volumeWindow), bar + 1);
          return (barsPerBucket * window.reduce((sum, value) => sum + value, 0)) / window.length;
        },
        nBuckets,
      );
      naive.forEach((value, k) => {
        assertAbsolute(ours[k]!, value, TOLERANCE, `after bar ${k}`);
      });
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

const METHODS: readonly VpinOptions[] = [
  { barsPerBucket: 2.5, volumeWindow: 12, nBuckets: 4, sigmaWindow: 7 },
  { method: 'tick-rule', bucketVolume: 700, nBuckets: 5 },
  { method: 'close-vs-open', bucketVolume: 90.5, nBuckets: 9 },
];

test('an indicator restored at any bar goes on with the same bits', () => {
  const property = fc.property(
    fc.integer(),
    fc.integer({ min: 0, max: 120 }),
    fc.constantFrom(...METHODS),
    fc.integer({ min: 0, max: 119 }),
    (seed, cut, options, unknownBar) => {
      const bars = [...barsOfSeries(randomBars(120, seed))];
      bars[unknownBar] = { ...bars[unknownBar]!, volume: Number.NaN };
      const original = new VpinIndicator(options);
      valuesOf(original, bars.slice(0, cut));
      const restored = VpinIndicator.fromState(original.toState());
      assert.is(restored.value, original.value);
      assert.is(restored.toxicityLevel, original.toxicityLevel);
      for (const bar of bars.slice(cut)) {
        original.update(bar);
        restored.update(bar);
        assert.ok(Object.is(restored.value, original.value), `${restored.value} is not ${original.value}`);
      }
      assert.equal(restored.toState(), original.toState());
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('a state is read from the middle of a larger buffer, and does not change with it', () => {
  const indicator = new VpinIndicator(METHODS[0]);
  valuesOf(indicator, barsOfSeries(randomBars(80, 6)));
  const state = indicator.toState();
  const larger = new Uint8Array(state.length + 16);
  larger.set(state, 3);
  const restored = VpinIndicator.fromState(larger.subarray(3, 3 + state.length));
  larger.fill(0);
  assert.equal(restored.toState(), state);
});

test('a state cut short at any byte, or with anything behind it, is refused', () => {
  for (const options of METHODS) {
    const indicator = new VpinIndicator(options);
    valuesOf(indicator, barsOfSeries(randomBars(80, 7)));
    const state = indicator.toState();
    for (let bytes = 0; bytes < state.length; bytes++) {
      const what = `${bytes} of ${state.length} bytes of ${JSON.stringify(options)}`;
      assert.throws(() => VpinIndicator.fromState(state.slice(0, bytes)), hasCode('STATE_CORRUPT'), what);
    }
    for (const extra of [1, 8]) {
      const longer = new Uint8Array(state.length + extra);
      longer.set(state);
      assert.throws(() => VpinIndicator.fromState(longer), hasCode('STATE_CORRUPT'), `${extra} bytes more`);
    }
  }
});

test('a state whose version, method or parameters cannot be is refused as corrupt', () => {
  const words = { version: 0, method: 1, barsPerBucket: 2, volumeWindow: 3, sigmaWindow: 4, nBuckets: 6, changes: 13 };
  const indicator = new VpinIndicator(METHODS[0]);
  valuesOf(indicator, barsOfSeries(randomBars(80, 8)));
  for (const [name, word] of Object.entries(words)) {
    for (const value of [Number.NaN, -1, 0, name === 'barsPerBucket' ? Number.POSITIVE_INFINITY : 1e300]) {
      if (name === 'method' && value === 0) continue;
      const state = indicator.toState();
      new DataView(state.buffer).setFloat64(8 * word, value, true);
      assert.throws(() => VpinIndicator.fromState(state), hasCode('STATE_CORRUPT'), `${name} ${value}`);
    }
  }
});

test('a parameter outside its range is refused by its name', () => {
  const cases: readonly (readonly [string, VpinOptions])[] = [
    ['barsPerBucket', { barsPerBucket: 0 }],
    ['barsPerBucket', { barsPerBucket: Number.NaN }],
    ['volumeWindow', { volumeWindow: 1.5 }],
    ['sigmaWindow', { sigmaWindow: 0 }],
    ['nBuckets', { nBuckets: -1 }],
    ['bucketVolume', { method: 'tick-rule', bucketVolume: 0 }],
    ['bucketVolume', { method: 'close-vs-open', bucketVolume: Number.POSITIVE_INFINITY }],
    ['nBuckets', { method: 'tick-rule', bucketVolume: 1, nBuckets: 0.5 }],
  ];
  for (const [field, options] of cases) {
    assert.throws(
      () => new VpinIndicator(options),
      (error: unknown) => hasCode('OUT_OF_RANGE')(error) && (error as OrchestratorError).field === field,
      field,
    );
  }
});

test.run();
