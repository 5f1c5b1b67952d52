import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BarSeries } from '../../src/market/bar.js';
import { RoundedTimes, roundCloses } from '../../src/market/rounded-times.js';
import { wholeSecondNs } from '../../src/market/timestamp.js';
import { randomBars } from '../support/market.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SEED = 5;
const SECOND_NS = 1_000_000_000n;
const MS_NS = 1_000_000n;
const instants = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

test('an instant within 1 ms before a whole second is that second, every other one stays', () => {
  fc.assert(
    fc.property(instants, (ns) => {
      const into = ((ns % SECOND_NS) + SECOND_NS) % SECOND_NS;
      const expected = into >= SECOND_NS - MS_NS ? ns - into + SECOND_NS : ns;
      assert.is(wholeSecondNs(ns), expected);
    }),
    { seed: SEED, numRuns: PROPERTY_RUNS },
  );
});

test('the edges of the millisecond are where they are said to be', () => {
  const minute = 1_700_000_040n * SECOND_NS;
  for (const short of [0n, 1n, 999n, MS_NS - 1n, MS_NS]) assert.is(wholeSecondNs(minute - short), minute);
  for (const off of [-MS_NS - 1n, 1n, MS_NS]) assert.is(wholeSecondNs(minute + off), minute + off);
});

test('rounding keeps the order of instants, changes nothing twice and stays within 64 bits', () => {
  fc.assert(
    fc.property(instants, instants, (a, b) => {
      const [one, other] = [wholeSecondNs(a), wholeSecondNs(b)];
      assert.is(wholeSecondNs(one), one);
      assert.ok(a <= b ? one <= other : one >= other);
      assert.is(BigInt.asIntN(64, one), one);
    }),
    { seed: SEED, numRuns: PROPERTY_RUNS },
  );
});

test('a series without such closes is returned as it is, another one in a copy', () => {
  const bars = randomBars(10, 1);
  assert.is(roundCloses(bars), bars);
  const stamped = bars.tsEventNs.map((closeNs) => closeNs - MS_NS);
  const series = roundCloses(BarSeries.from({ ...bars, tsEventNs: stamped }));
  assert.equal(series.tsEventNs, bars.tsEventNs);
  assert.is(stamped[0], bars.tsEventNs[0]! - MS_NS);
});

test('what is changed is counted, and the first of each kind is told', () => {
  const told: string[] = [];
  const times = new RoundedTimes((kind, ns) => told.push(`${kind} ${ns}`));
  for (const ns of [SECOND_NS, SECOND_NS - 1n, SECOND_NS - 2n]) times.round('bars', ns);
  assert.is(times.round('signals', 2n * SECOND_NS - MS_NS), 2n * SECOND_NS);
  assert.equal(times.counts, { bars: 2, signals: 1 });
  assert.equal(told, [`bars ${SECOND_NS - 1n}`, `signals ${2n * SECOND_NS - MS_NS}`]);
});

test.run();
