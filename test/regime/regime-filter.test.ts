import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deriveFeatureColumns, type FeatureColumns } from '../../src/features/feature-columns.js';
import { BarSeries } from '../../src/market/bar.js';
import { seededUniform } from '../../src/random.js';
import { stationaryDistribution } from '../../src/regime/gaussian-hmm.js';
import { REGIME_BARS_MIN, RegimeFilter } from '../../src/regime/regime-filter.js';
import type { RegimeModel } from '../../src/regime/regime-model.js';
import { randomBars } from '../support/market.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { randomColumns } from './simulated-returns.js';

const BARS = 300;
const SCALE = { returnMean: 1e-5, returnDeviation: 0.001, logVolatilityMean: -6.9, logVolatilityDeviation: 0.15 };

/** Any valid model, from nearly certain transitions to even ones. */
function randomModel(seed: number, stateCount: number): RegimeModel {
  const random = seededUniform(seed);
  const transition = Array.from({ length: stateCount }, () => {
    const row = Array.from({ length: stateCount }, () => 10 ** (-6 * random()));
    const total = row.reduce((a, b) => a + b);
    return row.map((value) => value / total);
  }).flat();
  return {
    stateCount,
    names: Array.from({ length: stateCount }, () => 'ranging' as const),
    weights: Array.from({ length: stateCount }, () => random()),
    stationary: [...stationaryDistribution(Float64Array.from(transition), stateCount)],
    transition,
    mean: Array.from({ length: 2 * stateCount }, () => 6 * random() - 3),
    variance: Array.from({ length: 2 * stateCount }, () => 10 ** (4 * random() - 3)),
    scales: { X: SCALE },
  };
}

const anyModel = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 1, max: 3 }))
  .map(([seed, stateCount]) => randomModel(seed, stateCount));

function filterOf(model: RegimeModel): RegimeFilter {
  const filter = RegimeFilter.of(model, 'X');
  if (filter === null) throw new Error('X is known');
  return filter;
}

/** ln Σ exp. */
function logSum(values: readonly number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/** The same weight, straight from its definition: 64 steps of the forward recursion on logarithms. */
function weightByDefinition(model: RegimeModel, { logReturn, volatility }: FeatureColumns, i: number): number {
  const { stateCount, mean, variance, transition, stationary, weights } = model;
  const states = Array.from({ length: stateCount }, (_, k) => k);
  const clamp = (value: number): number => Math.max(-8, Math.min(8, value));
  const logDensity = (bar: number, k: number): number => {
    const inputs = [
      clamp((logReturn[bar]! - SCALE.returnMean) / SCALE.returnDeviation),
      clamp((Math.log(Math.max(volatility[bar]!, 1e-10)) - SCALE.logVolatilityMean) / SCALE.logVolatilityDeviation),
    ];
    return inputs
      .map(
        (x, p) =>
          -0.5 * (Math.log(2 * Math.PI * variance[2 * k + p]!) + (x - mean[2 * k + p]!) ** 2 / variance[2 * k + p]!),
      )
      .reduce((a, b) => a + b);
  };
  let forward = states.map((k) => Math.log(stationary[k]!) + logDensity(i - 63, k));
  for (let bar = i - 62; bar <= i; bar++) {
    const before = forward;
    forward = states.map(
      (k) => logSum(states.map((j) => before[j]! + Math.log(transition[j * stateCount + k]!))) + logDensity(bar, k),
    );
  }
  const total = logSum(forward);
  return states.reduce((sum, k) => sum + Math.exp(forward[k]! - total) * weights[k]!, 0);
}

/** The newest bars of plain columns in a ring somewhere inside larger arrays. */
function ringOf(plain: FeatureColumns, capacity: number, base: number): FeatureColumns {
  const place = (values: Float64Array): Float64Array => {
    const ring = new Float64Array(base + capacity + 3).fill(Number.NaN);
    for (let i = 0; i < values.length; i++) ring[base + (i & (capacity - 1))] = values[i]!;
    return ring;
  };
  const { high, low, close, volume } = plain;
  const series = { high, low, close, volume, logReturn: place(plain.logReturn), volatility: place(plain.volatility) };
  return { ...series, base, mask: capacity - 1 };
}

test('the weight is that of 64 forward steps on logarithms', () => {
  fc.assert(
    fc.property(anyModel, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 84, max: BARS - 1 }), (model, seed, i) => {
      const columns = randomColumns(BARS, seed);
      const actual = filterOf(model).weightAt(columns, i);
      const expected = weightByDefinition(model, columns, i);
      assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
    }),
    { seed: 21, numRuns: PROPERTY_RUNS },
  );
});

test('a ring and a plain series give the same bits, in any order of calls and however the filter was used before', () => {
  const capacity = 128;
  fc.assert(
    fc.property(
      anyModel,
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: BARS - 64, max: BARS - 1 }), { minLength: 1, maxLength: 30 }),
      (model, seed, bars) => {
        const plain = randomColumns(BARS, seed);
        const ring = ringOf(plain, capacity, 5);
        const sweeping = filterOf(model);
        const swept = Array.from({ length: BARS }, (_, i) => sweeping.weightAt(plain, i));
        const used = filterOf(model);
        for (const i of bars) {
          assert.is(used.weightAt(ring, i), swept[i], `bar ${i}`);
          assert.is(filterOf(model).weightAt(plain, i), swept[i]);
          used.weightAt(plain, 84 + (i % 100));
        }
      },
    ),
    { seed: 22, numRuns: PROPERTY_RUNS },
  );
});

test('what the filter remembers of other bars with the same numbers is never used for these', () => {
  const model = randomModel(5, 3);
  const filter = filterOf(model);
  for (const seed of [1, 2, 1, 3]) {
    const columns = randomColumns(BARS, seed);
    for (const i of [100, 101, 164, 84]) {
      assert.is(filter.weightAt(columns, i), filterOf(model).weightAt(columns, i));
    }
  }
});

test('it takes 85 bars', () => {
  const columns = randomColumns(BARS, 1);
  const filter = filterOf(randomModel(1, 3));
  assert.is(REGIME_BARS_MIN, 85);
  for (const i of [-1, 0, 20, 83]) assert.ok(Number.isNaN(filter.weightAt(columns, i)), `bar ${i}`);
  for (const i of [84, 85, BARS - 1]) assert.ok(Number.isFinite(filter.weightAt(columns, i)), `bar ${i}`);
});

test('neither later bars nor bars more than 84 back change a bit', () => {
  const bars = randomBars(BARS, 4);
  const columns = deriveFeatureColumns(bars);
  const model = randomModel(2, 3);
  for (const i of [84, 150, 250]) {
    const garble = (values: Float64Array): Float64Array =>
      values.map((value, j) => (j > i || j < i - 84 ? value * (2 + (j % 5)) : value));
    const { tsEventNs, open, high, low, close, volume } = bars;
    const garbled = deriveFeatureColumns(
      BarSeries.from({
        tsEventNs,
        open: garble(open),
        high: garble(high),
        low: garble(low),
        close: garble(close),
        volume,
      }),
    );
    assert.is(filterOf(model).weightAt(garbled, i), filterOf(model).weightAt(columns, i), `bar ${i}`);
  }
});

test('the 64th bar back still counts', () => {
  const columns = randomColumns(BARS, 6);
  const transition = [1 - 1e-6, 1e-6, 1e-6, 1 - 1e-6];
  const broad = { mean: [0.2, 0, -0.2, 0], variance: [1, 1, 1, 1], weights: [1, 0], stationary: [0.5, 0.5] };
  const model = { ...randomModel(1, 2), transition, ...broad };
  const logReturn = columns.logReturn.map((value, j) => (j === 200 - 63 ? value + 0.001 : value));
  assert.is.not(filterOf(model).weightAt({ ...columns, logReturn }, 200), filterOf(model).weightAt(columns, 200));
});

test('states a thousand deviations apart neither under- nor overflow', () => {
  const columns = randomColumns(BARS, 3);
  const narrow = { mean: [-8, -8, 0, 0, 8, 8], variance: [1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4] };
  const apart = 1e-6;
  const transition = [1 - 2 * apart, apart, apart, apart, 1 - 2 * apart, apart, apart, apart, 1 - 2 * apart];
  const model = { ...randomModel(1, 3), ...narrow, transition, stationary: [1 / 3, 1 / 3, 1 / 3] };
  const filter = filterOf(model);
  const logReturn = columns.logReturn.map((_, i) => (i % 3) - 1);
  const volatility = columns.volatility.map((_, i) => (i % 2 === 0 ? 0 : 10));
  for (let i = 84; i < BARS; i++) {
    const weight = filter.weightAt({ ...columns, logReturn, volatility }, i);
    assert.ok(weight >= 0 && weight <= 1, `${weight} at bar ${i}`);
  }
});

test('full trust in every state is full trust', () => {
  const columns = randomColumns(BARS, 3);
  const filter = filterOf({ ...randomModel(3, 3), weights: [1, 1, 1] });
  for (let i = 84; i < BARS; i++) assert.is(filter.weightAt(columns, i), 1);
});

test('an instrument the model was not trained on has no filter, not even one named like a property of objects', () => {
  const model = randomModel(1, 2);
  for (const id of ['Y', 'toString', '__proto__', 'constructor']) assert.is(RegimeFilter.of(model, id), null);
});

test.run();
