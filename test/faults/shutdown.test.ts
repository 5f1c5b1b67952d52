import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OrchestratorConfigInput } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { fixtureBars } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { eventually } from '../support/eventually.js';
import { startFaulty } from '../support/fault-load.js';
import { orderFault } from '../support/faults.js';
import { stopAll } from '../support/opened.js';
import { COMMON_CONFIG, ReferenceAnswers, signalAt, twoBundles } from '../support/reference-answers.js';
import { refusalOf } from '../support/refusal.js';
import { SignalBook } from '../support/signal-book.js';

const bundles = await twoBundles();
const reference = await ReferenceAnswers.start(bundles);
const STOP_MS_MAX = 1000;
const STOPS = 5;
/** Nothing is answered by its deadline or ended by the watchdog here. */
const PATIENT = { inferenceTimeoutMs: 30_000, workerHangMs: 30_000 };

interface Stopped {
  readonly book: SignalBook;
  /** What the batch ended in. */
  readonly batch: string;
  readonly stopMs: number;
}

/** Stops with live signals and a batch on their way; the first of them suffers the fault, if any. */
async function stopInFlight(workers: number, isHung: boolean): Promise<Stopped> {
  const orchestrator = await startFaulty({ workers, ...PATIENT });
  await orchestrator.hotSwapModel(bundles[0]);
  const book = new SignalBook(orchestrator);
  const hang = isHung ? orderFault('hang') : null;
  for (let k = 0; k < 200; k++) void book.send(signalAt(0, 99 + k, 1, k === 0 && hang !== null ? hang.code : 0));
  const batch = orchestrator
    .processSignals(
      Array.from({ length: 2000 }, (_, k) => ({ ...signalAt(0, 99 + (k % 200)), signalId: `${1000 + k}` })),
    )
    .then(
      () => 'answered',
      ({ code }: { code: string }) => code,
    );
  if (hang !== null) await eventually(() => hang.isOver, 'the worker to hang');
  const startMs = performance.now();
  await orchestrator.stop();
  const stopMs = performance.now() - startMs;
  await book.allSettled();
  await assertRefusesEverything(orchestrator);
  return { book, batch: await batch, stopMs };
}

async function assertRefusesEverything(orchestrator: ML4TOrchestrator): Promise<void> {
  for (const call of [
    () => orchestrator.processSignal(signalAt(0, 200)),
    () => orchestrator.processSignals([signalAt(0, 200)]),
    () => orchestrator.processSignalSync(signalAt(0, 200)),
    () => orchestrator.hotSwapModel(bundles[1]),
    () => orchestrator.start(),
  ]) {
    assert.is((await refusalOf(call)).code, 'STOPPED');
  }
}

/** Stops {@link STOPS} times; the median of the times is the one time that is asked for. */
async function stopAgainAndAgain(workers: number, isHung: boolean, check: (stopped: Stopped) => void): Promise<void> {
  const times: number[] = [];
  for (let k = 0; k < STOPS; k++) {
    const stopped = await stopInFlight(workers, isHung);
    check(stopped);
    times.push(stopped.stopMs);
  }
  const median = times.sort((a, b) => a - b)[STOPS >> 1]!;
  console.log(`stop(), ${workers} workers${isHung ? ' that hang' : ''}: median ${median.toFixed(0)} ms`);
  assert.ok(median < STOP_MS_MAX, `median ${median.toFixed(0)} ms`);
}

test('stop() lets healthy workers answer what is on its way, rejects the rest with STOPPED, and takes less than a second', () =>
  stopAgainAndAgain(2, false, ({ book, batch }) => {
    const { missing, doubled, overtaking } = book.faults;
    assert.equal({ missing, doubled, overtaking }, { missing: 0, doubled: 0, overtaking: 0 });
    for (const { code } of book.rejections) assert.is(code, 'STOPPED');
    for (const answer of book.answers) if (answer !== undefined) assert.equal(reference.differences(answer), []);
    assert.ok(book.emitted.length > 0, 'some had their time');
    assert.ok(batch === 'answered' || batch === 'STOPPED', batch);
  }));

test('stop() with a worker that hangs rejects what it holds, and what waits behind, with STOPPED within a second', () =>
  stopAgainAndAgain(1, true, ({ book, batch }) => {
    assert.is(book.rejections.length, 200);
    for (const { code } of book.rejections) assert.is(code, 'STOPPED');
    assert.is(batch, 'STOPPED');
    assert.is(book.emitted.length, 0);
  }));

test('stop() cancels a training and leaves nothing of it behind', async () => {
  const orchestrator = await startFaulty({
    workers: 1,
    userFeatures: [],
    training: { rounds: 5000, earlyStoppingRounds: null },
  });
  const begun = new Promise<void>((resolve) => orchestrator.events.once('trainingProgress', () => resolve()));
  const bars = fixtureBars(3000, 3);
  const training = refusalOf(() => orchestrator.train({ instrumentId: 'X', bars, primarySignal: 'momentum' }));
  await begun;
  await orchestrator.stop();
  assert.is((await training).code, 'STOPPED');
});

test('stop() while models are being published waits for the publication at hand', async () => {
  const orchestrator = await startFaulty({ workers: 2, ...PATIENT });
  const outcomes: string[] = [];
  const swaps = [0, 1, 0, 1].map((k) =>
    orchestrator.hotSwapModel(bundles[k]!).then(
      () => outcomes.push('published'),
      ({ code }: { code: string }) => outcomes.push(code),
    ),
  );
  await orchestrator.stop();
  const before = outcomes.length;
  await Promise.all(swaps);
  assert.is(before, 4, 'nothing is published after stop() has returned');
  assert.is(outcomes[0], 'published');
  for (const outcome of outcomes) assert.ok(outcome === 'published' || outcome === 'STOPPED', outcome);
});

test('a batch that is still being admitted when stop() comes is refused as a whole', async () => {
  const orchestrator = await startFaulty({ workers: 1, ...PATIENT });
  const batch = refusalOf(() => orchestrator.processSignals(Array.from({ length: 3000 }, () => signalAt(0, 200))));
  const stopping = orchestrator.stop();
  assert.is((await batch).code, 'STOPPED');
  await stopping;
  assert.is(orchestrator.totals.answered, 0);
});

test('stop() may be called again and at the same time, and every call returns when all has ended', async () => {
  const orchestrator = await startFaulty({ workers: 1, ...PATIENT });
  const isStopped = (): boolean => orchestrator.dispatchMetrics.workers.every(({ state }) => state === 'stopped');
  const book = new SignalBook(orchestrator);
  const hang = orderFault('hang');
  void book.send(signalAt(0, 200, 1, hang.code));
  await eventually(() => hang.isOver, 'the worker to hang');
  await Promise.all([orchestrator.stop(), orchestrator.stop()].map((stop) => stop.then(() => assert.ok(isStopped()))));
  await orchestrator.stop();
  assert.is(book.rejections[0]?.code, 'STOPPED');
});

for (const isStored of [false, true]) {
  test(`stop() right after start() leaves no worker behind, ${isStored ? 'a stored model' : 'nothing stored'}`, async () => {
    const modelPath = isStored ? mkdtempSync(join(tmpdir(), 'ml4t-models-')) : null;
    const config: OrchestratorConfigInput = { ...COMMON_CONFIG, workers: 2, dispatch: 'pool', modelPath };
    if (isStored) {
      const writer = new ML4TOrchestrator({ ...config, dispatch: 'inline' }, { logger: silentLogger });
      await writer.start();
      await writer.hotSwapModel(bundles[0]);
      await writer.stop();
    }
    const orchestrator = new ML4TOrchestrator(config, { logger: silentLogger });
    const starting = orchestrator.start().catch(({ code }: { code: string }) => assert.is(code, 'STOPPED'));
    let isSettled = false;
    void starting.then(() => {
      isSettled = true;
    });
    await orchestrator.stop();
    assert.ok(isSettled, 'start() has ended by then');
    for (const { state } of orchestrator.dispatchMetrics.workers) assert.is(state, 'stopped');
    await assertRefusesEverything(orchestrator);
    if (modelPath !== null) rmSync(modelPath, { recursive: true });
  });
}

test('before start() every signal is refused with NOT_STARTED', async () => {
  const orchestrator = new ML4TOrchestrator(COMMON_CONFIG, { logger: silentLogger });
  for (const call of [
    () => orchestrator.processSignal(signalAt(0, 200)),
    () => orchestrator.processSignals([signalAt(0, 200)]),
    () => orchestrator.processSignalSync(signalAt(0, 200)),
  ]) {
    assert.is((await refusalOf(call)).code, 'NOT_STARTED');
  }
  await orchestrator.stop();
});

test('a program that has stopped its orchestrator ends by itself', () => {
  const script = fileURLToPath(new URL('../support/start-and-stop.js', import.meta.url));
  const { status, signal, stdout } = spawnSync(process.execPath, [script], { encoding: 'utf8', timeout: 60_000 });
  assert.equal({ status, signal }, { status: 0, signal: null }, 'it was not killed by the time limit');
  assert.equal(JSON.parse(stdout), { answers: 100, inUse: [] });
});

test.after.each(stopAll);
test.after(() => reference.stop());
test.run();
