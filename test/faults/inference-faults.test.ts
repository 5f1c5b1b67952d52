import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { capturedLog } from '../support/captured-log.js';
import { eventually } from '../support/eventually.js';
import {
  type FaultFigures,
  type FaultLoad,
  faultyFigures,
  fullStrength,
  runFaultLoad,
  startFaulty,
} from '../support/fault-load.js';
import { type FaultKind, orderFault, orderPoison } from '../support/faults.js';
import { stopAll } from '../support/opened.js';
import { ReferenceAnswers, signalAt, twoBundles } from '../support/reference-answers.js';
import { SignalBook } from '../support/signal-book.js';
import { FAULT_SIGNALS } from '../support/sizes.js';

const bundles = await twoBundles();
const reference = await ReferenceAnswers.start(bundles);
/** Longer than a thread needs to use up its memory, on any machine. */
const PATIENT_MS = 30_000;

function underLoad(load: Pick<FaultLoad, 'workers' | 'kinds'> & Partial<FaultLoad>): Promise<FaultFigures> {
  return runFaultLoad({ signals: FAULT_SIGNALS, workerHangMs: PATIENT_MS, seed: 7, bundles, reference, ...load });
}

function assertNothingLost(figures: FaultFigures): void {
  assert.equal(faultyFigures(figures), [], JSON.stringify(figures));
}

/** What the log says of a thread that ended in this way. */
const REASONS: Partial<Record<FaultKind, RegExp>> = {
  exit: /exited with code: 1$/,
  'exit-0': /exited with code: 0$/,
  throw: /thrown in the middle/,
  heap: /out of memory/,
};

test('control: the right answer under the wrong name is told from the right one', async () => {
  const [orchestrator, other] = [await startFaulty({ workers: 1 }), bundles[1].modelId];
  await orchestrator.hotSwapModel(bundles[0]);
  const answer = await orchestrator.processSignal(signalAt(0, 200));
  assert.equal(reference.differences(answer), []);
  const differences = reference.differences(answer, other);
  for (const name of ['metaConfidence', 'size']) assert.ok(differences.includes(name), name);
  await orchestrator.stop();
});

for (const [workers, kinds] of [
  [1, ['exit', 'throw', 'heap']],
  [2, ['exit-0', 'exit']],
] as const) {
  test(`with ${workers} worker${workers === 1 ? '' : 's'}, threads that end by ${kinds.join(', ')} lose no signal, double none and change no answer`, async () => {
    const { logger, lines } = capturedLog();
    const figures = await underLoad({ workers, kinds, logger });
    assertNothingLost(figures);
    assert.equal([figures.faults, figures.restarts], [kinds.length, kinds.length]);
    const reasons = lines.map(({ reason }) => reason).filter((reason) => reason !== undefined);
    for (const [k, kind] of kinds.entries()) assert.match(reasons[k]!, REASONS[kind]!);
  });
}

test('a thread that hangs is ended by the watchdog, and loses no signal, doubles none and changes no answer', async () => {
  const { logger, lines } = capturedLog();
  const figures = await underLoad({ workers: 2, kinds: ['hang'], workerHangMs: 300, logger });
  assertNothingLost(figures);
  assert.is(figures.faults, 1);
  assert.ok(figures.restarts >= 1);
  assert.ok(lines.some(({ msg }) => msg.includes('an inference worker hangs')));
});

test('threads that die with a model in their hands lose no signal, and no slot for a model either', async () => {
  const kinds: FaultKind[] = ['staged', 'rehearsal', 'staged'];
  const figures = await underLoad({ workers: 1, kinds });
  assertNothingLost(figures);
  assert.equal([figures.faults, figures.restarts], [3, 3]);
});

test('a worker that dies while it is idle loses nothing, and the next signal finds it at work', async () => {
  const orchestrator = await startFaulty({ workers: 1, inferenceTimeoutMs: 30_000 });
  await orchestrator.hotSwapModel(bundles[0]);
  const fault = orderFault('idle');
  const before = await orchestrator.processSignal(signalAt(0, 200));
  await eventually(() => fault.isOver, 'the idle worker to die');
  await eventually(() => orchestrator.dispatchMetrics.workers[0]!.restarts === 1, 'main to hear of it');
  const after = await orchestrator.processSignal(signalAt(0, 201));
  await fullStrength(orchestrator);
  for (const answer of [before, after]) assert.equal(reference.differences(answer), []);
  assert.equal(orchestrator.totals.degraded, {});
  await orchestrator.stop();
});

for (const kind of ['exit', 'throw'] as const) {
  test(`a request on which every thread ends (${kind}) is answered as failed after two of them, those behind it normally`, async () => {
    const orchestrator = await startFaulty({ workers: 1, inferenceTimeoutMs: 30_000 });
    await orchestrator.hotSwapModel(bundles[0]);
    const book = new SignalBook(orchestrator);
    const poison = orderPoison(kind);
    for (let k = 0; k < 40; k++) void book.send(signalAt(k % 3, 150 + k, 1, k === 20 ? poison.code : 0));
    await book.allSettled();
    assert.equal(book.faults, { missing: 0, doubled: 0, overtaking: 0 });
    const failed = book.answers[20]!;
    assert.equal(plainlyDegraded(failed), ['worker-failed', 'worker-failed', 0, 0.5]);
    for (const answer of book.answers) if (answer !== failed) assert.equal(reference.differences(answer), []);
    assert.equal(orchestrator.totals.degraded, { 'worker-failed': 1 });
    await fullStrength(orchestrator);
    const { restarts, poisoned } = orchestrator.dispatchMetrics.workers[0]!;
    assert.equal({ restarts, poisoned }, { restarts: 2, poisoned: 1 });
    await orchestrator.stop();
  });
}

test('a thread that dies before it serves is not held against the request that waits', async () => {
  const orchestrator = await startFaulty({ workers: 1, inferenceTimeoutMs: 30_000 });
  await orchestrator.hotSwapModel(bundles[0]);
  // The next thread reads the model before anything else, and dies of that.
  orderFault('staged');
  const answer = await orchestrator.processSignal(signalAt(2, 222, -1, orderFault('exit').code));
  assert.equal(reference.differences(answer), []);
  assert.equal(orchestrator.totals.degraded, {});
  assert.is(orchestrator.dispatchMetrics.workers[0]!.restarts, 2);
  await orchestrator.stop();
});

function plainlyDegraded({ degraded, sizeReason, size, metaConfidence }: EnrichedSignalEvent): unknown[] {
  return [degraded, sizeReason, size, metaConfidence];
}

test.after.each(stopAll);
test.after(() => reference.stop());
test.run();
