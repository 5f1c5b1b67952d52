import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ML4TOrchestrator } from '../../src/index.js';
import { BarSeries } from '../../src/market/bar.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { FAST_VPIN, fastTrainedBundle, fixtureBars, FIXTURE_INSTRUMENT as X } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SEED = 11;
const BARS = 400;
/** From here on VPIN is known, too. */
const KNOWN_FROM = 140;

/** The bits of an answer that must not depend on anything but the bars up to as-of, the side and the bundle. */
function bitsOf(answer: EnrichedSignalEvent): unknown {
  const { metaConfidence, regimeWeight, toxicity, size, asOfNs, asOfSequence, modelId, degraded } = answer;
  const { regimeAvailable, toxicityAvailable, sizeReason } = answer;
  const flags = [regimeAvailable, toxicityAvailable, sizeReason, degraded];
  return [metaConfidence, regimeWeight, toxicity, size, String(asOfNs), asOfSequence, modelId, flags];
}

/** Fails unless what the bundle knows of the instrument went into the answers and made them differ. */
function checkKnown(answers: readonly EnrichedSignalEvent[]): void {
  assert.ok(answers.length > 0);
  for (const answer of answers) assert.ok(answer.regimeAvailable && answer.toxicityAvailable, `${answer.asOfSequence}`);
  // VPIN moves once a bucket, every five bars or so.
  for (const name of ['metaConfidence', 'regimeWeight', 'toxicity', 'size'] as const) {
    assert.ok(new Set(answers.map((answer) => answer[name])).size > answers.length / 10, name);
  }
}

async function started(bars: BarSeries): Promise<ML4TOrchestrator> {
  const orchestrator = new ML4TOrchestrator(
    { dispatch: 'inline', vpin: FAST_VPIN, sizing: { kappa: 0.0005 } },
    { logger: silentLogger },
  );
  await orchestrator.start();
  await orchestrator.hotSwapModel(await fastTrainedBundle());
  for (let i = 0; i < bars.length; i++) orchestrator.addBar(X, bars.at(i));
  return orchestrator;
}

test('deleting every bar after as-of changes no bit of an answer', async () => {
  const bars = fixtureBars(BARS, 5);
  const whole = await started(bars);
  const answers: EnrichedSignalEvent[] = [];
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 99, max: BARS - 1 }), fc.constantFrom(1, -1), async (last, side) => {
      const cut = await started(bars.slice(0, last + 1));
      const event = { instrumentId: X, signal: side as 1 | -1, timestamp: bars.tsEventNs[last]! };
      const answer = whole.processSignalSync(event);
      assert.equal(bitsOf(cut.processSignalSync(event)), bitsOf(answer));
      if (last >= KNOWN_FROM) answers.push(answer);
      await cut.stop();
    }),
    { seed: SEED, numRuns: PROPERTY_RUNS / 4 },
  );
  checkKnown(answers);
  await whole.stop();
});

test('other bars after as-of change no bit of an answer', async () => {
  const bars = fixtureBars(BARS, 5);
  const whole = await started(bars);
  for (const last of [150, 233, 300]) {
    const other = fixtureBars(BARS, 8);
    const ratio = bars.close[last]! / other.close[last]!;
    const spliced = (name: 'open' | 'high' | 'low' | 'close' | 'volume'): Float64Array =>
      bars[name].map((value, i) => (i <= last ? value : 3 * ratio * other[name][i]!));
    const { tsEventNs } = bars;
    const [open, high, low, close, volume] = (['open', 'high', 'low', 'close', 'volume'] as const).map(spliced);
    const garbled = await started(
      BarSeries.from({ tsEventNs, open: open!, high: high!, low: low!, close: close!, volume: volume! }),
    );
    for (let at = 99; at <= last + 1; at++) {
      const event = { instrumentId: X, signal: 1 as const, timestamp: bars.tsEventNs[at]! };
      const [told, expected] = [garbled, whole].map((one) => bitsOf(one.processSignalSync(event)));
      if (at <= last) assert.equal(told, expected);
      else assert.not.equal(told, expected, 'the control: the bar itself counts');
    }
    await garbled.stop();
  }
  await whole.stop();
});

test('an answer can be computed again from its as-of and its bundle, to the last bit', async () => {
  const bars = fixtureBars(BARS, 6);
  const live = await started(bars.slice(0, 100));
  const answers = [];
  for (let i = 100; i < BARS; i++) {
    live.addBar(X, bars.at(i));
    answers.push(
      live.processSignalSync({ instrumentId: X, signal: i % 2 === 0 ? 1 : -1, timestamp: bars.tsEventNs[i]! }),
    );
  }
  checkKnown(answers.slice(KNOWN_FROM - 100));
  const later = await started(bars);
  for (const answer of answers) {
    const { signalId: _id, ...event } = answer.signalEvent;
    assert.equal(bitsOf(later.processSignalSync({ ...event, timestamp: answer.asOfNs })), bitsOf(answer));
    assert.is(answer.generation, 1);
    assert.is(answer.modelId, later.model?.modelId);
  }
  await live.stop();
  await later.stop();
});

test.run();
