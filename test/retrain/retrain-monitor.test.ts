import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DetectorPlan } from '../../src/drift/detector-plan.js';
import type { RetrainReason } from '../../src/market/events.js';
import {
  RetrainMonitor,
  type RetrainMonitorOptions,
  type RetrainMonitorState,
} from '../../src/retrain/retrain-monitor.js';
import { ManualClock } from '../support/manual-clock.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const PLAN: DetectorPlan = {
  labelsPerFalseAlarm: 100,
  skillThreshold: 1.5,
  rateThreshold: 3,
  rateAllowance: 0.025,
  verified: { labels: 100, lower: 90, upper: 110 },
};
const DAY_NS = 86_400_000_000_000;

function opened(overrides: Partial<RetrainMonitorOptions> = {}) {
  const clock = new ManualClock();
  const options: RetrainMonitorOptions = {
    accuracyDropThreshold: 0.1,
    minSamples: 100,
    intervalBars: null,
    intervalMs: null,
    sampleCount: null,
    cooldownBars: 5,
    clock,
    ...overrides,
  };
  return { monitor: new RetrainMonitor(options), clock, options };
}

/** Hits and misses as regular as they come, so that their variance is below that of chance. */
function feed(monitor: RetrainMonitor, count: number, accuracy: number): void {
  for (let k = 0; k < count; k++) {
    const hit = Math.floor((k + 1) * accuracy) > Math.floor(k * accuracy);
    monitor.recordPrediction({ actual: 1, predicted: hit ? 1 : 0 });
  }
}

function bars(monitor: RetrainMonitor, count: number): void {
  for (let k = 0; k < count; k++) monitor.recordBar();
}

const champion = (accuracy: number, detectors: DetectorPlan | null = null) => ({ detectors, baseRate: 0.4, accuracy });
const shiftRate = (monitor: RetrainMonitor): void => {
  for (let k = 0; k < 10; k++) monitor.recordPrediction({ actual: 1, predicted: 0, confidence: 0.4 });
};
const loseSkill = (monitor: RetrainMonitor): void => {
  for (let k = 0; k < 60; k++) {
    monitor.recordPrediction({ actual: k % 2 === 0 ? 0 : 1, predicted: 0, confidence: k % 2 === 0 ? 0.6 : 0.4 });
  }
};

test('nothing is due before anything happens, and inference is never interrupted', () => {
  const { monitor } = opened();
  assert.is(monitor.checkRetrain(), null);
  assert.is(monitor.pending, null);
  assert.is(monitor.shouldInterruptInference(), false);
});

test('a window that loses more than the threshold and more than chance explains is degraded, and says from what to what', () => {
  const { monitor, clock } = opened();
  monitor.adopt(champion(0.8));
  feed(monitor, 100, 0.69);
  assert.is(monitor.checkRetrain(), null, 'chance takes 13 of 100 from 0.8');
  feed(monitor, 100, 0.6);
  const trigger = monitor.checkRetrain()!;
  assert.equal(
    [trigger.reason, trigger.reasons, trigger.priority],
    ['accuracy_degradation', ['accuracy_degradation'], 2],
  );
  assert.equal([trigger.baselineAccuracy, trigger.currentAccuracy], [0.8, 0.6]);
  assert.ok(Math.abs(trigger.accuracyDrop - 0.2) < 1e-12);
  assert.is(trigger.timestamp, clock.epochNs());
});

test('a drop within the threshold is none, however sure it is, and one of exactly the threshold is one', () => {
  for (const [accuracy, due] of [
    [0.502, false],
    [0.5, true],
  ] as const) {
    const { monitor } = opened({ minSamples: 1000 });
    monitor.adopt(champion(0.6));
    feed(monitor, 1000, accuracy);
    assert.is(monitor.checkRetrain() !== null, due, `${accuracy}`);
  }
});

test('a window of long runs must lose more: it knows less', () => {
  const inRuns = (monitor: RetrainMonitor, run: number): void => {
    // 60 % hits in runs of the same length, misses between them.
    for (let k = 0; k < 1000; k++) {
      monitor.recordPrediction({ actual: 1, predicted: k % (10 * run) < 6 * run ? 1 : 0 });
    }
  };
  for (const [run, due] of [
    [1, true],
    [12, false],
  ] as const) {
    const { monitor } = opened({ minSamples: 1000 });
    monitor.adopt(champion(0.72));
    inRuns(monitor, run);
    assert.is(monitor.checkRetrain() !== null, due, `runs of ${run}`);
  }
});

test('without a known accuracy the first full window is the baseline, and its own error counts', () => {
  const { monitor } = opened();
  monitor.adopt(champion(Number.NaN));
  feed(monitor, 99, 0.8);
  assert.ok(Number.isNaN(monitor.status.baselineAccuracy) && Number.isNaN(monitor.status.windowAccuracy));
  feed(monitor, 1, 1);
  const baseline = monitor.status.baselineAccuracy;
  assert.is(baseline, 0.8);
  // Chance takes 14 of 100 from a known 0.8, and √2 times that between two windows.
  feed(monitor, 100, 0.64);
  assert.is(monitor.status.baselineAccuracy, baseline);
  assert.is(monitor.checkRetrain(), null);
  feed(monitor, 100, 0.58);
  assert.equal(monitor.checkRetrain()?.reasons, ['accuracy_degradation']);
});

test('schedules count labels and bars since the last training, and wall clock', () => {
  const due = (overrides: Partial<RetrainMonitorOptions>, act: (m: RetrainMonitor, clock: ManualClock) => void) => {
    const { monitor, clock } = opened(overrides);
    act(monitor, clock);
    return monitor.checkRetrain();
  };
  assert.is(
    due({ sampleCount: 50 }, (m) => feed(m, 49, 1)),
    null,
  );
  assert.equal(due({ sampleCount: 50 }, (m) => feed(m, 50, 1))?.reasons, ['sample_count']);
  assert.is(
    due({ intervalBars: 20 }, (m) => bars(m, 19)),
    null,
  );
  assert.equal(due({ intervalBars: 20 }, (m) => bars(m, 20))?.reasons, ['time_interval']);
  const dayMs = { intervalMs: DAY_NS / 1e6 };
  assert.is(
    due(dayMs, (_, clock) => clock.advanceNs(DAY_NS - 1)),
    null,
  );
  assert.equal(due(dayMs, (_, clock) => clock.advanceNs(DAY_NS))?.priority, 3);
});

test('drift detectors are the champion’s: their alarms are reasons, and a prediction without a confidence does not reach them', () => {
  for (const [drift, reason, priority] of [
    [loseSkill, 'skill_loss', 1],
    [shiftRate, 'base_rate_shift', 2],
  ] as const) {
    const { monitor } = opened();
    drift(monitor);
    assert.is(monitor.checkRetrain(), null, 'nobody serves yet');
    monitor.adopt(champion(Number.NaN, PLAN));
    drift(monitor);
    const trigger = monitor.checkRetrain()!;
    assert.equal([trigger.reason, trigger.priority], [reason, priority]);
    assert.ok(Number.isNaN(trigger.accuracyDrop), 'the window is not full');
  }
  const { monitor } = opened();
  monitor.adopt(champion(Number.NaN, PLAN));
  feed(monitor, 99, 0);
  assert.equal(monitor.status.detectors?.up, 0);
});

test('one retrain is pending at a time, and what comes up meanwhile is merged by urgency', () => {
  const { monitor, clock } = opened({ intervalBars: 10, sampleCount: 30 });
  monitor.adopt(champion(Number.NaN, PLAN));
  bars(monitor, 10);
  const raised = monitor.checkRetrain()!;
  assert.equal([raised.reasons, raised.priority], [['time_interval'], 3]);
  clock.advanceNs(DAY_NS);
  shiftRate(monitor);
  assert.is(monitor.checkRetrain(), null);
  assert.equal(monitor.pending?.reasons, ['base_rate_shift', 'time_interval']);
  loseSkill(monitor);
  monitor.request();
  assert.is(monitor.checkRetrain(), null);
  const merged = monitor.pending!;
  assert.equal(merged.reasons, ['skill_loss', 'manual', 'base_rate_shift', 'sample_count', 'time_interval']);
  assert.equal([merged.reason, merged.priority, merged.timestamp], ['skill_loss', 1, raised.timestamp]);
  monitor.retrainDone();
  bars(monitor, 5);
  assert.is(monitor.checkRetrain(), null, 'all of them were served');
  assert.is(monitor.pending, null);
});

test('after a retrain only a request counts until the cooldown is over, and what came up meanwhile is due then', () => {
  const { monitor } = opened({ cooldownBars: 5 });
  monitor.adopt(champion(Number.NaN, PLAN));
  monitor.request();
  assert.equal(monitor.checkRetrain()?.reasons, ['manual']);
  monitor.retrainDone();
  shiftRate(monitor);
  bars(monitor, 4);
  assert.is(monitor.checkRetrain(), null);
  assert.is(monitor.status.cooldownBarsLeft, 1);
  bars(monitor, 1);
  assert.equal(monitor.checkRetrain()?.reasons, ['base_rate_shift']);
  monitor.retrainDone();
  monitor.request();
  assert.equal(monitor.checkRetrain()?.reasons, ['manual'], 'in the middle of the cooldown');
});

test('an accuracy that recovers during the cooldown is still a reason after it', () => {
  const { monitor } = opened({ cooldownBars: 5 });
  monitor.adopt(champion(0.9));
  monitor.retrainDone();
  feed(monitor, 100, 0.5);
  feed(monitor, 100, 0.9);
  assert.is(monitor.checkRetrain(), null);
  bars(monitor, 5);
  const trigger = monitor.checkRetrain()!;
  assert.equal([trigger.reason, trigger.currentAccuracy], ['accuracy_degradation', 0.9]);
});

test('the end of a retrain restarts schedules and what was alarmed, and leaves a window that was not', () => {
  const { monitor, clock } = opened({ intervalBars: 10, intervalMs: 1000, sampleCount: 100, cooldownBars: 0 });
  monitor.adopt(champion(0.5, PLAN));
  feed(monitor, 100, 0.5);
  shiftRate(monitor);
  bars(monitor, 10);
  clock.advanceNs(1e9);
  assert.is(monitor.checkRetrain()?.reasons.length, 3);
  const { windowAccuracy } = monitor.status;
  monitor.retrainDone();
  assert.is(monitor.checkRetrain(), null);
  const { status } = monitor;
  assert.equal([status.labelsSinceTraining, status.barsSinceTraining, status.windowAccuracy], [0, 0, windowAccuracy]);
  assert.equal(status.detectors, { skill: 0, up: 0, down: 0, alarms: [], skillThreshold: 1.5, rateThreshold: 3 });
});

test('a retrain that came to no verdict leaves what was alarmed alarmed, and begins the cooldown', () => {
  const { monitor } = opened({ cooldownBars: 5 });
  monitor.adopt(champion(Number.NaN, PLAN));
  shiftRate(monitor);
  assert.is(monitor.checkRetrain()?.reason, 'base_rate_shift');
  monitor.retrainFailed();
  assert.equal([monitor.checkRetrain(), monitor.pending], [null, null]);
  bars(monitor, 5);
  assert.is(monitor.checkRetrain()?.reason, 'base_rate_shift', 'it need not build up again');
});

test('a window that has been heard is filled again before it speaks again', () => {
  const { monitor } = opened({ cooldownBars: 0 });
  monitor.adopt(champion(0.9));
  feed(monitor, 100, 0.5);
  assert.is(monitor.checkRetrain()?.reason, 'accuracy_degradation');
  monitor.retrainDone();
  feed(monitor, 99, 0.5);
  assert.is(monitor.checkRetrain(), null);
  assert.ok(Number.isNaN(monitor.status.windowAccuracy));
  feed(monitor, 1, 0.5);
  assert.is(monitor.checkRetrain()?.reason, 'accuracy_degradation');
});

test('a new champion starts with everything anew, and a pending retrain stays pending with the reasons it had', () => {
  const { monitor } = opened({ sampleCount: 100 });
  monitor.adopt(champion(0.9, PLAN));
  monitor.request();
  monitor.checkRetrain();
  feed(monitor, 100, 0.5);
  shiftRate(monitor);
  const reasons: RetrainReason[] = ['manual', 'base_rate_shift', 'accuracy_degradation', 'sample_count'];
  assert.equal(monitor.pending?.reasons, reasons);
  monitor.adopt(champion(0.7, { ...PLAN, rateThreshold: 4 }));
  assert.equal(monitor.pending?.reasons, reasons);
  const { windowAccuracy, baselineAccuracy, labelsSinceTraining, detectors } = monitor.status;
  assert.ok(Number.isNaN(windowAccuracy));
  assert.equal([baselineAccuracy, labelsSinceTraining, detectors?.up, detectors?.rateThreshold], [0.7, 0, 0, 4]);
  assert.equal(detectors?.alarms, []);
  monitor.adopt(null);
  assert.is(monitor.status.detectors, null);
  assert.ok(Number.isNaN(monitor.status.baselineAccuracy));
});

test('chance is measured anew against every champion’s own baseline', () => {
  const { monitor } = opened({ cooldownBars: 0 });
  monitor.adopt(champion(0.99));
  feed(monitor, 100, 0.8);
  assert.not.equal(monitor.checkRetrain(), null);
  monitor.retrainDone();
  monitor.adopt(champion(0.6));
  feed(monitor, 100, 0.48);
  assert.is(monitor.checkRetrain(), null, 'chance takes 16 of 100 from 0.6, and 5 from 0.99');
});

test('labels that are none and confidences outside [0, 1] are refused by name and change nothing', async () => {
  const { monitor } = opened();
  monitor.adopt(champion(0.5, PLAN));
  feed(monitor, 7, 0.5);
  const before = JSON.stringify(monitor.toState());
  for (const [wrong, field] of [
    [{ actual: 2 }, 'actual'],
    [{ actual: Number.NaN }, 'actual'],
    [{ predicted: 0.5 }, 'predicted'],
    [{ confidence: 1.1 }, 'confidence'],
    [{ confidence: Number.NaN }, 'confidence'],
  ] as const) {
    const label = { actual: 1, predicted: 1, confidence: 0.5, ...wrong } as {
      actual: 1;
      predicted: 1;
      confidence: number;
    };
    const refusal = await refusalOf(() => monitor.recordPrediction(label));
    assert.equal([refusal.code, refusal.field], ['OUT_OF_RANGE', field]);
  }
  assert.is(JSON.stringify(monitor.toState()), before);
  for (const minSamples of [0, 1.5, Number.NaN]) {
    const refusal = await refusalOf(() => opened({ minSamples }));
    assert.equal([refusal.code, refusal.field], ['OUT_OF_RANGE', 'minSamples']);
  }
});

type Step =
  | { readonly kind: 'label'; readonly actual: 0 | 1; readonly confidence: number }
  | { readonly kind: 'bar' | 'request' | 'check' | 'done' | 'adopt' | 'unknown' | 'hour' };

function perform(monitor: RetrainMonitor, clock: ManualClock, step: Step): unknown {
  if (step.kind === 'label') {
    monitor.recordPrediction({
      actual: step.actual,
      predicted: step.confidence >= 0.5 ? 1 : 0,
      confidence: step.confidence,
    });
  } else if (step.kind === 'bar') monitor.recordBar();
  else if (step.kind === 'request') monitor.request();
  else if (step.kind === 'check') return monitor.checkRetrain();
  else if (step.kind === 'done') monitor.retrainDone();
  else if (step.kind === 'hour') clock.advanceNs(DAY_NS / 24);
  else monitor.adopt(step.kind === 'adopt' ? champion(0.8, PLAN) : champion(Number.NaN, null));
  return null;
}

const labelStep = fc.record({
  kind: fc.constant('label' as const),
  actual: fc.constantFrom(0 as const, 1 as const),
  confidence: fc.double({ min: 0, max: 1, noNaN: true }),
});
const otherStep = fc.record({
  kind: fc.constantFrom('request', 'done', 'adopt', 'unknown', 'hour') as fc.Arbitrary<'done'>,
});
const oftenStep = fc.record({ kind: fc.constantFrom('bar', 'check') as fc.Arbitrary<'bar'> });
const stepsOf = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: labelStep },
    { weight: 4, arbitrary: oftenStep },
    { weight: 1, arbitrary: otherStep },
  ),
  { maxLength: 200 },
);

test('a monitor restored from JSON goes on with the same results, wherever it was interrupted', () => {
  fc.assert(
    fc.property(stepsOf, stepsOf, (before, after) => {
      const overrides = { minSamples: 10, intervalBars: 30, intervalMs: 7_200_000, sampleCount: 60 };
      const { monitor, clock, options } = opened(overrides);
      for (const step of before) perform(monitor, clock, step);
      const state = JSON.parse(JSON.stringify(monitor.toState())) as RetrainMonitorState;
      const otherClock = new ManualClock(clock.epochNs(), 0);
      const restored = new RetrainMonitor({ ...options, clock: otherClock }, state);
      for (const step of after) {
        assert.equal(perform(restored, otherClock, step), perform(monitor, clock, step));
        assert.equal(restored.pending, monitor.pending);
        assert.equal(restored.status, monitor.status);
      }
      assert.equal(restored.toState(), monitor.toState());
    }),
    { seed: 57, numRuns: PROPERTY_RUNS },
  );
});

test('a configuration with a shorter window keeps the newest labels of a longer one', () => {
  const { monitor, options } = opened({ minSamples: 100 });
  feed(monitor, 50, 0);
  feed(monitor, 50, 1);
  const restored = new RetrainMonitor({ ...options, minSamples: 50 }, monitor.toState());
  assert.is(restored.status.windowAccuracy, 1);
});

test.run();
