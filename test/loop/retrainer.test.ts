import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import type { ChampionWatch } from '../../src/loop/champion-watch.js';
import type { Promotion } from '../../src/loop/promotion.js';
import { Retrainer } from '../../src/loop/retrainer.js';
import type { RetrainTrigger } from '../../src/market/events.js';
import { labelsForTrial } from '../../src/retrain/gate-power.js';
import { RetrainMonitor, type RetrainMonitorState } from '../../src/retrain/retrain-monitor.js';
import type { Verdict } from '../../src/retrain/verdict.js';
import { relabelled, trainedBundle } from '../support/bundles.js';
import { capturedLog } from '../support/captured-log.js';
import { ManualClock } from '../support/manual-clock.js';
import { plantedSeries } from '../support/planted.js';
import { refusalOf } from '../support/refusal.js';
import { gateSaid } from '../support/scripted-training.js';

const INTERVAL_BARS = 10;
const COOLDOWN_BARS = 5;
const ALPHA = 0.02;

interface Run {
  readonly what: 'retrain' | 'trial';
  readonly signal: AbortSignal;
  end(verdict?: Verdict): void;
  fail(code: 'BOOSTER_FAILED' | 'STOPPED'): void;
}

interface Bench {
  readonly retrainer: Retrainer;
  readonly monitor: RetrainMonitor;
  /** Labels of the champion. */
  readonly watch: { labels: number };
  readonly runs: Run[];
  readonly triggers: RetrainTrigger[];
  readonly logged: { code?: string; msg: string }[];
  bars(count: number): void;
}

interface Setting {
  readonly isAutomatic?: boolean;
  readonly isRecorded?: boolean;
  /** Whether anything is found to train on. */
  readonly hasSignals?: boolean;
  readonly hasAnswered?: boolean;
  readonly state?: RetrainMonitorState;
  readonly trialAt?: number | null;
}

/** A retrainer whose retrains and trials end when the test says so. */
function bench(setting: Setting = {}): Bench {
  const {
    isAutomatic = true,
    isRecorded = true,
    hasSignals = true,
    hasAnswered = true,
    state,
    trialAt = null,
  } = setting;
  const options = {
    ...{ accuracyDropThreshold: 0.1, minSamples: 100, intervalBars: INTERVAL_BARS, intervalMs: null },
    ...{ sampleCount: 30, cooldownBars: COOLDOWN_BARS, clock: new ManualClock() },
  };
  const monitor = new RetrainMonitor(options, state);
  const watch = { labels: 0, monitor };
  const runs: Run[] = [];
  const run = (what: Run['what'], signal: AbortSignal): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const fail: Run['fail'] = (code) => reject(new OrchestratorError(code, 'it failed'));
      runs.push({ what, signal, end: resolve, fail });
    });
  const promotion = {
    train: (_series: unknown, { signal }: { signal: AbortSignal }) => run('retrain', signal),
    try: (_series: unknown, _candidate: unknown, signal: AbortSignal) => run('trial', signal),
  };
  const { logger, lines } = capturedLog();
  const triggers: RetrainTrigger[] = [];
  const series = async () => (hasSignals ? [plantedSeries(20, 1, 0.5)] : []);
  const retrainer = new Retrainer(
    {
      watch: watch as unknown as ChampionWatch,
      promotion: promotion as unknown as Promotion,
      series: isRecorded ? series : null,
      isAutomatic,
      alphaPerTest: ALPHA,
      logger,
      canTrain: () => hasAnswered,
      onTriggered: (trigger) => triggers.push(trigger),
      onProgress: () => undefined,
    },
    trialAt,
  );
  const bars = (count: number): void => {
    for (let k = 0; k < count; k++) {
      monitor.recordBar();
      retrainer.check();
    }
  };
  return { retrainer, monitor, watch, runs, triggers, logged: lines, bars };
}

async function turns(): Promise<void> {
  for (let k = 0; k < 5; k++) await nextTurn();
}

function labels({ monitor }: Bench, count: number): void {
  for (let k = 0; k < count; k++) monitor.recordPrediction({ actual: 1, predicted: 1 });
}

test('a due retrain is told once and runs in the background; then the cooldown begins', async () => {
  const parts = bench();
  parts.bars(INTERVAL_BARS + 3);
  await turns();
  assert.equal(
    [parts.triggers.map(({ reason }) => reason), parts.runs.map(({ what }) => what)],
    [['time_interval'], ['retrain']],
  );
  parts.runs[0]!.end();
  await parts.retrainer.settled();
  assert.is(parts.monitor.status.cooldownBarsLeft, COOLDOWN_BARS);
  parts.bars(INTERVAL_BARS);
  await turns();
  assert.is(parts.runs.length, 2);
  parts.runs[1]!.end();
});

test('what comes up while a retrain runs is merged into it', async () => {
  const parts = bench();
  parts.bars(INTERVAL_BARS);
  labels(parts, 30);
  parts.bars(1);
  await turns();
  assert.is(parts.runs.length, 1);
  assert.equal(parts.monitor.pending?.reasons, ['sample_count', 'time_interval']);
  parts.runs[0]!.end();
  await parts.retrainer.settled();
  parts.bars(1);
  assert.equal([parts.runs.length, parts.monitor.pending], [1, null]);
});

test('a retrain that fails is logged with its code, leaves everything as it was and begins the cooldown', async () => {
  const parts = bench();
  parts.bars(INTERVAL_BARS);
  await turns();
  parts.runs[0]!.fail('BOOSTER_FAILED');
  await parts.retrainer.settled();
  assert.equal(
    parts.logged.map(({ code }) => code),
    ['BOOSTER_FAILED'],
  );
  assert.is(parts.monitor.status.cooldownBarsLeft, COOLDOWN_BARS);
  parts.bars(INTERVAL_BARS - 1);
  await turns();
  assert.is(parts.runs.length, 1);
});

test('with nothing recorded to train on a due retrain fails as such', async () => {
  const parts = bench({ hasSignals: false });
  parts.bars(INTERVAL_BARS);
  await parts.retrainer.settled();
  assert.equal([parts.runs.length, parts.logged[0]?.code], [0, 'INSUFFICIENT_DATA']);
});

test('bars alone make nothing due: schedules count once there was a signal', async () => {
  const parts = bench({ hasAnswered: false });
  parts.bars(3 * INTERVAL_BARS);
  await turns();
  assert.equal([parts.triggers.length, parts.runs.length], [0, 0]);
});

test('by hand the due retrain is told and not run', async () => {
  const parts = bench({ isAutomatic: false, trialAt: 0 });
  parts.bars(INTERVAL_BARS);
  await turns();
  assert.equal([parts.triggers.length, parts.runs.length, parts.monitor.pending], [1, 0, null]);
  assert.is(parts.monitor.status.cooldownBarsLeft, COOLDOWN_BARS);
});

test('without a data directory a due retrain is told and said to be impossible', async () => {
  const parts = bench({ isRecorded: false });
  parts.bars(INTERVAL_BARS);
  await turns();
  assert.equal([parts.triggers.length, parts.runs.length, parts.logged[0]?.code], [1, 0, 'NO_DATA_DIR']);
  assert.is(parts.monitor.pending, null);
  assert.is((await refusalOf(() => parts.retrainer.request())).code, 'NO_DATA_DIR');
  assert.is((await refusalOf(() => parts.retrainer.tryCandidate(new Uint8Array()))).code, 'NO_DATA_DIR');
});

test('a trigger that comes up during a trial is run after it, though no bar comes', async () => {
  const parts = bench({ trialAt: 10 });
  parts.watch.labels = 10;
  parts.bars(1);
  await turns();
  parts.bars(INTERVAL_BARS);
  await turns();
  assert.equal([parts.triggers.length, parts.runs.map(({ what }) => what)], [1, ['trial']], 'one piece at a time');
  parts.runs[0]!.end(gateSaid('reject'));
  await turns();
  assert.equal(
    parts.runs.map(({ what }) => what),
    ['trial', 'retrain'],
  );
  parts.runs[1]!.end();
  await parts.retrainer.settled();
  assert.is(parts.monitor.pending, null);
});

test('a trial that falls due during a retrain follows it', async () => {
  const parts = bench({ trialAt: 10 });
  parts.bars(INTERVAL_BARS);
  await turns();
  parts.watch.labels = 12;
  parts.bars(1);
  parts.runs[0]!.end();
  await parts.retrainer.settled();
  parts.bars(1);
  await turns();
  assert.equal(
    parts.runs.map(({ what }) => what),
    ['retrain', 'trial'],
  );
  parts.runs[1]!.end(gateSaid('reject'));
});

test('after an undecided trial the next one comes when the verdict says, or half as many labels later', async () => {
  const parts = bench({ trialAt: 10 });
  parts.watch.labels = 20;
  parts.bars(1);
  await turns();
  parts.runs[0]!.end(gateSaid('reject', { neededLabels: 7 }));
  await parts.retrainer.settled();
  assert.is(parts.retrainer.trialAtLabels, 27);
  parts.watch.labels = 27;
  parts.bars(1);
  await turns();
  parts.runs[1]!.end(gateSaid('insufficient-evidence', { spends: false }));
  await parts.retrainer.settled();
  assert.is(parts.retrainer.trialAtLabels, 41);
});

test('a champion that came during a trial is not put on trial by it', async () => {
  const parts = bench({ trialAt: 10 });
  const bundle = await trainedBundle();
  parts.watch.labels = 20;
  parts.bars(1);
  await turns();
  parts.watch.labels = 0;
  parts.retrainer.adopt(relabelled(bundle, { evidence: 'strict' }));
  parts.runs[0]!.end(gateSaid('reject', { neededLabels: 7 }));
  await parts.retrainer.settled();
  assert.is(parts.retrainer.trialAtLabels, null);
});

test('only a provisional champion that promises something is tried, after as many labels as its promise takes', async () => {
  const bundle = await trainedBundle();
  const promising = { ...bundle.metrics, logLoss: 0.6, baseRateLogLoss: 0.63 };
  const { retrainer } = bench();
  retrainer.adopt(relabelled(bundle, { evidence: 'provisional', metrics: promising, meanConcurrency: 4 }));
  // Half of the error goes each way.
  assert.is(retrainer.trialAtLabels, labelsForTrial(0.63 - 0.6, ALPHA / 2, 4));
  retrainer.adopt(relabelled(bundle, { evidence: 'strict', metrics: promising }));
  assert.is(retrainer.trialAtLabels, null);
  retrainer.adopt(relabelled(bundle, { evidence: 'provisional', metrics: { ...promising, logLoss: 0.63 } }));
  assert.is(retrainer.trialAtLabels, null);
});

test('a person need not wait for the cooldown, is told what came of it, and shares it with what was due', async () => {
  const parts = bench();
  parts.bars(INTERVAL_BARS);
  await turns();
  const asked = parts.retrainer.request();
  await turns();
  assert.is(parts.runs.length, 1, 'what runs is waited for');
  parts.runs[0]!.end();
  await turns();
  assert.equal([parts.runs.length, parts.triggers.map(({ reason }) => reason)], [2, ['time_interval', 'manual']]);
  parts.runs[1]!.fail('BOOSTER_FAILED');
  assert.is((await refusalOf(() => asked)).code, 'BOOSTER_FAILED');
  await parts.retrainer.settled();
  assert.is(parts.monitor.pending, null);
});

test('two people who ask in the same moment are served one after the other', async () => {
  const parts = bench();
  const asked = [parts.retrainer.request(), parts.retrainer.request()];
  await turns();
  assert.is(parts.runs.length, 1);
  parts.runs[0]!.end();
  await turns();
  assert.is(parts.runs.length, 2);
  parts.runs[1]!.end();
  await Promise.all(asked);
});

test('cancelling aborts what runs and nothing that comes after it', async () => {
  const parts = bench();
  parts.bars(INTERVAL_BARS);
  await turns();
  parts.retrainer.cancel();
  assert.is(parts.runs[0]!.signal.aborted, true);
  parts.runs[0]!.fail('BOOSTER_FAILED');
  await parts.retrainer.settled();
  const asked = parts.retrainer.request();
  await turns();
  assert.is(parts.runs[1]!.signal.aborted, false);
  parts.runs[1]!.end();
  await asked;
});

test('what was pending when the process ended is run after a restart, and told no second time', async () => {
  const before = bench();
  before.bars(INTERVAL_BARS);
  const after = bench({ state: before.monitor.toState(), trialAt: 33 });
  assert.is(after.retrainer.trialAtLabels, 33);
  after.retrainer.resume();
  await turns();
  assert.equal([after.runs.length, after.triggers.length], [1, 0]);
  after.runs[0]!.end();
  await after.retrainer.settled();
  assert.is(after.monitor.pending, null);
});

test('a retrain that a stop has cut short is still due after a restart', async () => {
  const before = bench();
  before.bars(INTERVAL_BARS);
  await turns();
  before.retrainer.cancel();
  before.runs[0]!.fail('STOPPED');
  await before.retrainer.settled();
  assert.equal(before.monitor.toState().pending?.reasons, ['time_interval']);
});

test('with nothing pending there is nothing to resume', async () => {
  const parts = bench();
  parts.retrainer.resume();
  await turns();
  assert.is(parts.runs.length, 0);
});

test.run();
