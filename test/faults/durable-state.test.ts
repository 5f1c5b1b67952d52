import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { LoopSnapshot } from '../../src/loop/loop-snapshot.js';
import type { SignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import type { OutcomeRecord } from '../../src/state/records.js';
import { openStateReader } from '../../src/state/state-store.js';
import { fixtureBars } from '../support/bundles.js';
import { capturedLog, type LogLine, silentLogger } from '../support/captured-log.js';
import { crashImage } from '../support/crash-image.js';
import { HORIZON_BARS, longTrained } from '../support/crash-input.js';
import { FAULT_FEATURE } from '../support/faults.js';
import { remembered, stopAll } from '../support/opened.js';
import { COMMON_CONFIG, twoBundles } from '../support/reference-answers.js';
import { refusalOf } from '../support/refusal.js';

const root = mkdtempSync(join(tmpdir(), 'ml4t-durable-'));
const [first, second] = (await twoBundles()).map(longTrained) as [ModelBundle, ModelBundle];
const BARS = 400;
const bars = fixtureBars(BARS + 100, 21);
/** One signal a bar, from the first that has its history. */
const FIRST_SIGNAL = 300;
/** From here on another instrument has no bars, so that its one signal stays open while those after it close. */
const QUIET_FROM = 340;
const QUIET_SIGNAL = 'quiet';

function config(dataDir: string, over: OrchestratorConfigInput = {}): OrchestratorConfigInput {
  const store = { instrumentsMax: 8, barsPerInstrument: 256 };
  return { ...COMMON_CONFIG, store, dataDir, dispatch: 'inline', retrain: { mode: 'manual' }, ...over };
}

function signalAt(bar: number): SignalEvent & { readonly signalId: string } {
  const features = { [FAULT_FEATURE]: 0 };
  return {
    instrumentId: 'X',
    signalId: `s${bar}`,
    signal: bar % 2 === 0 ? 1 : -1,
    timestamp: bars.tsEventNs[bar]!,
    features,
  };
}

interface Started {
  readonly orchestrator: ML4TOrchestrator;
  readonly lines: readonly LogLine[];
}

async function started(dataDir: string, over: OrchestratorConfigInput = {}): Promise<Started> {
  const { logger, lines } = capturedLog();
  const orchestrator = remembered(new ML4TOrchestrator(config(dataDir, over), { logger }));
  await orchestrator.start();
  return { orchestrator, lines };
}

function addBars(orchestrator: ML4TOrchestrator, from: number, to: number, withSignals: boolean): void {
  for (let bar = from; bar < to; bar++) {
    orchestrator.addBar('X', bars.at(bar));
    if (bar < QUIET_FROM) orchestrator.addBar('A', bars.at(bar));
    if (withSignals && bar >= FIRST_SIGNAL) orchestrator.processSignalSync(signalAt(bar));
    if (bar === QUIET_FROM - 1)
      orchestrator.processSignalSync({ ...signalAt(bar), signalId: QUIET_SIGNAL, instrumentId: 'A' });
  }
}

/** What a killed process leaves: two champions, 400 bars, 100 signals, of which the last ten are open, and one of an instrument that went quiet. */
const killed = join(root, 'killed');
{
  const dataDir = join(root, 'base');
  const { orchestrator } = await started(dataDir);
  await orchestrator.hotSwapModel(first);
  addBars(orchestrator, 0, FIRST_SIGNAL, false);
  await orchestrator.hotSwapModel(second);
  addBars(orchestrator, FIRST_SIGNAL, BARS, true);
  await crashImage(orchestrator, dataDir, killed);
  await orchestrator.stop();
}

let copies = 0;
function copyOfKilled(): string {
  const dataDir = join(root, `copy${copies++}`);
  cpSync(killed, dataDir, { recursive: true });
  return dataDir;
}

async function read<T>(
  dataDir: string,
  from: (reader: ReturnType<typeof openStateReader<LoopSnapshot>>['stored']) => T,
): Promise<T> {
  const reader = openStateReader<LoopSnapshot>(dataDir);
  try {
    return from(reader.stored);
  } finally {
    await reader.close();
  }
}

const storedOutcomes = (dataDir: string): Promise<OutcomeRecord[]> => read(dataDir, (stored) => [...stored.outcomes()]);

/** Every signal whose horizon has closed with the last of so many bars has an outcome, and none has one that was not sent. */
async function assertFollowed(dataDir: string, barCount: number): Promise<void> {
  const ids = new Set((await storedOutcomes(dataDir)).map(({ signalId }) => signalId));
  const signals = await read(dataDir, (stored) => [...stored.signals()]);
  const isDue = (bar: number, signalId: string): boolean => bar + HORIZON_BARS < barCount && signalId !== QUIET_SIGNAL;
  const missing = signals.filter(({ signalId, asOf }) => isDue(asOf, signalId) && !ids.has(signalId));
  assert.equal(
    missing.map(({ signalId }) => signalId),
    [],
    'signals without an outcome',
  );
  assert.ok([...ids].every((id) => signals.some(({ signalId }) => signalId === id)));
}

function modelFile(dataDir: string, { modelId, createdAtNs }: { modelId: string; createdAtNs: bigint }): string {
  return join(dataDir, 'models', `${String(createdAtNs).padStart(20, '0')}-${modelId}.ml4t`);
}

const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  deleted: (path) => rmSync(path),
  truncated: (path) => truncateSync(path, 100),
  flipped: (path) => {
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
  },
};

for (const [damage, inflict] of Object.entries(DAMAGES)) {
  test(`a champion's file that was ${damage} is told with its code, and everything but the model is restored`, async () => {
    const dataDir = copyOfKilled();
    inflict(modelFile(dataDir, second));
    const { orchestrator, lines } = await started(dataDir);
    const code = damage === 'deleted' ? 'MODEL_NOT_FOUND' : 'MODEL_CORRUPT';
    assert.equal(
      lines.filter(({ level }) => level >= 50).map((line) => line.code),
      [code],
    );
    assert.is(orchestrator.model, null);
    const { championId, bars: restoredBars, signals, openSignals } = orchestrator.restored!;
    assert.equal(
      { championId, restoredBars, signals, openSignals },
      { championId: '', restoredBars: 512, signals: 101, openSignals: 11 },
    );
    const answer = orchestrator.processSignalSync(signalAt(BARS - 1));
    assert.is(answer.modelAvailable, false);
    addBars(orchestrator, BARS, BARS + 20, false);
    await orchestrator.hotSwapModel(second);
    assert.is(orchestrator.model?.modelId, second.modelId);
    await orchestrator.stop();
    await assertFollowed(dataDir, BARS + 20);
    const again = await started(dataDir);
    assert.is(again.orchestrator.model?.modelId, second.modelId);
  });
}

test('a damaged file of the champion before takes only the way back: the champion serves, and rollback() rejects with NO_PREVIOUS_MODEL', async () => {
  const dataDir = copyOfKilled();
  DAMAGES.flipped!(modelFile(dataDir, first));
  const { orchestrator, lines } = await started(dataDir);
  assert.is(orchestrator.model?.modelId, second.modelId);
  assert.equal(
    lines.filter(({ level }) => level >= 50).map((line) => line.code),
    ['MODEL_CORRUPT'],
  );
  assert.is((await refusalOf(() => orchestrator.rollback())).code, 'NO_PREVIOUS_MODEL');
  addBars(orchestrator, BARS, BARS + 20, true);
  await orchestrator.stop();
  await assertFollowed(dataDir, BARS + 20);
});

test('a store of garbage is refused with STORE_DAMAGED and nothing is held: with the directory moved away the next start is a fresh one', async () => {
  const dataDir = copyOfKilled();
  writeFileSync(join(dataDir, 'data.mdb'), randomBytes(100_000));
  for (let times = 0; times < 2; times++) {
    const orchestrator = remembered(new ML4TOrchestrator(config(dataDir), { logger: silentLogger }));
    assert.is((await refusalOf(() => orchestrator.start())).code, 'STORE_DAMAGED');
    await orchestrator.stop();
  }
  renameSync(dataDir, `${dataDir}-away`);
  const { orchestrator } = await started(dataDir);
  assert.equal(
    { ...orchestrator.restored },
    { instruments: 0, bars: 0, signals: 0, openSignals: 0, championId: '', previousId: '' },
  );
  await orchestrator.hotSwapModel(first);
});

test('a champion for other features is told with MODEL_FEATURES_DIFFER and left out, and everything else is restored', async () => {
  const dataDir = copyOfKilled();
  const { orchestrator, lines } = await started(dataDir, { userFeatures: [] });
  assert.equal(
    lines.filter(({ level }) => level >= 50).map((line) => line.code),
    ['MODEL_FEATURES_DIFFER', 'MODEL_FEATURES_DIFFER'],
  );
  assert.is(orchestrator.model, null);
  assert.is(orchestrator.restored!.openSignals, 11);
  addBars(orchestrator, BARS, BARS + 10, false);
  await orchestrator.stop();
  await assertFollowed(dataDir, BARS + 10);
  const back = await started(dataDir);
  assert.is(back.orchestrator.model?.modelId, second.modelId, 'the registry was left alone');
});

test('a window half as long restores the newest bars and follows open signals to the same outcomes', async () => {
  const runs: OutcomeRecord[][] = [];
  for (const barsPerInstrument of [256, 128]) {
    const dataDir = copyOfKilled();
    const { orchestrator } = await started(dataDir, { store: { instrumentsMax: 8, barsPerInstrument } });
    assert.is(orchestrator.restored!.bars, 2 * barsPerInstrument);
    addBars(orchestrator, BARS, BARS + 50, true);
    await orchestrator.stop();
    runs.push(await storedOutcomes(dataDir));
  }
  assert.equal(runs[1], runs[0]);
});

for (const maxHoldingBars of [4, 25]) {
  test(`labels that end after ${maxHoldingBars} bars instead of 10 leave every signal with one outcome, and no label or stake is counted twice or never closed`, async () => {
    const dataDir = copyOfKilled();
    const watched = () => read(dataDir, (stored) => stored.readSnapshot()!.watch);
    const before = await watched();
    assert.equal([before.labels, before.rollback!.pending], [90, 11]);
    const { orchestrator } = await started(dataDir, { labels: { maxHoldingBars } });
    const resolved: string[] = [];
    orchestrator.events.on('outcomeResolved', ({ signalId }) => resolved.push(signalId));
    addBars(orchestrator, BARS, BARS + 60, false);
    await orchestrator.stop();
    const ids = (await storedOutcomes(dataDir)).map(({ signalId }) => signalId);
    assert.is(new Set(ids).size, 101, 'every signal has an outcome');
    assert.is(new Set(resolved).size, resolved.length, 'none was told twice');
    const after = await watched();
    assert.is(after.labels, 90, 'what was asked under other labels is no label of these');
    const { pending, settled, forfeited } = after.rollback!;
    assert.equal(
      { pending, settled, forfeited },
      { pending: 0, settled: 90, forfeited: 11 },
      'every stake was closed once',
    );
  });
}

test('what is stored does not depend on when answers are entered: at once, or with the next bar', async () => {
  const runs: object[] = [];
  for (const isAsked of [true, false]) {
    const dataDir = copyOfKilled();
    const { orchestrator } = await started(dataDir);
    for (let bar = BARS; bar < BARS + 60; bar++) {
      orchestrator.addBar('X', bars.at(bar));
      orchestrator.addBar('A', bars.at(bar));
      for (const instrumentId of ['X', 'A']) {
        const event = { ...signalAt(bar), signalId: `${instrumentId}${bar}`, instrumentId };
        const answer = orchestrator.processSignalSync(event);
        // Whoever asks has the answer entered now.
        if (isAsked) void answer.recorded;
      }
    }
    await orchestrator.stop();
    const stored = await read(dataDir, (state) => ({
      rivals: [...state.signals()].map(({ signalId, rival }) => ({ signalId, rival })),
      evidence: state.readSnapshot()!.watch.rollback,
    }));
    runs.push(stored);
  }
  assert.equal(runs[1], runs[0]);
});

test.after.each(stopAll);
test.after(() => rmSync(root, { recursive: true }));
test.run();
