import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Calibration,
  calibrated,
  delays,
  falseAlarmShares,
  quantile,
} from '../../bench/tables/detector-figures.js';
import { type Drift, NO_DRIFT } from '../../bench/tables/simulated-labels.js';
import { DRIFT_RUNS, STATIONARY_STRETCHES } from '../support/sizes.js';

const DIAL = 20_000;

function calibration(champion: Calibration['champion'], overlap: number): Calibration {
  return { champion, overlap, historyLabels: 30_000, labelsPerFalseAlarm: DIAL, seed: 21 };
}

function delayTrial(drift: Partial<Drift>) {
  return { drift: { ...NO_DRIFT, ...drift }, runs: DRIFT_RUNS, warmUpLabels: 1000 };
}

test('detectors that run when the base rate of a champion without an edge falls see it in time, at one false alarm in 20,000 labels', () => {
  for (const [overlap, shift, wanted] of [
    [1, -0.05, 1600],
    [1, -0.1, 500],
    [6, -0.05, 5500],
  ] as const) {
    const trial = calibration('base-rate', overlap);
    const sorted = delays(calibrated(trial), trial, delayTrial({ rateShift: shift }));
    const within = quantile(sorted, 0.95);
    assert.ok(within <= wanted, `overlap ${overlap}, ${shift}: 95 % within ${within}`);
  }
});

test('an edge that vanishes while the base rate stays is seen by the skill detector alone', () => {
  const trial = calibration('edge', 1);
  const plan = calibrated(trial);
  const drift = delayTrial({ skillIsGone: true });
  const both = delays(plan, trial, drift);
  assert.ok(quantile(both, 0.5) < 400, `median ${quantile(both, 0.5)}`);
  const few = { ...drift, runs: 20 };
  const without = delays({ ...plan, skillThreshold: null }, trial, few);
  assert.ok(quantile(without, 0.5) > 5000, `the base-rate detector alone takes ${quantile(without, 0.5)}`);
});

test('the naive accuracy rule fires in most stretches without drift, the monitor in as few as it is dialled to', () => {
  for (const overlap of [1, 6]) {
    const trial = { overlap, stretches: STATIONARY_STRETCHES, stretchLabels: 2000, plan: null };
    const naive = falseAlarmShares({ ...trial, windowLabels: 200, accuracyDrop: 0.05 });
    assert.ok(naive.naive > 0.75, `overlap ${overlap}: naive ${naive.naive}`);
    assert.ok(naive.accuracyRule < 0.5 * naive.naive, `overlap ${overlap}: ${naive.accuracyRule}`);
    const plan = calibrated(calibration('edge', overlap));
    const ours = falseAlarmShares({ ...trial, plan, windowLabels: 1000, accuracyDrop: 0.1 });
    assert.ok(ours.accuracyRule < 0.03, `overlap ${overlap}: accuracy rule ${ours.accuracyRule}`);
    // 2,000 of 20,000 labels: a false alarm in 9.5 % of stretches, ± 2.9 % in 100 of them.
    assert.ok(ours.monitor < 0.17, `overlap ${overlap}: monitor ${ours.monitor}`);
  }
});

test.run();
