import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OrchestratorConfigInput } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/index.js';
import type { SignalEvent } from '../../src/market/events.js';
import { fixtureBars, trainedBundle } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { remembered, stopAll } from '../support/opened.js';
import { refusalOf } from '../support/refusal.js';
import { BATCH_SIGNALS, INTERLEAVINGS } from '../support/sizes.js';

test.after.each(stopAll);

const SEED = 23;
const BARS = 160;
const KNOWN_IDS = ['A', 'B', 'C', 'D', 'E'];
/** Never has bars: its signals wait nowhere, and have an order all the same. */
const UNSEEN = 'UNSEEN';
const ROUTES: readonly OrchestratorConfigInput[] = [
  { dispatch: 'inline' },
  { dispatch: 'pool', workers: 1 },
  { dispatch: 'pool', workers: 2 },
  { dispatch: 'pool', workers: 3 },
  { dispatch: 'auto', workers: 1 },
  { dispatch: 'auto', workers: 3 },
];

const markets = KNOWN_IDS.map((_, k) => fixtureBars(BARS, 90 + k));
const LATEST_NS = markets[0]!.tsEventNs[BARS - 1]!;

async function started(config: OrchestratorConfigInput): Promise<ML4TOrchestrator> {
  const orchestrator = new ML4TOrchestrator(
    { inferenceTimeoutMs: 20_000, store: { instrumentsMax: 16, barsPerInstrument: 256 }, ...config },
    { logger: silentLogger },
  );
  await remembered(orchestrator).start();
  await orchestrator.hotSwapModel(await trainedBundle());
  for (const [k, id] of KNOWN_IDS.entries()) {
    for (let i = 0; i < BARS; i++) orchestrator.addBar(id, markets[k]!.at(i));
  }
  return orchestrator;
}

const anySignal: fc.Arbitrary<SignalEvent> = fc.record({
  // Mostly one instrument, so that its signals queue up.
  instrumentId: fc.constantFrom('A', 'A', 'A', 'A', ...KNOWN_IDS, UNSEEN),
  signal: fc.constantFrom(1 as const, -1 as const, 0 as const),
  timestamp: fc.constantFrom(LATEST_NS, markets[0]!.tsEventNs[120]!, markets[0]!.tsEventNs[50]!),
});

type Step =
  | { readonly kind: 'burst' | 'awaited' | 'batch'; readonly signals: readonly SignalEvent[] }
  | { readonly kind: 'turn' };
const signalsUpTo = (maxLength: number): fc.Arbitrary<SignalEvent[]> =>
  fc.array(anySignal, { minLength: 1, maxLength });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('burst' as const), signals: signalsUpTo(60) }),
  fc.record({ kind: fc.constant('burst' as const), signals: signalsUpTo(2) }),
  fc.record({ kind: fc.constant('awaited' as const), signals: signalsUpTo(3) }),
  fc.record({ kind: fc.constant('batch' as const), signals: signalsUpTo(600) }),
  fc.record({ kind: fc.constant('turn' as const) }),
);

/** Live signals keep an order of their own, and so do those of batches: a batch waits outside the lanes. */
type Kind = 'live' | 'batch';

/** Ids by kind and instrument in the order of one point on their way. */
class Orders {
  private readonly ids = new Map<string, string[]>();

  add(id: string, instrumentId: string): void {
    const key = `${id.split(':')[0]} ${instrumentId}`;
    const known = this.ids.get(key) ?? [];
    known.push(id);
    this.ids.set(key, known);
  }

  get all(): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries([...this.ids].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

let idCount = 0;
function named(signal: SignalEvent, kind: Kind): SignalEvent & { readonly signalId: string } {
  return { ...signal, signalId: `${kind}:${++idCount}` };
}

/** Sends the steps and fails unless everything admitted is emitted and resolved once, in the order of admission of its instrument. */
async function checkOrder(orchestrator: ML4TOrchestrator, steps: readonly Step[]): Promise<void> {
  const [admitted, sent, emitted, resolved] = [new Orders(), new Orders(), new Orders(), new Orders()];
  const listen = ({ signalId, signalEvent }: { signalId: string; signalEvent: SignalEvent }): void =>
    emitted.add(signalId, signalEvent.instrumentId);
  orchestrator.events.on('enriched', listen);
  const promises: Promise<void>[] = [];
  const send = async (signal: SignalEvent): Promise<void> => {
    const event = named(signal, 'live');
    admitted.add(event.signalId, event.instrumentId);
    sent.add(event.signalId, event.instrumentId);
    const answer = await orchestrator.processSignal(event);
    assert.is(answer.signalId, event.signalId);
    resolved.add(answer.signalId, event.instrumentId);
  };
  const sendBatch = async (signals: readonly SignalEvent[]): Promise<void> => {
    const batch = signals.map((signal) => named(signal, 'batch'));
    for (const { signalId, instrumentId } of batch) admitted.add(signalId, instrumentId);
    const answers = await orchestrator.processSignals(batch);
    assert.equal(
      answers.map(({ signalId }) => signalId),
      batch.map(({ signalId }) => signalId),
      'a batch is answered in the order of its events',
    );
  };
  for (const step of steps) {
    if (step.kind === 'turn') await nextTurn();
    else if (step.kind === 'awaited') for (const signal of step.signals) await send(signal);
    else if (step.kind === 'burst') promises.push(...step.signals.map(send));
    else promises.push(sendBatch(step.signals));
  }
  await Promise.all(promises);
  await nextTurn();
  orchestrator.events.off('enriched', listen);
  assert.equal(emitted.all, admitted.all, 'events');
  assert.equal(resolved.all, sent.all, 'promises');
}

for (const route of ROUTES) {
  test(`every signal is answered once, in the order of its instrument: ${JSON.stringify(route)}`, async () => {
    const orchestrator = await started(route);
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 12 }), (steps) => checkOrder(orchestrator, steps)),
      { seed: SEED, numRuns: INTERLEAVINGS },
    );
    await orchestrator.stop();
  });
}

test('signals of one instrument that take turns with other lanes still leave in order', async () => {
  const orchestrator = await started({ dispatch: 'auto', workers: 2 });
  const signal = { instrumentId: 'A', signal: 1, timestamp: LATEST_NS } as const;
  const flat = { ...signal, signal: 0 } as const;
  // Small turns go inline, large ones to a worker, however long that takes to wake; a flat signal in between must wait for the worker, too.
  const steps: Step[] = Array.from({ length: 30 }, (_, k) => [
    { kind: 'burst' as const, signals: Array<SignalEvent>(k % 2 === 0 ? 1 : 1000).fill(signal) },
    { kind: 'burst' as const, signals: [flat] },
    { kind: 'turn' as const },
  ]).flat();
  await checkOrder(orchestrator, steps);
  const { inline, pool } = orchestrator.dispatchMetrics;
  assert.ok(inline > 0 && pool > 100, `${inline} inline, ${pool} by workers`);
  await orchestrator.stop();
});

const signal = { instrumentId: 'A', signal: 1, timestamp: LATEST_NS } as const;

test('a batch with a faulty event is refused with its place, and nothing of it is answered', async () => {
  const orchestrator = await started({ dispatch: 'pool', workers: 1 });
  const before = orchestrator.totals.answered;
  for (const [index, fault] of [0, 1, 4].entries()) {
    const events: unknown[] = Array(5).fill(signal);
    events[fault] = [
      { ...signal, signal: 2 },
      { ...signal, instrumentId: '' },
      { ...signal, bars: [] },
    ][index];
    const refusal = await refusalOf(() => orchestrator.processSignals(events as SignalEvent[]));
    assert.is(refusal.code, ['INVALID_SIGNAL', 'INVALID_SIGNAL', 'TOO_FEW_BARS'][index]);
    assert.is(refusal.field?.indexOf(`events[${fault}]`), 0);
  }
  await orchestrator.processSignals([signal]);
  assert.is(orchestrator.totals.answered, before + 1, 'only the sound batch was answered');
  await orchestrator.stop();
});

test('an empty batch is answered with nothing', async () => {
  const orchestrator = await started({ dispatch: 'pool', workers: 1 });
  assert.equal(await orchestrator.processSignals([]), []);
  await orchestrator.stop();
});

for (const dispatch of ['inline', 'pool', 'auto'] as const) {
  test(`a batch has no deadline, however long it takes (${dispatch})`, async () => {
    const orchestrator = await started({ dispatch, workers: 1, inferenceTimeoutMs: 1 });
    const events = Array.from({ length: BATCH_SIGNALS }, (_, k) => ({ ...signal, instrumentId: KNOWN_IDS[k % 5]! }));
    const answers = await orchestrator.processSignals(events);
    assert.equal(new Set(answers.map(({ degraded }) => degraded)), new Set([undefined]));
    await orchestrator.stop();
  });

  test(`a live signal is answered long before a big batch ends (${dispatch})`, async () => {
    const orchestrator = await started({ dispatch, workers: 1 });
    let answered = 0;
    orchestrator.events.on('enriched', () => {
      answered++;
    });
    const events = Array.from({ length: BATCH_SIGNALS }, (_, k) => ({ ...signal, instrumentId: KNOWN_IDS[k % 5]! }));
    const batch = orchestrator.processSignals(events);
    for (const instrumentId of ['A', 'B', UNSEEN]) {
      const before = answered;
      await orchestrator.processSignal({ ...signal, instrumentId });
      assert.ok(answered - before < BATCH_SIGNALS / 8, `${answered - before} answers came before it`);
    }
    assert.ok(answered < BATCH_SIGNALS / 2, 'the batch still runs');
    await batch;
    await orchestrator.stop();
  });
}

test('there may be room for one signal only', async () => {
  for (let k = 0; k < 3; k++) {
    const orchestrator = await started({ dispatch: 'pool', workers: 1, outstandingMax: 1 });
    // The last probe of the start may still take up the slot.
    while (orchestrator.dispatchMetrics.held > 0) await nextTurn();
    for (let n = 0; n < 20; n++) assert.is((await orchestrator.processSignal(signal)).degraded, undefined);
    await orchestrator.stop();
  }
});

test('a batch that finds every slot taken by live signals runs when they are answered', async () => {
  const orchestrator = await started({ dispatch: 'pool', workers: 1, outstandingMax: 4 });
  const live: Promise<unknown>[] = [];
  const refusal = await refusalOf(async () => {
    // A refusal is the promise's: sent until one is refused.
    for (;;) {
      const answer = orchestrator.processSignal(signal);
      live.push(answer.catch(() => undefined));
      if (live.length > 4) await answer;
    }
  });
  assert.is(refusal.code, 'OVERLOADED');
  const answers = await orchestrator.processSignals(Array(50).fill(signal));
  assert.is(answers.length, 50);
  await Promise.all(live);
  await orchestrator.stop();
});

test.run();
