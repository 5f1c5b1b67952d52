import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import type { TrainingSeries } from '../../src/training/training-series.js';
import { silentLogger } from '../support/captured-log.js';
import { MINUTE_NS, randomBars } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';

const CONFIG = { dispatch: 'inline', training: { rounds: 5 }, retrain: { labelsPerFalseAlarm: 200 } } as const;

/** The sign of each bar's body, known at the close of that bar, or with `early` at the close of the one before. */
function bodySeries(instrumentId: string, seed: number, early: boolean): TrainingSeries {
  const bars = randomBars(1500, seed);
  const body = (bar: number): number => (bar < bars.length ? Math.sign(bars.close[bar]! - bars.open[bar]!) : 0);
  return { instrumentId, bars, sides: Int8Array.from(bars.close, (_, bar) => body(early ? bar + 1 : bar)) };
}

async function started(lookAhead: 'refuse' | 'allow' = 'refuse'): Promise<ML4TOrchestrator> {
  const config = { ...CONFIG, training: { ...CONFIG.training, lookAhead } };
  const system = new ML4TOrchestrator(config, { logger: silentLogger });
  await system.start();
  return system;
}

test('a training on sides that know the bar they are labelled by is refused and changes nothing', async () => {
  const system = await started();
  for (const series of [bodySeries('A', 1, true), [bodySeries('A', 1, true), bodySeries('B', 2, true)]]) {
    const { code, field, message } = await refusalOf(() => system.train(series));
    assert.equal([code, field], ['LOOK_AHEAD_SUSPECTED', 'sides']);
    assert.match(message, /100\.0 % of \d+ sides have its sign.*--signals-at open.*--look-ahead allow/);
  }
  assert.is(system.model, null);
  assert.is(system.models.length, 0);
  await system.stop();
});

test('the same sides, each known at the close of its bar, are trained on', async () => {
  const system = await started();
  const { report } = await system.train([bodySeries('A', 1, false), bodySeries('B', 2, false)]);
  assert.not(report.lookAhead.isSuspected);
  assert.ok(report.lookAhead.seenShare > 0.99);
  assert.ok(Math.abs(report.lookAhead.firstShare - 0.5) < 0.05);
  await system.stop();
});

test('a user who knows better may allow it, and the report says what was found', async () => {
  const system = await started('allow');
  const { report } = await system.train(bodySeries('A', 1, true));
  assert.ok(report.lookAhead.isSuspected);
  assert.ok(report.lookAhead.firstShare > 0.99);
  await system.stop();
});

test('sides decided while a bar is open may agree with it, since their outcomes begin after it', async () => {
  const system = await started();
  const series = bodySeries('A', 1, true);
  const decidedNs = series.bars.tsEventNs.map((closeNs) => closeNs + (MINUTE_NS * 5n) / 6n);
  const { report } = await system.train({ ...series, decidedNs });
  assert.not(report.lookAhead.isSuspected);
  await system.stop();
});

test.run();
