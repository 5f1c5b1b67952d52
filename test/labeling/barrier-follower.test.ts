import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { completeTripleBarrier, judgeReturn } from '../../src/labeling/barrier.js';
import { type BarPath, BarrierFollower } from '../../src/labeling/barrier-follower.js';
import { randomBars } from '../support/market.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

/** The same bars in a ring of 64, of which bar i lies at 64 + (i & 63). */
function ringOf({ open, high, low, close }: BarPath, first: number, end: number): BarPath {
  const ring = (column: Float64Array): Float64Array => {
    const values = new Float64Array(128);
    for (let i = first; i < end; i++) values[64 + (i & 63)] = column[i]!;
    return values;
  };
  return { base: 64, mask: 63, open: ring(open), high: ring(high), low: ring(low), close: ring(close) };
}

test('a path gives the same outcome in one step or in many, in a series or a ring, with a new follower or one used before', () => {
  const used = new Map<string, BarrierFollower>();
  fc.assert(
    fc.property(
      fc.nat(),
      fc.constantFrom('signal-close' as const, 'next-open' as const),
      fc.constantFrom(-1, 1),
      fc.array(fc.integer({ min: -1, max: 7 })),
      (seed, entry, side, strides) => {
        const { open, high, low, close } = randomBars(160, seed);
        const series = { base: 0, mask: -1, open, high, low, close };
        const barrier = completeTripleBarrier({ entry, maxHoldingBars: 40 });
        const known = used.get(entry) ?? new BarrierFollower(barrier);
        used.set(entry, known);
        known.start(series, 101, side, 0.4, true);
        known.follow(series, 159);
        const stepped = new BarrierFollower(barrier);
        const ring = ringOf(series, 100, 160);
        stepped.start(ring, 101, side, 0.4, true);
        let last = 100;
        for (const stride of strides) {
          last += stride;
          stepped.follow(ring, last);
          assert.ok(stepped.outcome !== null || stepped.bar >= Math.min(last, 140));
        }
        stepped.follow(ring, 159);
        stepped.follow(ring, 159);
        const facts = ({ bar, outcome, ambiguous, unitReturn }: BarrierFollower): unknown[] => [
          bar,
          outcome,
          ambiguous,
          unitReturn,
        ];
        assert.is.not(known.outcome, null);
        assert.equal([...facts(stepped), stepped.judge()], [...facts(known), known.judge()]);
      },
    ),
    { seed: 71, numRuns: PROPERTY_RUNS },
  );
});

test('before its entry a position has no unit, from then on it has one', () => {
  const series = { base: 0, mask: -1, ...randomBars(10, 1) };
  const next = new BarrierFollower(completeTripleBarrier());
  next.start(series, 4, 1, 0.5, true);
  assert.ok(Number.isNaN(next.unitReturn));
  next.follow(series, 3);
  assert.ok(Number.isNaN(next.unitReturn));
  next.follow(series, 4);
  assert.is(next.unitReturn, 0.5 / series.open[4]!);
  const close = new BarrierFollower(completeTripleBarrier({ entry: 'signal-close' }));
  close.start(series, 4, 1, 0.5, true);
  assert.is(close.unitReturn, 0.5 / series.close[3]!);
});

test('a return is judged by the label configuration, wherever it comes from', () => {
  const barrier = completeTripleBarrier({ costBps: 25, minReturn: 0.01, labelCost: 'net' });
  assert.equal(judgeReturn(0.0625, 0.125, barrier), {
    grossReturn: 0.0625,
    netReturn: 0.06,
    grossR: 0.5,
    metaLabel: 1,
  });
  assert.is(judgeReturn(0.0125, 0.125, barrier).metaLabel, 0, 'not more than the minimum once cost is paid');
  assert.is(judgeReturn(0.0125, 0.125, { ...barrier, labelCost: 'gross' }).metaLabel, 1);
  assert.ok(Number.isNaN(judgeReturn(0.0125, Number.NaN, barrier).grossR));
});

test.run();
