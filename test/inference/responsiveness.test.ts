import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OrchestratorConfigInput } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/index.js';
import type { SignalEvent } from '../../src/market/events.js';
import { fixtureBars, trainedBundle } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { remembered, stopAll } from '../support/opened.js';
import { BATCH_SIGNALS, LATENESS_RUNS } from '../support/sizes.js';

test.after.each(stopAll);

const INTERVAL_MS = 5;
const LATE_MS_MAX = 50;
const LOAD_MS = 100;
const IN_FLIGHT = 4000;
const SENT_PER_TURN = 200;
const KNOWN_IDS = ['A', 'B', 'C', 'D'];
const bars = fixtureBars(160, 12);

async function started(config: OrchestratorConfigInput): Promise<ML4TOrchestrator> {
  const orchestrator = new ML4TOrchestrator(
    { inferenceTimeoutMs: 5000, store: { instrumentsMax: 8, barsPerInstrument: 256 }, ...config },
    { logger: silentLogger },
  );
  await remembered(orchestrator).start();
  await orchestrator.hotSwapModel(await trainedBundle());
  for (const id of KNOWN_IDS) for (let i = 0; i < 160; i++) orchestrator.addBar(id, bars.at(i));
  return orchestrator;
}

function signalOf(k: number, side: SignalEvent['signal'] = k % 2 === 0 ? 1 : -1): SignalEvent {
  return { instrumentId: KNOWN_IDS[k % 4]!, signal: side, timestamp: bars.tsEventNs[159]! };
}

type Load = (orchestrator: ML4TOrchestrator, isOver: () => boolean) => Promise<void>;

/** How late the timer was at worst while the load ran. */
async function worstLatenessMs(orchestrator: ML4TOrchestrator, load: Load): Promise<number> {
  let worst = 0;
  let last = performance.now();
  const startMs = last;
  const measure = (): void => {
    const now = performance.now();
    worst = Math.max(worst, now - last - INTERVAL_MS);
    last = now;
  };
  const timer = setInterval(measure, INTERVAL_MS);
  await load(orchestrator, () => performance.now() - startMs > LOAD_MS);
  // A timer that never ran was late by the whole load.
  measure();
  clearInterval(timer);
  return worst;
}

const loads: Readonly<Record<string, Load>> = {
  'thousands of signals on their way': async (orchestrator, isOver) => {
    let unanswered = 0;
    for (let k = 0; !isOver(); ) {
      for (let sent = 0; sent < SENT_PER_TURN && unanswered < IN_FLIGHT; sent++, k++) {
        unanswered++;
        void orchestrator.processSignal(signalOf(k)).then(() => unanswered--);
      }
      await nextTurn();
    }
    while (unanswered > 0) await nextTurn();
  },
  'a caller that awaits one answer after the other': async (orchestrator, isOver) => {
    for (let k = 0; !isOver(); k++) await orchestrator.processSignal(signalOf(k));
  },
  'a caller that awaits one flat signal after the other': async (orchestrator, isOver) => {
    for (let k = 0; !isOver(); k++) await orchestrator.processSignal(signalOf(k, 0));
  },
  'a caller that awaits signals of an instrument without bars': async (orchestrator, isOver) => {
    for (let k = 0; !isOver(); k++) await orchestrator.processSignal({ ...signalOf(k), instrumentId: 'UNSEEN' });
  },
  'a big batch': async (orchestrator) => {
    await orchestrator.processSignals(Array.from({ length: BATCH_SIGNALS }, (_, k) => signalOf(k)));
  },
};

/** Busy all the time and yet never in anyone's way: what the timer is late now, it owes to the machine's other guests. */
const politeLoad: Load = async (_orchestrator, isOver) => {
  while (!isOver()) {
    const endMs = performance.now() + 2;
    while (performance.now() < endMs);
    await nextTurn();
  }
};

for (const dispatch of ['pool', 'auto', 'inline'] as const) {
  test(`a timer of main is hardly ever late under load (${dispatch})`, async () => {
    const orchestrator = await started({ dispatch, workers: 1 });
    for (const [name, load] of Object.entries(loads)) {
      const worsts: number[] = [];
      // Until the engine has compiled the way of a signal, main is busy with that.
      await worstLatenessMs(orchestrator, load);
      for (let run = 0; run < LATENESS_RUNS; run++) {
        const unavoidable = await worstLatenessMs(orchestrator, politeLoad);
        worsts.push((await worstLatenessMs(orchestrator, load)) - unavoidable);
      }
      const median = worsts.toSorted((a, b) => a - b)[LATENESS_RUNS >> 1]!;
      assert.ok(median < LATE_MS_MAX, `${name}: ${worsts.map((ms) => ms.toFixed(1)).join(', ')} ms late`);
    }
    await orchestrator.stop();
  });
}

test('a load that never leaves the microtasks would be seen: the control', async () => {
  const orchestrator = await started({ dispatch: 'inline' });
  const late = await worstLatenessMs(orchestrator, async (_orchestrator, isOver) => {
    while (!isOver()) await Promise.resolve();
  });
  assert.ok(late > LATE_MS_MAX, `${late} ms`);
  await orchestrator.stop();
});

test.run();
