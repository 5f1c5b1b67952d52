import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import type { AdmittedSignal } from '../../src/inference/admission.js';
import { InlineLane } from '../../src/inference/inline-lane.js';
import { RingLane } from '../../src/inference/ring-lane.js';
import { Router } from '../../src/inference/router.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { EVALUATED, Evaluation, NOT_EVALUATED } from '../../src/shared-memory/evaluation.js';
import { SignalRingConsumer } from '../../src/shared-memory/signal-ring-consumer.js';
import { createSignalRing, EVALUATE } from '../../src/shared-memory/signal-ring-layout.js';
import { SlotRequest } from '../../src/shared-memory/signal-ring-slots.js';
import { fixtureBars } from '../support/bundles.js';
import { mainSide } from '../support/main-side.js';
import { admitted } from '../support/pending.js';

const MS = 1_000_000;
const SLOTS = 1024;
/** What a worker of these tests answers; nothing on main does. */
const BY_WORKER = 0.25;

const opened: Router[] = [];
// The timer of a deadline would keep the process alive.
test.after.each(() => {
  for (const router of opened.splice(0)) router.rejectAll(new OrchestratorError('STOPPED', 'the test is over'));
});

type Dispatch = 'auto' | 'pool' | 'inline';

/** A worker without a thread: it answers when the test says so. */
class SteppedWorker {
  private readonly request = new SlotRequest(0);
  private readonly evaluation: Evaluation;
  private readonly consumer: SignalRingConsumer;
  private hasBegun = false;
  evaluated = 0;

  constructor(readonly lane: RingLane) {
    const { shared } = lane.producer;
    this.evaluation = new Evaluation(shared.columnCount);
    this.consumer = new SignalRingConsumer(shared);
  }

  get waiting(): number {
    return this.lane.heldCount;
  }

  /** Takes the next request in hand without answering it. */
  begin(): void {
    this.consumer.read(this.request);
    this.hasBegun = true;
  }

  serve(count = Number.POSITIVE_INFINITY): void {
    for (let k = 0; k < count && !this.consumer.isEmpty; k++) {
      if (!this.hasBegun) this.consumer.read(this.request);
      this.hasBegun = false;
      const isEvaluated = this.request.operation === EVALUATE;
      if (isEvaluated) this.evaluated++;
      this.evaluation.status = isEvaluated ? EVALUATED : NOT_EVALUATED;
      this.evaluation.confidence = BY_WORKER;
      this.consumer.answer(this.evaluation);
    }
  }
}

function openRouter(dispatch: Dispatch, workerCount = 2, outstandingMax = SLOTS) {
  const { clock, config, featureSet, store, desk, inline, costs, answers } = mainSide({
    dispatch,
    wakeUpUs: 12,
    inferenceTimeoutMs: 3_600_000,
  });
  const ringLanes = Array.from({ length: workerCount }, () => {
    const ring = createSignalRing(outstandingMax, 0, featureSet.columnCount);
    const lane = new RingLane(ring, costs, clock, (pending, evaluation) =>
      router.settle(pending, desk.answer(pending.signal, evaluation, pending.startNs)),
    );
    lane.isServed = true;
    return lane;
  });
  const inlineLane = new InlineLane(inline, costs, clock, (pending, answer) => router.settle(pending, answer));
  const router: Router = new Router({
    config,
    instrumentsMax: 8,
    outstandingMax,
    inlineLane,
    ringLanes,
    costs,
    clock,
    answerWithout: ({ signal, startNs }, degraded) => desk.answerWithout(signal, null, startNs, degraded),
  });
  opened.push(router);
  const workers = ringLanes.map((lane) => new SteppedWorker(lane));
  const submit = (...signals: AdmittedSignal[]): Promise<EnrichedSignalEvent>[] =>
    signals.map((signal) => router.submit(signal, clock.monotonicNs()));
  /** Answers everything, whatever comes up meanwhile. */
  const finish = async (): Promise<void> => {
    while (router.heldCount > 0) {
      for (const worker of workers) worker.serve();
      await nextTurn();
    }
  };
  return { router, workers, submit, finish, answers, clock, inlineLane, store };
}

/** Enough open signals of an instrument that main does not take them itself. */
const many = (instrument: number, count = 10): AdmittedSignal[] =>
  Array.from({ length: count }, () => admitted(instrument));
const flush = (): Promise<void> => Promise.resolve();

test('an answer that was computed before its window was overwritten, and is taken after, is stale', async () => {
  const { router, workers, submit, finish, store } = openRouter('pool', 1);
  const [lapped, whole] = submit(admitted(0, { asOf: 109 }), admitted(1, { asOf: 109 }));
  await flush();
  workers[0]!.serve();
  const later = fixtureBars(300, 3);
  for (let i = 110; i < later.length; i++) store.append('I0', later.at(i));
  router.poll();
  await finish();
  assert.equal([(await lapped!).degraded, (await lapped!).metaConfidence], ['stale-window', 0.5]);
  assert.equal([(await whole!).degraded, (await whole!).metaConfidence], [undefined, BY_WORKER]);
});

test('an instrument has a usual worker', async () => {
  const { workers, submit, finish, answers } = openRouter('pool', 3);
  for (let k = 0; k < 6; k++) submit(admitted(k));
  submit(admitted(4));
  await flush();
  assert.equal(
    workers.map(({ waiting }) => waiting),
    [2, 3, 2],
  );
  await finish();
  assert.ok(answers.length === 7 && answers.every(({ metaConfidence }) => metaConfidence === BY_WORKER));
});

test('a worker with much more to do than another is relieved of the instruments that wait for nothing there', async () => {
  const { workers, submit, finish } = openRouter('pool');
  submit(...many(0, 65));
  submit(admitted(2));
  await flush();
  assert.equal(
    workers.map(({ waiting }) => waiting),
    [65, 1],
  );
  submit(admitted(0));
  await flush();
  assert.is(workers[0]!.waiting, 66, 'an instrument that waits there stays');
  await finish();
});

test('main takes few signals itself, but not of an instrument whose signals are with a worker', async () => {
  const { workers, submit, finish, answers } = openRouter('auto');
  submit(...many(0));
  await flush();
  assert.is(workers[0]!.waiting, 10);
  submit(admitted(0));
  submit(admitted(1));
  await flush();
  assert.is(workers[0]!.waiting, 11);
  assert.is(workers[1]!.waiting, 0, 'the other instrument was answered by main');
  assert.equal(
    answers.map(({ signalEvent }) => signalEvent.instrumentId),
    ['I1'],
  );
  await finish();
  const [last] = submit(admitted(0));
  assert.is.not((await last!).metaConfidence, BY_WORKER, 'nothing waits any more: main again');
});

test('without a serving worker main evaluates itself in auto, and the signals wait in the pool', async () => {
  for (const dispatch of ['auto', 'pool'] as const) {
    const { workers, submit, finish, answers, inlineLane } = openRouter(dispatch);
    workers[0]!.lane.isServed = false;
    submit(...many(0));
    await flush();
    assert.equal(
      workers.map(({ waiting }) => waiting),
      [0, 10],
      'another worker serves',
    );
    await finish();
    workers[1]!.lane.isServed = false;
    const before = answers.length;
    submit(...many(1));
    await flush();
    assert.is(inlineLane.evaluatedCount, dispatch === 'auto' ? 10 : 0);
    assert.is(workers[1]!.waiting, dispatch === 'auto' ? 0 : 10);
    await finish();
    assert.is(answers.length, before + 10);
  }
});

test('a flat signal keeps its place behind those of its instrument, and waits for nobody else', async () => {
  const { submit, finish, answers } = openRouter('pool');
  const order = [admitted(0), admitted(0, { side: 0 }), admitted(0), admitted(1, { side: 0 })];
  submit(...order);
  await flush();
  assert.equal(
    answers.map(({ signalId }) => signalId),
    [order[3]!.signalId],
  );
  await finish();
  assert.equal(
    answers.map(({ signalId }) => signalId),
    [3, 0, 1, 2].map((k) => order[k]!.signalId),
  );
  assert.equal(
    answers.map(({ size, degraded, sizeReason }) => [size === 0 && sizeReason === 'flat', degraded]),
    [
      [true, undefined],
      [false, undefined],
      [true, undefined],
      [false, undefined],
    ],
  );
});

test('an expired signal is answered by its deadline, the worker is spared it, and a late answer is discarded and counted', async () => {
  const { router, workers, submit, clock, answers } = openRouter('pool');
  const [started, spared] = submit(admitted(0), admitted(0));
  await flush();
  // The first is in the worker's hands when its time is over, the second is not.
  workers[0]!.begin();
  clock.advanceNs(3_600_000 * MS);
  router.poll();
  for (const answer of await Promise.all([started, spared])) assert.is(answer!.degraded, 'deadline');
  assert.is(router.heldCount, 2, 'the slots are not free before the worker has come to them');
  workers[0]!.serve();
  while (router.heldCount > 0) await nextTurn();
  assert.equal([workers[0]!.evaluated, workers[0]!.lane.lateCount, answers.length], [1, 1, 2]);
  const [next] = submit(admitted(0));
  await flush();
  workers[0]!.serve();
  assert.is((await next!).degraded, undefined);
});

test('what a worker has answered in time is no late answer because main was busy past the deadline', async () => {
  const { router, workers, submit, clock } = openRouter('pool');
  const [inTime, tooLate] = submit(admitted(0), admitted(0));
  await flush();
  workers[0]!.serve(1);
  clock.advanceNs(3_600_000 * MS);
  router.poll();
  assert.equal([(await inTime!).degraded, (await tooLate!).degraded], [undefined, 'deadline']);
  assert.is(workers[0]!.lane.lateCount, 0);
});

test('slots that expired signals still take up count as full', async () => {
  const { router, workers, submit, clock, finish } = openRouter('pool', 2, 4);
  const waiting = submit(...many(0, 3));
  assert.not(router.isFull);
  submit(admitted(1));
  assert.ok(router.isFull, 'before anything was sent');
  await flush();
  clock.advanceNs(3_600_000 * MS);
  router.poll();
  for (const answer of waiting) assert.is((await answer).degraded, 'deadline');
  assert.ok(router.isFull);
  workers[1]!.serve();
  await nextTurn();
  await nextTurn();
  assert.not(router.isFull);
  await finish();
});

test('rejecting all rejects what waits anywhere, once, and what is answered already stays answered', async () => {
  const { router, workers, submit } = openRouter('pool');
  const [answered] = submit(admitted(0));
  await flush();
  workers[0]!.serve();
  await answered;
  const inRing = submit(...many(1, 3));
  await flush();
  const batch = router.submitBatch(many(0, 600));
  const unsent = submit(admitted(2));
  const outcomes = Promise.allSettled([...inRing, batch, ...unsent]);
  const drained = router.drained();
  const error = new OrchestratorError('STOPPED', 'over');
  router.rejectAll(error);
  for (const outcome of await outcomes) {
    assert.is(outcome.status === 'rejected' && outcome.reason, error);
  }
  await drained;
  workers[1]!.serve();
  while (router.heldCount > 0) {
    for (const worker of workers) worker.serve();
    await nextTurn();
  }
  assert.is((await answered!).metaConfidence, BY_WORKER);
});

test('of a batch no more than 256 signals are on their way at once', async () => {
  const { router, workers } = openRouter('pool');
  const signals = Array.from({ length: 1000 }, (_, k) => admitted(k % 4));
  const batch = router.submitBatch(signals);
  let most = 0;
  let isOver = false;
  void batch.then(() => {
    isOver = true;
  });
  while (!isOver) {
    await nextTurn();
    most = Math.max(most, router.heldCount);
    for (const worker of workers) worker.serve(50);
  }
  assert.is(most, 256);
  assert.equal(
    (await batch).map(({ signalId }) => signalId),
    signals.map(({ signalId }) => signalId),
  );
});

test('a batch that finds every slot taken by others goes on when those are free', async () => {
  const { router, workers, submit } = openRouter('pool', 1, 4);
  submit(...many(0, 4));
  let isOver = false;
  void router.submitBatch(many(1, 10)).then(() => {
    isOver = true;
  });
  for (let turn = 0; turn < 20_000 && !isOver; turn++) {
    workers[0]!.serve();
    await nextTurn();
  }
  assert.ok(isOver, 'the batch was forgotten');
});

test.run();
