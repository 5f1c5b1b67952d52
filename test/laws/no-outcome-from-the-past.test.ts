import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ML4TOrchestrator, type OutcomeEvent, tripleBarrierLabels } from '../../src/index.js';
import type { Bar, BarSeries } from '../../src/market/bar.js';
import { silentLogger } from '../support/captured-log.js';
import { MINUTE_NS, randomBars } from '../support/market.js';

const X = 'X';
const BARS = 400;
const HISTORY = 150;
const SIDE = 1;

/** One way to bring bars and signals in; `at`: the newest bar that is there, `decidedNs`: the signal's time. */
type Bring = (system: ML4TOrchestrator, bars: BarSeries, at: number, decidedNs: bigint) => Promise<unknown>;

const signalOf = (decidedNs: bigint): { instrumentId: string; signal: 1; timestamp: bigint; signalId: string } => ({
  instrumentId: X,
  signal: SIDE,
  timestamp: decidedNs,
  signalId: String(decidedNs),
});

const WAYS: Readonly<Record<string, Bring>> = {
  'bars before the signal': async (system, bars, at, decidedNs) => {
    system.addBar(X, bars.at(at));
    await system.processSignal(signalOf(decidedNs));
  },
  'bars within the signal': async (system, bars, at, decidedNs) => {
    const window: Bar[] = Array.from({ length: 120 }, (_, k) => bars.at(at - 119 + k));
    await system.processSignal({ ...signalOf(decidedNs), bars: window });
  },
  'signals in a batch': async (system, bars, at, decidedNs) => {
    system.addBar(X, bars.at(at));
    await system.processSignals([signalOf(decidedNs)]);
  },
};

/** A signal `delayNs` after the close of every fifth bar; the outcomes by the signal's id. */
async function outcomesOf(bars: BarSeries, delayNs: bigint, bring: Bring): Promise<Map<string, OutcomeEvent>> {
  const system = new ML4TOrchestrator({ dispatch: 'inline' }, { logger: silentLogger });
  const outcomes = new Map<string, OutcomeEvent>();
  system.events.on('outcomeResolved', (outcome) => outcomes.set(outcome.signalId, outcome));
  await system.start();
  for (let at = 0; at < BARS; at++) {
    if (at >= HISTORY && at % 5 === 0) await bring(system, bars, at, bars.tsEventNs[at]! + delayNs);
    else system.addBar(X, bars.at(at));
  }
  await system.stop();
  return outcomes;
}

for (const [way, bring] of Object.entries(WAYS)) {
  for (const [name, delayNs] of [
    ['at its bar’s close', 0n],
    ['half a minute after it', MINUTE_NS / 2n],
  ] as const) {
    test(`${way}: a signal decided ${name} ends as its training label does`, async () => {
      const bars = randomBars(BARS, 31);
      const outcomes = await outcomesOf(bars, delayNs, bring);
      const sides = new Int8Array(BARS).map((_, at) => (at >= HISTORY && at % 5 === 0 ? SIDE : 0));
      const decidedNs = bars.tsEventNs.map((closeNs) => closeNs + delayNs);
      const labels = tripleBarrierLabels(bars, sides, {}, undefined, decidedNs);
      assert.ok(labels.signalBar.length > 40);
      for (const [k, bar] of labels.signalBar.entries()) {
        const outcome = outcomes.get(String(decidedNs[bar]))!;
        assert.is(outcome.grossR, labels.grossR[k], `bar ${bar}`);
        assert.is(outcome.exitSequence, labels.exitBar[k]);
        assert.is(labels.firstBar[k], bar + (delayNs === 0n ? 1 : 2));
      }
    });
  }
}

test('a signal that comes before the bar that closes at its time sees the bar before and is not learned from', async () => {
  const bars = randomBars(BARS, 31);
  const system = new ML4TOrchestrator({ dispatch: 'inline' }, { logger: silentLogger });
  const outcomes: OutcomeEvent[] = [];
  const late: bigint[] = [];
  system.events.on('outcomeResolved', (outcome) => outcomes.push(outcome));
  system.events.on('barLate', ({ instrumentId, closeNs }) => {
    assert.is(instrumentId, X);
    late.push(closeNs);
  });
  await system.start();
  for (let at = 0; at < HISTORY; at++) system.addBar(X, bars.at(at));
  for (let at = HISTORY; at < HISTORY + 20; at++) {
    const answer = await system.processSignal(signalOf(bars.tsEventNs[at]!));
    assert.is(answer.asOfNs, bars.tsEventNs[at - 1]);
    system.addBar(X, bars.at(at));
  }
  assert.equal(
    outcomes.map(({ outcome, metaLabel }) => [outcome, metaLabel]),
    outcomes.map(() => ['censored', null]),
  );
  assert.is(outcomes.length, 20);
  assert.is(late.length, 20);
  assert.is(system.totals.lateBars, 20);
  await system.stop();
});

test.run();
