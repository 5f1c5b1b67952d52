import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { ML4TOrchestrator } from '../../src/orchestrator.js';
import { seededUniform } from '../../src/random.js';
import { eventually } from '../support/eventually.js';
import { fullStrength, startFaulty } from '../support/fault-load.js';
import { type OrderedFault, orderFault } from '../support/faults.js';
import { ManualClock } from '../support/manual-clock.js';
import { stopAll } from '../support/opened.js';
import { INSTRUMENTS, laterBars, ReferenceAnswers, signalAt, twoBundles } from '../support/reference-answers.js';
import { refusalOf } from '../support/refusal.js';
import { SignalBook } from '../support/signal-book.js';
import { MIXED_ROUNDS, REFUSALS } from '../support/sizes.js';

const bundles = await twoBundles();
const reference = await ReferenceAnswers.start(bundles);
const TIMEOUT_MS = 50;
const NS_PER_MS = 1_000_000;
const NEWEST = 299;

interface Held {
  readonly orchestrator: ML4TOrchestrator;
  readonly book: SignalBook;
  readonly clock: ManualClock;
  readonly hold: OrderedFault;
}

/** One worker that holds a signal of the first instrument in its hands, which is the book's first, and a clock that stands still. */
async function heldWorker(config: OrchestratorConfigInput = {}): Promise<Held> {
  const clock = new ManualClock();
  const orchestrator = await startFaulty({ workers: 1, inferenceTimeoutMs: TIMEOUT_MS, ...config }, { clock });
  await orchestrator.hotSwapModel(bundles[0]);
  const book = new SignalBook(orchestrator);
  const hold = orderFault('hold');
  void book.send(signalAt(0, NEWEST, 1, hold.code));
  await eventually(() => hold.isOver, 'the worker to hold the signal');
  return { orchestrator, book, clock, hold };
}

function expireAll(clock: ManualClock): void {
  clock.advanceNs(TIMEOUT_MS * NS_PER_MS);
}

test('signals that a held worker leaves unanswered get their default answer at the deadline, named, counted and in order', async () => {
  const { orchestrator, book, clock, hold } = await heldWorker();
  for (let k = 1; k < 20; k++) void book.send(signalAt(k % 2, 200 + k));
  expireAll(clock);
  await book.allSettled();
  for (const { degraded, sizeReason, size, metaConfidence } of book.answers) {
    assert.equal([degraded, sizeReason, size, metaConfidence], ['deadline', 'deadline', 0, 0.5]);
  }
  assert.equal(orchestrator.totals.degraded, { deadline: 20 });
  assert.is(orchestrator.dispatchMetrics.held, 20, 'they keep their slots until the worker has passed over them');

  for (let k = 20; k < 40; k++) void book.send(signalAt(k % 2, 200 + k));
  hold.release();
  await book.allSettled();
  for (const answer of book.answers.slice(20)) assert.equal(reference.differences(answer), []);
  assert.equal(book.faults, { missing: 0, doubled: 0, overtaking: 0 });
  const { late, held } = orchestrator.dispatchMetrics;
  assert.equal({ late, held }, { late: 1, held: 0 }, 'only the held one was computed, and its result discarded');
  assert.is(orchestrator.totals.answered, 40);
  await orchestrator.stop();
});

test('no deadline passes before its time: what is answered just in time is not degraded', async () => {
  const { orchestrator, book, clock, hold } = await heldWorker();
  clock.advanceNs(TIMEOUT_MS * NS_PER_MS - 1);
  hold.release();
  await book.allSettled();
  assert.equal(reference.differences(book.answers[0]!), []);
  assert.is(book.answers[0]!.latencyNs, TIMEOUT_MS * NS_PER_MS - 1);
  assert.is(orchestrator.dispatchMetrics.late, 0);
  await orchestrator.stop();
});

test('a worker that hangs for good answers nobody late: the deadline does, and the watchdog brings it back', async () => {
  const orchestrator = await startFaulty({ workers: 1, inferenceTimeoutMs: TIMEOUT_MS, workerHangMs: 300 });
  await orchestrator.hotSwapModel(bundles[0]);
  const book = new SignalBook(orchestrator);
  const hang = orderFault('hang');
  for (let k = 0; k < 10; k++) void book.send(signalAt(0, 200 + k, 1, k === 0 ? hang.code : 0));
  await book.allSettled();
  assert.is(book.answers[0]!.degraded, 'deadline');
  await eventually(() => orchestrator.dispatchMetrics.workers[0]!.restarts > 0, 'the watchdog');
  await fullStrength(orchestrator);
  await eventually(() => orchestrator.dispatchMetrics.held === 0, 'the slots to be free again');
  assert.is(orchestrator.dispatchMetrics.late, 0);
  assert.equal(book.faults, { missing: 0, doubled: 0, overtaking: 0 });
  await orchestrator.stop();
});

test('however deadlines, holds and answers mix, every signal is answered once and an instrument’s in their order', async () => {
  const clock = new ManualClock();
  const orchestrator = await startFaulty({ workers: 2, inferenceTimeoutMs: TIMEOUT_MS }, { clock });
  await orchestrator.hotSwapModel(bundles[0]);
  const book = new SignalBook(orchestrator);
  const random = seededUniform(11);
  let holds: OrderedFault[] = [];
  const releaseAll = (): void => {
    for (const hold of holds) hold.release();
    holds = [];
  };
  for (let round = 0; round < MIXED_ROUNDS; round++) {
    for (let k = 0; k < 20; k++) {
      const hold = random() < 0.03 ? orderFault('hold') : null;
      if (hold !== null) holds.push(hold);
      const instrument = Math.floor(random() * INSTRUMENTS.length);
      void book.send(signalAt(instrument, 150 + Math.floor(random() * 150), 1, hold?.code ?? 0));
    }
    const draw = random();
    if (draw < 0.3) holds.shift()?.release();
    else if (draw < 0.6) expireAll(clock);
    else releaseAll();
    if (draw < 0.3) await nextTurn();
    else await book.allSettled();
  }
  releaseAll();
  await book.allSettled();
  assert.equal(book.faults, { missing: 0, doubled: 0, overtaking: 0 });
  const { deadline = 0 } = orchestrator.totals.degraded;
  assert.ok(deadline > 0 && deadline < book.sent, `${deadline} of ${book.sent} by their deadline`);
  for (const answer of book.answers) {
    if (answer.degraded === undefined) assert.equal(reference.differences(answer), []);
    else assert.is(answer.degraded, 'deadline');
  }
  await orchestrator.stop();
});

test('beyond outstandingMax signals are refused before anything of them is stored, and nothing else is lost', async () => {
  const outstandingMax = 64;
  const { orchestrator, book, hold } = await heldWorker({ outstandingMax });
  for (let k = 1; k < outstandingMax; k++) void book.send(signalAt(k % 4, 200 + k));
  const bars = laterBars(1);
  const newest = { ...signalAt(1, NEWEST), timestamp: bars.tsEventNs[bars.length - 1]! };
  assert.is((await refusalOf(() => orchestrator.processSignal({ ...newest, bars }))).code, 'OVERLOADED');
  assert.equal(orchestrator.totals.refused, { OVERLOADED: 1 });
  assert.is(book.emitted.length, 0);
  hold.release();
  await book.allSettled();
  assert.equal(book.faults, { missing: 0, doubled: 0, overtaking: 0 });
  for (const answer of book.answers) assert.equal(reference.differences(answer), []);
  assert.is(orchestrator.processSignalSync(newest).asOfSequence, NEWEST, 'the bars of a refused signal are not there');
  await orchestrator.stop();
});

test("a signal that is answered on the caller's stack takes no room and is never refused for it", async () => {
  const outstandingMax = 8;
  const { orchestrator, book, hold } = await heldWorker({ outstandingMax });
  for (let k = 1; k < outstandingMax; k++) void book.send(signalAt(k % 4, 200 + k));
  assert.is((await refusalOf(() => orchestrator.processSignal(signalAt(5, 210)))).code, 'OVERLOADED');
  assert.is(orchestrator.processSignalSync(signalAt(5, 210)).degraded, undefined);
  hold.release();
  await book.allSettled();
  await orchestrator.stop();
});

test('a batch that comes while there is no room waits for it, and is answered whole', async () => {
  const outstandingMax = 16;
  const { orchestrator, book, hold } = await heldWorker({ outstandingMax });
  for (let k = 1; k < outstandingMax; k++) void book.send(signalAt(k % 4, 200 + k));
  const batch = orchestrator.processSignals(
    Array.from({ length: 100 }, (_, k) => ({ ...signalAt(k % 8, 150 + k), signalId: `${1000 + k}` })),
  );
  hold.release();
  await book.allSettled();
  let answers: Awaited<typeof batch> | null = null;
  void batch.then((all) => {
    answers = all;
  });
  await eventually(() => answers !== null, 'the batch');
  assert.equal(
    (await batch).map(({ signalId }) => Number(signalId)),
    Array.from({ length: 100 }, (_, k) => 1000 + k),
  );
  for (const answer of await batch) assert.equal(reference.differences(answer), []);
  await orchestrator.stop();
});

test('refused signals leave no memory behind', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { orchestrator, book, hold } = await heldWorker({ outstandingMax: 16 });
  for (let k = 1; k < 16; k++) void book.send(signalAt(k % 4, 200 + k));
  const event = signalAt(1, NEWEST);
  const refuse = async (count: number): Promise<void> => {
    for (let k = 0; k < count; k++)
      assert.is((await refusalOf(() => orchestrator.processSignal(event))).code, 'OVERLOADED');
  };
  await refuse(1000);
  collect();
  const before = process.memoryUsage().heapUsed;
  await refuse(REFUSALS);
  collect();
  const grownMb = (process.memoryUsage().heapUsed - before) / 2 ** 20;
  assert.ok(grownMb < 3, `${grownMb.toFixed(1)} MB for ${REFUSALS} refusals`);
  assert.equal(orchestrator.totals.refused, { OVERLOADED: 1000 + REFUSALS });
  hold.release();
  await book.allSettled();
  assert.equal(book.faults, { missing: 0, doubled: 0, overtaking: 0 });
  await orchestrator.stop();
});

/** The ring of bars as small as it may be: a window that ends 28 bars before the newest cannot be read any more. */
const SMALL_STORE = { store: { instrumentsMax: 16, barsPerInstrument: 128 } };

test('bars that come while a signal waits change nothing in its answer, as long as its window is there', async () => {
  const { orchestrator, book, hold } = await heldWorker(SMALL_STORE);
  const later = laterBars(0, 27);
  for (let i = 0; i < later.length; i++) orchestrator.addBar(INSTRUMENTS[0]!, later.at(i));
  hold.release();
  await book.allSettled();
  assert.equal(reference.differences(book.answers[0]!), []);
  await orchestrator.stop();
});

for (const count of [28, 128]) {
  test(`a signal whose window is overwritten while it waits (${count} bars) is answered as stale, its neighbour normally`, async () => {
    const { orchestrator, book, hold } = await heldWorker(SMALL_STORE);
    void book.send(signalAt(1, NEWEST));
    const later = laterBars(0, count);
    for (let i = 0; i < later.length; i++) orchestrator.addBar(INSTRUMENTS[0]!, later.at(i));
    hold.release();
    await book.allSettled();
    const [stale, neighbour] = book.answers;
    assert.equal([stale!.degraded, stale!.size, stale!.metaConfidence], ['stale-window', 0, 0.5]);
    assert.equal(reference.differences(neighbour!), []);
    assert.equal(orchestrator.totals.degraded, { 'stale-window': 1 });
    await orchestrator.stop();
  });
}

test.after.each(stopAll);
test.after(() => reference.stop());
test.run();
