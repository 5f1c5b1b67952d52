import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { averageTrueRange } from '../../src/market/atr.js';
import type { BarSeries } from '../../src/market/bar.js';
import {
  alignmentOf,
  alignSides,
  type BarStamps,
  type SideSchedule,
  type TimedSide,
} from '../../src/primary/side-schedule.js';
import { MINUTE_NS, randomBars } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';

const BARS = randomBars(300, 12);
const OPEN: BarStamps = { timestampIs: 'open', intervalNs: MINUTE_NS };
const CLOSE: BarStamps = { ...OPEN, timestampIs: 'close' };

/** The sign of every bar's body, stamped so long after its close. */
function bodies(bars: BarSeries, delayNs: bigint): TimedSide[] {
  return Array.from({ length: bars.length }, (_, bar) => ({
    timestampNs: bars.tsEventNs[bar]! + delayNs,
    side: Math.sign(bars.close[bar]! - bars.open[bar]!) as TimedSide['side'],
  }));
}

function labelsOf({ byBar, decidedNs }: SideSchedule): object {
  return tripleBarrierLabels(BARS, byBar, {}, averageTrueRange(BARS), decidedNs);
}

test('sides under the opening stamps of their bars, said to be so, have the labels of sides stamped at the close, bit for bit', () => {
  const closed = alignSides(bodies(BARS, 0n), BARS, OPEN);
  for (const opened of [
    alignSides(bodies(BARS, -MINUTE_NS), BARS, OPEN, 'open'),
    alignSides(bodies(BARS, -MINUTE_NS), BARS, CLOSE, 'open'),
    alignSides(bodies(BARS, 0n), BARS, OPEN, 'close'),
    alignSides(bodies(BARS, 0n), BARS, OPEN, 'instant'),
  ]) {
    assert.equal(opened, closed);
    assert.equal(labelsOf(opened), labelsOf(closed));
  }
  assert.not.equal(labelsOf(alignSides(bodies(BARS, -MINUTE_NS), BARS, OPEN, 'instant')), labelsOf(closed));
});

test('sides that all have opening stamps are refused until it is said what the stamps are', async () => {
  const stamped = bodies(BARS, -MINUTE_NS);
  for (const some of [stamped, stamped.slice(20), stamped.filter((_, k) => k % 7 === 3)]) {
    const { code, field, message } = await refusalOf(() => alignSides(some, BARS, OPEN));
    assert.equal([code, field], ['SIGNALS_AT_UNKNOWN', 'signals-at']);
    assert.match(message, /signals-at open.*signals-at close/);
  }
});

test('nothing need be said where one stamp is no opening stamp, or bars are stamped at their close', () => {
  const last = bodies(BARS, 0n).slice(-2);
  assert.is(alignSides(last, BARS, OPEN).byBar[299], last[1]!.side, 'the close of the last bar opens none');
  const between = bodies(BARS, -MINUTE_NS);
  between[7] = { ...between[7]!, timestampNs: between[7]!.timestampNs + 1n };
  assert.is(alignSides(between, BARS, OPEN).decidedNs[6], between[7]!.timestampNs);
  const closes = bodies(BARS, 0n);
  assert.equal(
    alignSides(closes, BARS, CLOSE).byBar,
    Int8Array.from(closes, ({ side }) => side),
  );
  assert.equal(alignSides([], BARS, OPEN).timed, []);
});

test('the close of a session’s last bar tells closing stamps from opening ones', () => {
  const bars = { ...BARS, length: 4, tsEventNs: BigInt64Array.of(10n, 20n, 50n, 60n) } as BarSeries;
  const stamps: BarStamps = { timestampIs: 'open', intervalNs: 10n };
  const at = (...times: bigint[]): TimedSide[] => times.map((timestampNs) => ({ timestampNs, side: 1 }));
  assert.equal(alignSides(at(10n, 20n, 50n), bars, stamps).decidedNs, BigInt64Array.of(10n, 20n, 50n, 0n));
  assert.throws(() => alignSides(at(10n, 40n, 50n), bars, stamps), /opening stamp/);
});

test('an alignment tells how long after the close they see sides were decided, flat ones aside', () => {
  const half = MINUTE_NS / 2n;
  const stamped = bodies(BARS, 0n).map((one, k) => (k < 100 ? one : { ...one, timestampNs: one.timestampNs + half }));
  stamped[50] = { ...stamped[50]!, side: 0 };
  const before: TimedSide = { timestampNs: BARS.tsEventNs[0]! - 1n, side: 1 };
  const schedule = alignSides([before, ...stamped], BARS, OPEN);
  const signals = 1 + stamped.filter(({ side }) => side !== 0).length;
  assert.equal(alignmentOf(schedule, BARS), { signals, unseen: 1, medianNs: half, maxNs: half });
  assert.equal(alignmentOf(alignSides(stamped.slice(0, 150), BARS, OPEN), BARS).medianNs, 0n);
});

test.run();
