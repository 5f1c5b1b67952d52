import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pathStart } from '../../src/labeling/path-start.js';
import { tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { averageTrueRange } from '../../src/market/atr.js';
import { BarSeries } from '../../src/market/bar.js';
import { barIntervalNs } from '../../src/market/bar-interval.js';
import { FIRST_CLOSE_NS, MINUTE_NS, randomBars } from '../support/market.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SECOND_NS = 1_000_000_000n;

/** Bars that close so many seconds after the first. */
function closingAt(...seconds: readonly number[]): { base: number; mask: number; tsEventNs: BigInt64Array } {
  const tsEventNs = BigInt64Array.from(seconds, (second) => FIRST_CLOSE_NS + BigInt(second) * SECOND_NS);
  return { base: 0, mask: -1, tsEventNs };
}

/** `pathStart` of a signal `after` seconds behind the close of bar `from`, minute bars. */
function startOf(seconds: readonly number[], from: number, after: number, intervalNs: bigint | null = MINUTE_NS) {
  const times = closingAt(...seconds);
  const decidedNs = times.tsEventNs[from]! + BigInt(after) * SECOND_NS;
  return pathStart(times, from, seconds.length - 1, decidedNs, intervalNs);
}

test('the interval of bars is the gap that more than half of the last fourteen equal, holes or not', () => {
  const minutes = closingAt(0, 60, 120, 180, 60_000, 60_060, 60_120, 60_180);
  assert.is(barIntervalNs(minutes, 7, 0), MINUTE_NS);
  assert.is(barIntervalNs(minutes, 4, 0), MINUTE_NS);
  // Bars by volume have none, and neither has what is too short to tell.
  assert.is(barIntervalNs(closingAt(0, 13, 20, 95, 96, 130), 5, 0), null);
  assert.is(barIntervalNs(minutes, 1, 0), null);
  assert.is(barIntervalNs(closingAt(0, 60, 120, 240, 360), 4, 0), null, 'half of them is not more than half');
});

test('a signal at its bar’s close begins with the next bar, stored or not', () => {
  assert.equal(startOf([0, 60, 120], 1, 0), { kind: 'bar', bar: 2 });
  assert.equal(startOf([0, 60], 1, 0), { kind: 'bar', bar: 2 });
});

test('a signal between two closes begins with the first bar that opens after it, not with the one in progress', () => {
  assert.equal(startOf([0, 60, 120, 180], 1, 30), { kind: 'bar', bar: 3 });
  assert.equal(startOf([0, 60, 120], 1, 30), { kind: 'bar', bar: 3 });
  assert.equal(startOf([0, 60], 1, 30), { kind: 'open' });
});

test('after a hole the first bar is the one that opened after the signal, as its interval tells', () => {
  assert.equal(startOf([0, 60, 1800], 1, 30), { kind: 'bar', bar: 2 });
  // Without an interval it may have been open since the bar before.
  assert.equal(startOf([0, 60, 1800, 1860], 1, 30, null), { kind: 'bar', bar: 3 });
});

test('a bar that had closed by the signal’s time and comes after it is late', () => {
  assert.equal(startOf([0, 60, 120], 1, 60), { kind: 'late', bar: 2 });
  assert.equal(startOf([0, 60, 120], 1, 90), { kind: 'late', bar: 2 });
});

test('no price of a bar that opened before the signal was decided has a part in its label', () => {
  const count = 120;
  let entered = 0;
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 20, max: 80 }), fc.integer({ min: 1, max: 59 }), (seed, at, seconds) => {
      const bars = randomBars(count, seed);
      const sides = new Int8Array(count);
      sides[at] = seed % 2 === 0 ? 1 : -1;
      const decidedNs = new BigInt64Array(count);
      decidedNs[at] = bars.tsEventNs[at]! + BigInt(seconds) * SECOND_NS;
      const changed = changedAt(bars, at + 1);
      for (const entry of ['next-open', 'signal-close'] as const) {
        // The unit is known at the signal.
        const [one, other] = [bars, changed].map((series) =>
          tripleBarrierLabels(series, sides, { entry }, averageTrueRange(bars), decidedNs),
        );
        assert.equal(one, other);
        assert.equal([...one!.firstBar], [at + 2]);
        const early = tripleBarrierLabels(bars, sides, { entry }, averageTrueRange(bars));
        if (early.grossR[0] !== one!.grossR[0]) entered++;
      }
    }),
    { seed: 5, numRuns: PROPERTY_RUNS },
  );
  assert.ok(entered > PROPERTY_RUNS / 2, 'one that begins a bar earlier is another label');
});

test('the horizon counts from the first bar of the path', () => {
  const bars = randomBars(60, 4, { volatility: 1e-9 });
  const sides = new Int8Array(60);
  sides[40] = 1;
  const decidedNs = new BigInt64Array(60);
  decidedNs[40] = bars.tsEventNs[40]! + 1n;
  const labels = tripleBarrierLabels(bars, sides, { ptMultiplier: 50, slMultiplier: 50 }, undefined, decidedNs);
  assert.equal([labels.firstBar[0], labels.exitBar[0], labels.horizonClosed[0]], [42, 51, 1]);
});

function changedAt(bars: BarSeries, bar: number): BarSeries {
  const { tsEventNs } = bars;
  const copy = (name: 'open' | 'high' | 'low' | 'close'): Float64Array =>
    bars[name].map((value, i) => (i === bar ? value * (name === 'high' ? 2 : name === 'low' ? 0.5 : 1.3) : value));
  return BarSeries.from({ tsEventNs, open: copy('open'), high: copy('high'), low: copy('low'), close: copy('close') });
}

test.run();
