import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gateStart, windowSizes } from '../../src/training/windows.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const calendar = (bars: number): BigInt64Array => BigInt64Array.from({ length: bars }, (_, k) => BigInt(100 + 10 * k));
const AUTOMATIC = { gateBars: null };

test('a challenger is tested on the newest 15 % of the bars where nothing says otherwise', () => {
  assert.is(gateStart(calendar(1000), 0n, AUTOMATIC), 850);
  assert.is(gateStart(calendar(1000), 0n, { gateBars: 200 }), 800);
});

test('the test window begins after everything the champion was trained on, and is empty when that is all', () => {
  // Bar 900 closes at 9100.
  assert.is(gateStart(calendar(1000), 9100n, AUTOMATIC), 901);
  assert.is(gateStart(calendar(1000), 9099n, AUTOMATIC), 900);
  assert.is(gateStart(calendar(1000), 10_090n, AUTOMATIC), 1000);
  assert.is(gateStart(calendar(1000), 20_000n, { gateBars: 500 }), 1000);
});

test('more test bars than there are mean all of them', () => {
  assert.is(gateStart(calendar(1000), 0n, { gateBars: 5000 }), 0);
});

test('whatever the calendar, no test bar was seen by the champion, and as many of the newest are taken as may be', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 0, max: 110_000 }),
      fc.option(fc.integer({ min: 1, max: 400 }), { nil: null }),
      (stamps, championEnd, gateBars) => {
        const calendarNs = BigInt64Array.from(stamps.map(BigInt)).sort();
        const start = gateStart(calendarNs, BigInt(championEnd), { gateBars });
        const tested = [...calendarNs.subarray(start)];
        assert.ok(tested.every((closeNs) => closeNs > BigInt(championEnd)));
        const wanted = gateBars ?? Math.floor(calendarNs.length * 0.15);
        const unseen = [...calendarNs].filter((closeNs) => closeNs > BigInt(championEnd)).length;
        assert.is(tested.length, Math.min(wanted, unseen, calendarNs.length));
      },
    ),
    { numRuns: PROPERTY_RUNS },
  );
});

test('short series are cut in proportion and long ones by count, unless the plan says how', () => {
  const own = { trainBars: null, testBars: null };
  assert.equal(windowSizes(1000, own), { trainBars: 600, testBars: 80 });
  assert.equal(windowSizes(39_999, own), { trainBars: 23_999, testBars: 3199 });
  assert.equal(windowSizes(40_000, own), { trainBars: 15_000, testBars: 5000 });
  assert.equal(windowSizes(1000, { trainBars: 700, testBars: null }), { trainBars: 700, testBars: 80 });
});

test.run();
