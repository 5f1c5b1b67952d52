import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { simulateMarket } from '../../src/simulation/simulated-market.js';
import { LiveRun, type Told } from './live-run.js';

const BARS = 4000;
const WARM_UP = 100;

function baseRate(told: readonly Told[]): number {
  return told.filter(({ outcome }) => outcome.metaLabel === 1).length / told.length;
}

function isEarly({ signal, outcome }: Told): boolean {
  return outcome.exitSequence - signal.asOf <= 2;
}

test('what resolves early is not like the rest: only closed signals give the base rate, the latest resolved ones do not', () => {
  const run = new LiveRun({ maxHoldingBars: 10 });
  const bars = simulateMarket({ bars: BARS, edge: 0, seed: 9 });
  let latestSum = 0;
  let latestCount = 0;
  for (let i = 0; i < bars.length; i++) {
    const before = run.told.length;
    run.bar(bars.at(i));
    if (i < WARM_UP) continue;
    run.follow({ side: i % 2 === 0 ? 1 : -1 });
    // The obvious monitor: of the signals of the last two bars, those that are resolved already.
    for (const { what, signal, outcome } of run.told.slice(before)) {
      if (what !== 'resolved' || i - signal.asOf > 2) continue;
      latestSum += outcome.metaLabel!;
      latestCount++;
    }
  }
  const closed = run.told.filter(({ what, outcome }) => what === 'closed' && outcome.metaLabel !== null);
  const all = baseRate(closed);
  const early = baseRate(closed.filter(isEarly));
  const rest = baseRate(closed.filter((told) => !isEarly(told)));
  console.log(
    `base rate: closed ${all.toFixed(3)}, resolved within 2 bars ${early.toFixed(3)}, later ${rest.toFixed(3)}`,
  );
  assert.is(closed.length, BARS - WARM_UP - 10);
  assert.ok(all - early > 0.06, `${early} is no worse than ${all}`);
  assert.ok(rest > all);
  assert.ok(all - latestSum / latestCount > 0.06, 'the latest resolved are the early ones');
  // Every signal whose horizon has closed is counted, early or late: the cohort is whole.
  assert.equal(
    closed.map(({ signal }) => signal.asOf),
    Array.from(closed, (_, k) => WARM_UP + k),
  );
});

test.run();
