import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ML4TOrchestrator } from '../../src/index.js';
import { type Bar, BarSeries } from '../../src/market/bar.js';
import type { SignalEvent } from '../../src/market/events.js';
import { TrainingLoop } from '../../src/training/training-loop.js';
import { FAST_VPIN, fastTrainedBundle, fixtureBars, FIXTURE_INSTRUMENT as X } from '../support/bundles.js';
import { capturedLog } from '../support/captured-log.js';
import { ManualClock } from '../support/manual-clock.js';
import { plantedPlan, plantedSeries } from '../support/planted.js';
import { refusalOf } from '../support/refusal.js';

const BARS = 200;
const MS_NS = 1_000_000n;
const bars = fixtureBars(BARS, 5);
/** As exchanges stamp them that name the last moment of a bar. */
const early = BarSeries.from({ ...bars, tsEventNs: bars.tsEventNs.map((closeNs) => closeNs - MS_NS) });
const last = BARS - 1;

async function started(logger = capturedLog().logger): Promise<ML4TOrchestrator> {
  const orchestrator = new ML4TOrchestrator({ dispatch: 'inline', vpin: FAST_VPIN }, { logger });
  await orchestrator.start();
  await orchestrator.hotSwapModel(await fastTrainedBundle());
  return orchestrator;
}

function add(orchestrator: ML4TOrchestrator, series: BarSeries, from = 0): void {
  for (let i = from; i < series.length; i++) orchestrator.addBar(X, series.at(i));
}

const signalAt = (timestamp: bigint, more: Partial<SignalEvent> = {}): SignalEvent => ({
  instrumentId: X,
  signal: 1,
  timestamp,
  ...more,
});

function bitsOf(orchestrator: ML4TOrchestrator, event: SignalEvent): unknown {
  const answer = orchestrator.processSignalSync(event);
  const { metaConfidence, regimeWeight, toxicity, size, asOfNs, asOfSequence, degraded } = answer;
  return [metaConfidence, regimeWeight, toxicity, size, asOfNs, asOfSequence, degraded];
}

test('bars and signals at 59.999 are answered to the bit as those at the whole minute', async () => {
  const [whole, shifted, carried] = [await started(), await started(), await started()];
  add(whole, bars);
  add(shifted, early);
  const closeNs = bars.tsEventNs[last]!;
  const expected = bitsOf(whole, signalAt(closeNs));
  assert.equal((expected as bigint[])[4], closeNs);
  for (const at of [closeNs, closeNs - MS_NS, closeNs - 1n]) {
    assert.equal(bitsOf(whole, signalAt(at)), expected);
    assert.equal(bitsOf(shifted, signalAt(at)), expected);
    assert.equal(bitsOf(carried, signalAt(at, { bars: early })), expected);
  }
  assert.equal((bitsOf(whole, signalAt(closeNs - MS_NS - 1n)) as unknown[])[5], last - 1, 'one earlier is earlier');
  await Promise.all([whole, shifted, carried].map((one) => one.stop()));
});

test('a bar sent with 59.999 and with the whole minute is one bar, and another one of its time is a conflict', async () => {
  const orchestrator = await started();
  add(orchestrator, early);
  add(orchestrator, bars);
  const { close, ...rest }: Bar = early.at(last);
  const refusal = await refusalOf(async () =>
    orchestrator.addBar(X, { ...rest, close, volume: (rest.volume || 0) + 1 }),
  );
  assert.is(refusal.code, 'BAR_CONFLICT');
  const answer = orchestrator.processSignalSync(signalAt(bars.tsEventNs[last]!));
  assert.is(answer.asOfSequence, last);
  await orchestrator.stop();
});

test('the answer names the time that the caller gave, and the rounding is counted and told once', async () => {
  const { logger, lines } = capturedLog();
  const orchestrator = await started(logger);
  add(orchestrator, early);
  const given = bars.tsEventNs[last]! - MS_NS;
  for (let k = 0; k < 3; k++) assert.is(orchestrator.processSignalSync(signalAt(given)).signalEvent.timestamp, given);
  assert.equal(orchestrator.roundedTimes, { bars: BARS, signals: 3 });
  assert.is(lines.filter(({ msg }) => msg.includes('whole second')).length, 2);
  await orchestrator.stop();
});

test('a series of closes and decisions at 59.999 trains the model of the same ones at the whole minute', async () => {
  const plan = plantedPlan({ trainBars: 500, testBars: 250 });
  const series = plantedSeries(1200, 71, 0.85);
  const { logger, lines } = capturedLog();
  const loop = new TrainingLoop({ plan, clock: new ManualClock(), logger, queuedMax: 2 });
  const stamped = series.bars.tsEventNs.map((closeNs) => closeNs - MS_NS);
  const shifted = { ...series, bars: BarSeries.from({ ...series.bars, tsEventNs: stamped }), decidedNs: stamped };
  const [one, other] = [await loop.train(series), await loop.train(shifted)];
  await loop.close();
  assert.is(one.trained.modelId, other.trained.modelId);
  assert.is(lines.filter(({ msg }) => msg.includes('whole second')).length, 1);
});

test.run();
