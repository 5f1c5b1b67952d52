import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ML4TOrchestrator } from '../../src/index.js';
import type { BarSeries } from '../../src/market/bar.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { trainedBundle } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { randomBars } from '../support/market.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SEED = 11;
const BARS = 400;

/** The bits of an answer that must not depend on anything but the bars up to as-of, the side and the bundle. */
function bitsOf(answer: EnrichedSignalEvent): unknown {
  const { metaConfidence, regimeWeight, toxicity, size, asOfNs, asOfSequence, modelId, degraded } = answer;
  return [metaConfidence, regimeWeight, toxicity, size, String(asOfNs), asOfSequence, modelId, degraded];
}

async function started(bars: BarSeries): Promise<ML4TOrchestrator> {
  const orchestrator = new ML4TOrchestrator({}, { logger: silentLogger });
  await orchestrator.start();
  await orchestrator.hotSwapModel(await trainedBundle());
  for (let i = 0; i < bars.length; i++) orchestrator.addBar('X', bars.at(i));
  return orchestrator;
}

test('deleting every bar after as-of changes no bit of an answer', async () => {
  const bars = randomBars(BARS, 5);
  const whole = await started(bars);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 99, max: BARS - 1 }), fc.constantFrom(1, -1), async (last, side) => {
      const cut = await started(bars.slice(0, last + 1));
      const event = { instrumentId: 'X', signal: side as 1 | -1, timestamp: bars.tsEventNs[last]! };
      assert.equal(bitsOf(cut.processSignalSync(event)), bitsOf(whole.processSignalSync(event)));
      await cut.stop();
    }),
    { seed: SEED, numRuns: PROPERTY_RUNS / 4 },
  );
  await whole.stop();
});

test('an answer can be computed again from its as-of and its bundle, to the last bit', async () => {
  const bars = randomBars(BARS, 6);
  const live = await started(bars.slice(0, 100));
  const answers = [];
  for (let i = 100; i < BARS; i++) {
    live.addBar('X', bars.at(i));
    answers.push(
      live.processSignalSync({ instrumentId: 'X', signal: i % 2 === 0 ? 1 : -1, timestamp: bars.tsEventNs[i]! }),
    );
  }
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
