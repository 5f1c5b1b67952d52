import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../src/errors.js';
import type { OutcomeEvent } from '../src/market/events.js';
import type { ModelBundle } from '../src/model/bundle.js';
import { encodeBundle } from '../src/model/bundle-codec.js';
import { ML4TOrchestrator } from '../src/orchestrator.js';
import { relabelled } from './support/bundles.js';
import { capturedLog, silentLogger } from './support/captured-log.js';
import { eventually } from './support/eventually.js';
import { PLANTED_CONFIG } from './support/live-answers.js';
import { ManualClock } from './support/manual-clock.js';
import { remembered } from './support/opened.js';
import { HINT, type PlantedSeries, plantedSeries } from './support/planted.js';
import {
  feed,
  openRecorded,
  RECORDED_CONFIG,
  readRecorded,
  signalAt,
  temporaryDirectory,
  tidyUp,
  treesFor,
} from './support/recorded-runs.js';
import { refusalOf } from './support/refusal.js';
import { rivalsOf } from './support/rival-bundles.js';

test.after.each(tidyUp);

const made = new Map<string, Promise<ModelBundle>>();

/** Trees that know the truth, or believe the opposite of it; made once. */
function modelOf(series: PlantedSeries, createdAtNs: bigint): Promise<ModelBundle> {
  const key = `${series === LYING} ${createdAtNs}`;
  const known = made.get(key) ?? treesFor(series, createdAtNs);
  made.set(key, known);
  return known;
}

const good = (): Promise<ModelBundle> => modelOf(HONEST, 5n);
const bad = (): Promise<ModelBundle> => modelOf(LYING, 6n);

const HORIZON = 10;
/** Longer than what stop() waits for, and a little. */
const STOP_MS_MAX = 8000;
/** Its hint is honest up to {@link BREAK}, and then tells the opposite. */
const BREAK = 2650;
const BROKEN = broken(3150);
const HONEST = plantedSeries(1200, 31, 0.8);
const LYING: PlantedSeries = { ...HONEST, features: { [HINT]: HONEST.features[HINT]!.map((hint) => 1 - hint) } };

function broken(bars: number): PlantedSeries {
  const honest = plantedSeries(bars, 31, 0.85);
  const hint = honest.features[HINT]!.map((value, bar) => (bar < BREAK ? value : 1 - value));
  return { ...honest, features: { [HINT]: hint } };
}

test('an edge is found and proven, the market turns, the loss of skill is noticed, and what is trained on it must win its place', async () => {
  const dataDir = await temporaryDirectory();
  const config = {
    retrainIntervalBars: 1200,
    training: { ...RECORDED_CONFIG.training, rounds: 10 },
    retrain: { labelsPerFalseAlarm: 2000, cooldownBars: 300, testBars: 250, maxTestsPerYear: 20, errorPerYear: 0.5 },
  };
  const { system, told } = await openRecorded(dataDir, { config });
  let bar = 0;
  let noticed = 0;
  system.events.on('retrainTriggered', () => {
    noticed = bar;
  });
  const isLoss = (event: string): boolean => /retrain: (skill_loss|base_rate_shift|accuracy_degradation)/.test(event);
  const isTold = (): boolean => told.slice(told.findIndex(isLoss)).some((event) => event.startsWith('verdict'));
  // Whatever runs in the background is waited for, so that the story is the same on any machine.
  for (; bar < BROKEN.bars.length && !(told.some(isLoss) && isTold()); bar++) {
    await feed(system, BROKEN, bar, bar + 1);
    await system.idle();
  }
  const loss = told.findIndex(isLoss);
  const proven = told.indexOf('verdict: promote');
  assert.equal(told.slice(0, 3), ['retrain: time_interval', 'verdict: provisional', 'served']);
  assert.ok(proven > 0 && proven < loss && told[proven + 1] === 'swapped', told.join('\n'));
  assert.ok(noticed >= BREAK && noticed < BREAK + 300, `noticed at bar ${noticed}`);
  assert.ok(isTold());
  assert.is(system.model?.evidence, 'strict');
});

test('a forced model that is worse makes way for the one before it, on evidence alone', async () => {
  const dataDir = await temporaryDirectory();
  const { system, told } = await openRecorded(dataDir);
  const [better, worse] = [await good(), await bad()];
  await system.hotSwapModel(better);
  const market = plantedSeries(1500, 32, 0.8);
  await feed(system, market, 0, 200);
  await system.hotSwapModel(worse);
  const rollbacks: { from: string; to: string; reason: string; eValue: number }[] = [];
  system.events.on('rolledBack', (rollback) => rollbacks.push(rollback));
  await feed(system, market, 200, 1500, () => (rollbacks.length === 0 ? system.idle() : undefined));
  assert.equal(told, ['served', 'swapped', 'rolled back: evidence', 'swapped']);
  assert.equal([rollbacks[0]!.from, rollbacks[0]!.to], [worse.modelId, better.modelId]);
  assert.ok(rollbacks[0]!.eValue >= 10, `e-value ${rollbacks[0]!.eValue}`);
  assert.is(system.model?.modelId, better.modelId);
  assert.is((await refusalOf(() => system.rollback())).code, 'NO_PREVIOUS_MODEL');
  await system.stop();
  const verdicts = await readRecorded(dataDir, (stored) => [...stored.verdicts()]);
  assert.equal(
    verdicts.map(({ kind, challengerId, championId }) => [kind, challengerId, championId]),
    [['rolled-back', better.modelId, worse.modelId]],
  );
});

test('a forced model that is as good stays', async () => {
  const { system, told } = await openRecorded(await temporaryDirectory());
  const model = await good();
  await system.hotSwapModel(model);
  await system.hotSwapModel(rivalsOf({ ...model, calibration: { ...model.calibration } }, 3)[1]!);
  await feed(system, plantedSeries(1000, 33, 0.8), 0, 1000);
  assert.equal(told, ['served', 'swapped']);
});

test('a person rolls back by hand, once', async () => {
  const { system, told } = await openRecorded(await temporaryDirectory());
  assert.is((await refusalOf(() => system.rollback())).code, 'NO_PREVIOUS_MODEL');
  const [a, b] = [await good(), await bad()];
  await system.hotSwapModel(a);
  await system.hotSwapModel(b);
  await system.rollback();
  assert.equal(told, ['served', 'swapped', 'rolled back: manual', 'swapped']);
  assert.is(system.model?.modelId, a.modelId);
  assert.equal(
    system.models.map(({ modelId, role }) => [modelId, role]),
    [
      [b.modelId, 'retired'],
      [a.modelId, 'champion'],
    ],
  );
});

test('a rollback on evidence never overturns a champion that came while it waited', async () => {
  const { system, told } = await openRecorded(await temporaryDirectory());
  const other = relabelled(await good(), { seed: 8 });
  await system.hotSwapModel(await good());
  await system.hotSwapModel(await bad());
  let swap: Promise<void> | undefined;
  await feed(system, plantedSeries(1500, 32, 0.8), 0, 1500, () => {
    // A bar from now the evidence may be in; the swap is asked for first and takes longer than that.
    if (swap === undefined && (eValueOf(system) ?? 0) > 5) swap = system.hotSwapModel(other);
  });
  await swap;
  await system.idle();
  assert.equal(told, ['served', 'swapped', 'swapped']);
  assert.is(system.model?.modelId, other.modelId);
});

function eValueOf(system: ML4TOrchestrator): number | null {
  const { opened } = system as unknown as { opened: { loop: { watch: { eValue: number | null } } } };
  return opened.loop.watch.eValue;
}

test('how a signal truly ended counts in place of what its barriers say, and comes too late when its horizon has closed', async () => {
  const { system } = await openRecorded(await temporaryDirectory());
  const outcomes: OutcomeEvent[] = [];
  system.events.on('outcomeResolved', (outcome) => outcomes.push(outcome));
  const bar = HONEST.sides.findIndex((side, k) => k >= 150 && side !== 0);
  await feed(system, HONEST, 0, bar + 1);
  outcomes.length = 0;
  const id = `PLANTED ${bar}`;
  const told = { outcome: 'profit', grossReturn: 0.01 } as const;
  assert.is((await refusalOf(() => system.recordOutcome('nobody', told))).code, 'UNKNOWN_SIGNAL');
  const wrong = await refusalOf(() => system.recordOutcome(id, { ...told, grossReturn: Number.NaN }));
  assert.equal([wrong.code, wrong.field], ['INVALID_OUTCOME', 'grossReturn']);
  const outcome = system.recordOutcome(id, told);
  assert.equal([outcome.source, outcome.metaLabel, outcome.grossReturn], ['user', 1, 0.01]);
  assert.equal(
    outcomes.map(({ signalId, source }) => [signalId, source]),
    [[id, 'user']],
  );
  await feed(system, HONEST, bar + 1, bar + 1 + HORIZON);
  assert.is(outcomes.filter(({ signalId }) => signalId === id).length, 1);
  assert.is((await refusalOf(() => system.recordOutcome(id, told))).code, 'OUTCOME_FINAL');
});

test('the word of a person survives a restart, though the barriers had spoken before', async () => {
  const dataDir = await temporaryDirectory();
  const first = await openRecorded(dataDir);
  const outcomes: OutcomeEvent[] = [];
  first.system.events.on('outcomeResolved', (outcome) => outcomes.push(outcome));
  let bar = 150;
  let early: OutcomeEvent | undefined;
  await feed(first.system, HONEST, 0, bar);
  while (early === undefined) {
    await feed(first.system, HONEST, bar, bar + 1);
    const resolved = outcomes.find(({ signalId }) => Number(signalId.split(' ')[1]) >= bar - 3);
    if (resolved !== undefined && resolved.source === 'barriers' && resolved.metaLabel !== null) early = resolved;
    bar++;
  }
  const contrary = early.metaLabel === 1 ? -0.01 : 0.01;
  first.system.recordOutcome(early.signalId, { outcome: 'timeout', grossReturn: contrary });
  await first.system.stop();
  const second = await openRecorded(dataDir);
  await feed(second.system, HONEST, bar, bar + HORIZON);
  await second.system.stop();
  const ordinal = await readRecorded(
    dataDir,
    (stored) => [...stored.signals()].find(({ signalId }) => signalId === early.signalId)!.ordinal,
  );
  const kept = await readRecorded(dataDir, (stored) => [...stored.outcomes()].find((one) => one.ordinal === ordinal)!);
  assert.equal([kept.source, kept.metaLabel], ['user', early.metaLabel === 1 ? 0 : 1]);
});

test('after a restart everything goes on as if it had not been: open signals, monitor, bets and tokens', async () => {
  const market = plantedSeries(1000, 34, 0.75);
  const models = [await good(), await treesFor(plantedSeries(1200, 35, 0.7), 6n)];
  const run = async (stops: readonly number[]): Promise<{ snapshot: unknown; outcomes: string[]; told: string[] }> => {
    const dataDir = await temporaryDirectory();
    const outcomes: string[] = [];
    const clock = new ManualClock();
    const open = async (): Promise<ML4TOrchestrator> => {
      const { system } = await openRecorded(dataDir, { clock });
      system.events.on('outcomeResolved', ({ signalId, outcome, grossR }) =>
        outcomes.push(`${signalId} ${outcome} ${grossR}`),
      );
      return system;
    };
    let system = await open();
    for (const model of models) await system.hotSwapModel(model);
    let from = 0;
    for (const to of [...stops, market.bars.length]) {
      await feed(system, market, from, to);
      await system.stop();
      if (to < market.bars.length) {
        system = await open();
        assert.is(system.model?.modelId, models[1]!.modelId);
        assert.is(system.restored?.previousId, models[0]!.modelId);
        assert.is(system.restored?.bars, Math.min(to, 1024));
        assert.ok(system.restored!.openSignals > 0);
      }
      from = to;
    }
    const told = await readRecorded(dataDir, (stored) =>
      [...stored.outcomes()].map(({ ordinal, outcome }) => `${ordinal} ${outcome}`),
    );
    const { generation: _restarts, ...snapshot } = (await readRecorded(dataDir, (stored) => stored.readSnapshot()))!;
    return { snapshot, outcomes, told };
  };
  const whole = await run([]);
  const pieces = await run([300, 301, 650]);
  assert.ok(whole.outcomes.length > 400);
  assert.equal(pieces.outcomes, whole.outcomes, 'every outcome is told once');
  assert.equal(pieces.told, whole.told);
  assert.equal(pieces.snapshot, whole.snapshot);
});

test('a signal that is sent again is answered alike, and neither recorded nor followed again', async () => {
  const dataDir = await temporaryDirectory();
  const { system } = await openRecorded(dataDir);
  await system.hotSwapModel(await good());
  const bar = HONEST.sides.findIndex((side, k) => k >= 150 && side !== 0);
  const [first] = (await feed(system, HONEST, 0, bar + 1)).slice(-1);
  await first!.recorded;
  const again = signalAt(system, HONEST, bar)!;
  assert.is(again.metaConfidence, first!.metaConfidence);
  let isRecorded = false;
  const recorded = again.recorded.then(() => {
    isRecorded = true;
  });
  // Nothing else is staged that could carry it along.
  await eventually(() => isRecorded, 'the acknowledgement of what is recorded already');
  await recorded;
  await system.stop();
  const known = await readRecorded(dataDir, (stored) =>
    [...stored.signals()].filter(({ signalId }) => signalId === first!.signalId),
  );
  assert.is(known.length, 1);
});

test('a flat signal has nothing to record; without a data directory nothing is, which is said to whoever asks', async () => {
  const system = remembered(new ML4TOrchestrator(PLANTED_CONFIG, { logger: silentLogger }));
  await system.start();
  const answers = await feed(system, HONEST, 0, 300);
  assert.is((await refusalOf(() => answers.at(-1)!.recorded)).code, 'NO_DATA_DIR');
  const timestamp = HONEST.bars.tsEventNs[299]!;
  await nextTurn();
  await system.processSignalSync({ instrumentId: 'PLANTED', signal: 0, timestamp }).recorded;
  assert.is((await refusalOf(() => system.retrain())).code, 'NO_DATA_DIR');
  assert.is((await refusalOf(() => system.promote('0000000000000000'))).code, 'NO_SUCH_MODEL');
});

test('what is recorded is on disk when the promise resolves', async () => {
  const dataDir = await temporaryDirectory();
  const { system } = await openRecorded(dataDir);
  const answers = await feed(system, HONEST, 0, 200);
  await answers.at(-1)!.recorded;
  const stored = await readRecorded(dataDir, (state) => [...state.signals()].map(({ signalId }) => signalId));
  assert.equal(
    stored,
    answers.map(({ signalId }) => signalId),
  );
});

test('a listener that throws changes nothing', async () => {
  const { logger, lines } = capturedLog();
  const { system } = await openRecorded(await temporaryDirectory(), { logger });
  const fail = (): never => {
    throw new Error('not my day');
  };
  for (const event of ['enriched', 'outcomeResolved', 'modelSwapped', 'rolledBack'] as const)
    system.events.on(event, fail);
  await system.hotSwapModel(await good());
  await system.hotSwapModel(await bad());
  await feed(system, HONEST, 0, 400);
  await system.rollback();
  assert.is(system.monitorStatus.labelsSinceTraining, 0);
  assert.is(system.models.filter(({ role }) => role === 'champion').length, 1);
  assert.ok(lines.some(({ msg }) => msg === 'a listener threw'));
  assert.equal(
    lines.filter(({ level, msg }) => level >= 50 && msg !== 'a listener threw'),
    [],
  );
});

test('stop() during a retrain in the background ends it, and what was recorded is whole', async () => {
  const dataDir = await temporaryDirectory();
  const config = { training: { ...RECORDED_CONFIG.training, rounds: 100_000 } };
  const { system, told } = await openRecorded(dataDir, { config });
  await feed(system, plantedSeries(1500, 36, 0.8), 0, 1500);
  let isTraining = false;
  system.events.on('trainingProgress', ({ step }) => {
    isTraining ||= step === 'folds';
  });
  const retrained = refusalOf(() => system.retrain());
  await eventually(() => isTraining, 'the training to begin');
  await system.stop();
  assert.is((await retrained).code, 'STOPPED');
  assert.equal(told, ['retrain: manual']);
  const again = await openRecorded(dataDir);
  assert.equal([again.system.model, again.system.models.length], [null, 0]);
  assert.is(again.system.restored?.bars, 1024);
});

test('a retrain is cancelled without harm, and the next one runs', async () => {
  const dataDir = await temporaryDirectory();
  const { system } = await openRecorded(dataDir);
  await feed(system, plantedSeries(1500, 36, 0.8), 0, 1500);
  system.events.once('trainingProgress', () => system.cancelRetrain());
  assert.is((await refusalOf(() => system.retrain())).code, 'TRAINING_CANCELLED');
  assert.is(system.model, null);
  const { report } = await system.retrain();
  assert.is(report.verdict.kind, 'first-model');
  assert.is.not(system.model, null);
});

/** Makes the journal behave as it does while no commit succeeds: a flush waits until the store is closed, which gives up. */
function stallDisk(system: ML4TOrchestrator): void {
  interface Store {
    readonly journal: { flush(): Promise<void> };
    close(): Promise<void>;
  }
  const { state } = (system as unknown as { opened: { state: Store } }).opened;
  let giveUp: (error: Error) => void = () => undefined;
  const closed = new Promise<never>((_resolve, reject) => {
    giveUp = reject;
  });
  closed.catch(() => undefined);
  state.journal.flush = () => closed;
  const close = state.close.bind(state);
  state.close = async () => {
    giveUp(new OrchestratorError('STORE_WRITE_FAILED', 'the store was closed'));
    await close();
  };
}

async function stopsInTime(system: ML4TOrchestrator): Promise<boolean> {
  const overdue = new AbortController();
  const ended = await Promise.race([
    system.stop().then(() => true),
    pause(STOP_MS_MAX, false, { signal: overdue.signal }).catch(() => false),
  ]);
  overdue.abort();
  return ended;
}

test('stop() ends while the disk takes nothing and a model waits to become durable, swapped in or come from a retrain', async () => {
  const { system: swapping } = await openRecorded(await temporaryDirectory());
  const { system: retraining } = await openRecorded(await temporaryDirectory());
  const model = encodeBundle(await good());
  await feed(retraining, plantedSeries(1300, 36, 0.8), 0, 1300);
  stallDisk(swapping);
  const swapped = refusalOf(() => swapping.hotSwapModel(model));
  let isStalled = false;
  retraining.events.on('trainingProgress', ({ step }) => {
    if (step !== 'final' || isStalled) return;
    isStalled = true;
    stallDisk(retraining);
  });
  const retrained = refusalOf(() => retraining.retrain());
  await eventually(() => retraining.models.length > 0, 'the verdict');
  assert.equal(await Promise.all([swapping, retraining].map(stopsInTime)), [true, true]);
  assert.equal([(await swapped).code, (await retrained).code], ['STORE_WRITE_FAILED', 'STORE_WRITE_FAILED']);
});

test('an id that is given to another signal hides neither: both are recorded, and the second is censored while the first is open', async () => {
  const dataDir = await temporaryDirectory();
  const { logger, lines } = capturedLog();
  const { system } = await openRecorded(dataDir, { logger });
  const outcomes: OutcomeEvent[] = [];
  system.events.on('outcomeResolved', (outcome) => outcomes.push(outcome));
  await feed(system, { ...HONEST, sides: HONEST.sides.map(() => 0) }, 0, 200);
  const ask = (instrumentId: string, bar: number) =>
    system.processSignalSync({
      instrumentId,
      signal: 1,
      timestamp: HONEST.bars.tsEventNs[bar]!,
      signalId: '1',
      features: { [HINT]: 1 },
    });
  await ask(HONEST.instrumentId, 199).recorded;
  await ask(HONEST.instrumentId, 198).recorded;
  await ask(HONEST.instrumentId, 199).recorded;
  const recorded = await readRecorded(dataDir, (stored) => stored.counts().signals);
  assert.is(recorded, 2, 'the third was the first once more');
  assert.equal(
    outcomes.map(({ outcome }) => outcome),
    ['censored'],
  );
  assert.ok(lines.some((line) => JSON.stringify(line).includes('has the id of one that is open')));
});

test('a bar that is more than a year ahead is refused and moves no time', async () => {
  const dataDir = await temporaryDirectory();
  const { system } = await openRecorded(dataDir);
  await feed(system, HONEST, 0, 150);
  const before = system.monitorStatus.barsSinceTraining;
  const ahead = { ...HONEST.bars.at(150), tsEventNs: 4_000_000_000_000_000_000n };
  const { code, field } = await refusalOf(() => system.addBar('OTHER', ahead));
  assert.equal([code, field], ['BAD_TIMESTAMP', 'bar.tsEventNs']);
  system.addBar(HONEST.instrumentId, HONEST.bars.at(150));
  assert.is(system.monitorStatus.barsSinceTraining, before + 1);
});

test.run();
