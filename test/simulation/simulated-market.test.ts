import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkBars } from '../../src/market/bar.js';
import { SIMULATION_START_NS, simulateMarket, simulateMarketPath } from '../../src/simulation/simulated-market.js';
import { MINUTE_NS } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';

const BARS = 100_000;
const still = simulateMarketPath({ bars: BARS, edge: 0, seed: 1 });
const moving = simulateMarketPath({ bars: BARS, edge: 1, seed: 1 });
/** Log return of every bar over its own sigma. */
const scaledReturns = still.bars.close.map((close, i) => Math.log(close / still.bars.open[i]!) / still.sigma[i]!);

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function standardError(values: Float64Array): number {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)) / values.length);
}

/** The sample's mean lies within four standard errors of the expected one. */
function assertMean(values: Float64Array, expected: number, what: string): void {
  const found = mean(values);
  assert.ok(Math.abs(found - expected) < 4 * standardError(values), `${what}: ${found} instead of ${expected}`);
}

test('bars are consistent minutes that each open at the close before, whatever the seed and the edge', () => {
  fc.assert(
    fc.property(fc.integer(), fc.double({ min: -1, max: 2, noNaN: true }), (seed, edge) => {
      const bars = simulateMarket({ bars: 300, edge, seed });
      checkBars(bars, 'bars');
      assert.is(bars.open[0], 100);
      assert.is(bars.tsEventNs[0], SIMULATION_START_NS + MINUTE_NS);
      for (let i = 1; i < bars.length; i++) {
        assert.is(bars.open[i], bars.close[i - 1]);
        assert.is(bars.tsEventNs[i]! - bars.tsEventNs[i - 1]!, MINUTE_NS);
      }
    }),
    { seed: 1, numRuns: 50 },
  );
  checkBars(still.bars, 'still');
  checkBars(moving.bars, 'moving');
});

test('the same seed repeats a market and another one does not', () => {
  const options = { bars: 500, edge: 0.5, seed: 9 };
  assert.equal(simulateMarketPath(options), simulateMarketPath(options));
  assert.equal(simulateMarket(options), simulateMarketPath(options).bars);
  const other = simulateMarket({ ...options, seed: 10 });
  assert.not.equal(other.close, simulateMarket(options).close);
});

test('a longer market begins with the bars of a shorter one', () => {
  const short = simulateMarketPath({ bars: 1000, edge: 1, seed: 1 });
  assert.equal(moving.bars.slice(0, 1000), short.bars);
  assert.equal(moving.regime.subarray(0, 1000), short.regime);
  assert.equal(moving.pull.subarray(0, 1000), short.pull);
});

test('another edge changes the price and neither regime, volatility, price noise, extremes nor volume noise', () => {
  assert.equal(moving.regime, still.regime);
  assert.equal(moving.sigma, still.sigma);
  assert.equal(moving.variance, still.variance);
  assert.not.equal(moving.bars.close, still.bars.close);
  const noises = [still, moving].map(({ bars, sigma, variance, pull }, edge) =>
    Array.from({ length: 1000 }, (_, i) => {
      const change = Math.log(bars.close[i]! / bars.open[i]!);
      const above = Math.log(bars.high[i]! / bars.open[i]!);
      return [
        (change - edge * sigma[i]! * pull[i]!) / Math.sqrt(variance[i]!),
        Math.exp((-2 * above * (above - change)) / variance[i]!),
        Math.log(bars.volume[i]! / (0.5 + Math.abs(change) / sigma[i]!)),
      ];
    }).flat(),
  );
  for (const [k, noise] of noises[0]!.entries()) assert.ok(Math.abs(noise - noises[1]![k]!) < 1e-6);
});

test('an edge given by bar acts where it is set, and the bars before are those of the edge before', () => {
  const stepped = simulateMarket({ bars: 2000, edge: (bar) => (bar < 1000 ? 0 : 1), seed: 1 });
  assert.equal(stepped.slice(0, 1000), still.bars.slice(0, 1000));
  assert.not.equal(stepped.close[1000], still.bars.close[1000]);
  assert.equal(simulateMarket({ bars: 2000, edge: () => 1, seed: 1 }), moving.bars.slice(0, 2000));
});

test('the regime switches once in 300 bars and visits both sides equally', () => {
  const switches = still.regime.reduce((count, z, i) => count + Number(i > 0 && z !== still.regime[i - 1]), 0);
  // A binomial count; the share of time is a mean over some 330 alternating spells.
  assert.ok(Math.abs(switches - BARS / 300) < 4 * Math.sqrt(BARS / 300), `${switches} switches`);
  const trending = still.regime.reduce((sum, z) => sum + z, 0) / BARS;
  assert.ok(Math.abs(trending - 0.5) < 4 * 0.5 * Math.sqrt(300 / BARS), `${trending} of the bars trend`);
});

test('log sigma without its regime is an autoregression of coefficient 0.985 and shock 0.1', () => {
  const h = still.sigma.map((sigma, i) => Math.log(sigma / (5e-4 * (still.regime[i] === 1 ? 1.6 : 0.8))));
  const shocks = h.subarray(1).map((value, i) => value - 0.985 * h[i]!);
  assertMean(shocks, 0, 'mean shock');
  assertMean(
    shocks.map((shock) => shock ** 2),
    0.01,
    'variance of the shocks',
  );
  assertMean(
    shocks.subarray(1).map((shock, i) => shock * shocks[i]!),
    0,
    'correlation of the shocks',
  );
  assertMean(
    shocks.map((shock, i) => shock * h[i]!),
    0,
    'shock with the level before it',
  );
});

test('returns have the variance sigma² given sigma, and tails heavier than normal', () => {
  const tail = still.variance.map((variance, i) => variance / still.sigma[i]! ** 2);
  assertMean(tail, 1, 'heavy-tailed factor');
  assertMean(
    tail.map((g) => 3 / g),
    5,
    'chi-square of 5 degrees of freedom',
  );
  assertMean(
    tail.map((g) => (3 / g - 5) ** 2),
    10,
    'its variance',
  );
  const normal = scaledReturns.map((x, i) => x / Math.sqrt(tail[i]!));
  assertMean(
    normal.map((x) => x ** 2),
    1,
    'variance of the price noise',
  );
  assertMean(
    scaledReturns.map((x) => x ** 2),
    1,
    'variance of the returns',
  );
  const kurtosis = mean(scaledReturns.map((x) => x ** 4)) / mean(scaledReturns.map((x) => x ** 2)) ** 2;
  assert.ok(kurtosis > 5, `kurtosis ${kurtosis}, 3 being normal and 9 its expectation here`);
});

test('without edge the log price is a martingale: no drift, whatever the pull would have been', () => {
  assertMean(scaledReturns, 0, 'drift');
  assertMean(
    scaledReturns.map((x, i) => x * still.pull[i]!),
    0,
    'drift along the pull',
  );
  assertMean(
    scaledReturns.subarray(1).map((x, i) => x * scaledReturns[i]!),
    0,
    'autocorrelation',
  );
});

test('with edge 1 the log price drifts by exactly sigma times the pull, given everything else', () => {
  const { bars, sigma, pull } = moving;
  const drift = bars.close.map((close, i) => Math.log(close / bars.open[i]!) / sigma[i]! - pull[i]!);
  assertMean(drift, 0, 'unexplained drift');
  assertMean(
    drift.map((x, i) => x * pull[i]!),
    0,
    'unexplained drift along the pull',
  );
});

test('the pull follows the 20-bar change while trending and leads back to the 20-bar mean otherwise', () => {
  const { bars, regime, sigma, pull } = moving;
  const price = bars.close.map(Math.log);
  assert.equal([...pull.subarray(0, 21)], new Array(21).fill(0));
  for (let i = 21; i < 5000; i++) {
    const spread = sigma[i]! * Math.sqrt(20);
    const average = mean(price.subarray(i - 20, i));
    const expected =
      regime[i] === 1
        ? 0.35 * Math.tanh((price[i - 1]! - price[i - 21]!) / spread)
        : -0.45 * Math.tanh((price[i - 1]! - average) / (spread / 2));
    assert.ok(Math.abs(pull[i]! - expected) < 1e-9, `bar ${i}`);
  }
});

test('high and low are the extremes of a Brownian bridge between open and close', () => {
  for (const { bars, variance } of [still, moving]) {
    for (const side of [1, -1] as const) {
      const extreme = side > 0 ? bars.high : bars.low;
      const reached = new Float64Array(BARS);
      const expected = new Float64Array(BARS);
      for (const level of [0.05, 0.3, 0.8, 1.5]) {
        for (let i = 0; i < BARS; i++) {
          const change = side * Math.log(bars.close[i]! / bars.open[i]!);
          const c = Math.max(change, 0) + level * Math.sqrt(variance[i]!);
          reached[i] = Number(side * Math.log(extreme[i]! / bars.open[i]!) > c);
          expected[i] = Math.exp((-2 * c * (c - change)) / variance[i]!);
        }
        assertMean(
          reached.map((hit, i) => hit - expected[i]!),
          0,
          `reach of ${side * level}`,
        );
      }
    }
  }
});

test('the range of a bar is that of the diffusion: its mean square is the variance of the return, both ways', () => {
  // E[max²] = E[min²] = variance for a Brownian motion without drift (Feller 1951).
  const { bars, variance } = still;
  for (const extreme of [bars.high, bars.low]) {
    assertMean(
      extreme.map((price, i) => Math.log(price / bars.open[i]!) ** 2 / variance[i]!),
      1,
      'mean square extreme',
    );
  }
});

test('volume grows with volatility and movement, its noise lognormal', () => {
  const { bars, sigma } = still;
  const noise = bars.volume.map((volume, i) =>
    Math.log(volume / ((sigma[i]! / 5e-4) * (0.5 + Math.abs(scaledReturns[i]!)))),
  );
  assertMean(noise, 0, 'log noise');
  assertMean(
    noise.map((x) => x ** 2),
    0.25,
    'its variance',
  );
});

test('the sources of chance are independent of each other', () => {
  const { bars, sigma, variance } = still;
  const price = scaledReturns.map((x, i) => (x * sigma[i]!) / Math.sqrt(variance[i]!));
  const tail = variance.map((value, i) => 3 / (value / sigma[i]! ** 2) - 5);
  const volume = bars.volume.map((value, i) =>
    Math.log(value / ((sigma[i]! / 5e-4) * (0.5 + Math.abs(scaledReturns[i]!)))),
  );
  const shock = sigma.map((value, i) => (i === 0 ? 0 : Math.log(value / sigma[i - 1]!)));
  const reach = bars.high.map((high, i) => {
    const above = Math.log(high / bars.open[i]!);
    return Math.exp((-2 * above * (above - Math.log(bars.close[i]! / bars.open[i]!))) / variance[i]!) - 0.5;
  });
  const sources = Object.entries({ price, tail, volume, shock, reach });
  for (const [a, [nameA, one]] of sources.entries()) {
    for (const [nameB, other] of sources.slice(a + 1)) {
      assertMean(
        one.map((x, i) => x * other[i]!),
        0,
        `${nameA} with ${nameB}`,
      );
    }
  }
});

test('what makes no market is refused with its option', async () => {
  const options = { bars: 100, edge: 1, seed: 1 };
  for (const [field, wrong] of [
    ['bars', { bars: 0 }],
    ['bars', { bars: 1.5 }],
    ['seed', { seed: 0.5 }],
    ['edge', { edge: Number.NaN }],
    ['edge', { edge: (bar: number) => (bar < 50 ? 0 : Number.POSITIVE_INFINITY) }],
  ] as const) {
    const refusal = await refusalOf(() => simulateMarket({ ...options, ...wrong }));
    assert.is(refusal.code, 'OUT_OF_RANGE');
    assert.is(refusal.field, field);
  }
});

test.run();
