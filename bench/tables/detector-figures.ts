import { calibrateDetectors } from '../../src/drift/detector-calibration.js';
import type { DetectorPlan } from '../../src/drift/detector-plan.js';
import { DriftDetectors } from '../../src/drift/drift-detectors.js';
import type { RetrainReason } from '../../src/market/events.js';
import { RetrainMonitor } from '../../src/retrain/retrain-monitor.js';
import { accuracy } from '../../src/validation/metrics.js';
import { BASE_RATE, type ChampionKind, type Drift, SimulatedLabels } from './simulated-labels.js';

/** A champion's detectors, calibrated on so many of its own labels. */
export interface Calibration {
  readonly champion: ChampionKind;
  readonly overlap: number;
  readonly historyLabels: number;
  readonly labelsPerFalseAlarm: number;
  readonly seed: number;
}

/** Seeds of histories and of what they are tried on never meet. */
const TRIAL_SEED = 1_000_000;

export function calibrated({ champion, overlap, historyLabels, labelsPerFalseAlarm, seed }: Calibration): DetectorPlan {
  const plan = calibrateDetectors({
    ...new SimulatedLabels(champion, overlap, seed).history(historyLabels),
    meanConcurrency: overlap,
    labelsPerFalseAlarm,
    seed,
  });
  if (plan === null) throw new Error('a simulated history holds enough labels of both classes');
  return plan;
}

/** Labels per false alarm of the live detectors on new labels of the process the plan comes from, from so many alarms. */
export function runLength(plan: DetectorPlan, { champion, overlap, seed }: Calibration, alarms: number): number {
  const labels = new SimulatedLabels(champion, overlap, TRIAL_SEED + seed);
  const detectors = new DriftDetectors(plan, BASE_RATE);
  let count = 0;
  for (let seen = 0; seen < alarms; ) {
    count++;
    labels.step();
    detectors.record(labels.metaLabel, labels.confidence);
    if (detectors.alarms.length === 0) continue;
    seen++;
    detectors.reset();
  }
  return count / alarms;
}

export interface DelayTrial {
  readonly drift: Drift;
  readonly runs: number;
  /** Labels without drift before it, false alarms among them being reset; 0 starts the drift with the detectors at rest. */
  readonly warmUpLabels: number;
}

/** Labels from the onset of the drift to the first alarm, sorted. */
export function delays(plan: DetectorPlan, { champion, overlap }: Calibration, trial: DelayTrial): Float64Array {
  return Float64Array.from({ length: trial.runs }, (_, run) => {
    const labels = new SimulatedLabels(champion, overlap, 2 * TRIAL_SEED + run);
    const detectors = new DriftDetectors(plan, BASE_RATE);
    const step = (): void => {
      labels.step();
      detectors.record(labels.metaLabel, labels.confidence);
    };
    for (let k = 0; k < trial.warmUpLabels; k++) {
      step();
      if (detectors.alarms.length > 0) detectors.reset();
    }
    labels.drift = trial.drift;
    let delay = 0;
    for (; detectors.alarms.length === 0; delay++) step();
    return delay;
  }).sort();
}

export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
}

export interface StretchTrial {
  readonly overlap: number;
  readonly stretches: number;
  readonly stretchLabels: number;
  readonly windowLabels: number;
  readonly accuracyDrop: number;
  readonly plan: DetectorPlan | null;
}

/** Shares of stretches without any drift in which an alarm was raised, both rules being held to the champion's true accuracy. */
export interface FalseAlarmShares {
  /** By the naive rule: the mean of the window lies below the baseline by the drop. */
  readonly naive: number;
  /** By the monitor's accuracy rule with the same window and drop. */
  readonly accuracyRule: number;
  /** By any of the monitor's reasons. */
  readonly monitor: number;
}

export function falseAlarmShares(trial: StretchTrial): FalseAlarmShares {
  const history = new SimulatedLabels('edge', trial.overlap, 1).history(200_000);
  const baseline = accuracy(history.metaLabel, history.confidence);
  let naive = 0;
  let accuracyRule = 0;
  let monitor = 0;
  for (let run = 0; run < trial.stretches; run++) {
    const { firedNaively, reasons } = stretch(trial, baseline, 3 * TRIAL_SEED + run);
    if (firedNaively) naive++;
    if (reasons.includes('accuracy_degradation')) accuracyRule++;
    if (reasons.length > 0) monitor++;
  }
  const share = (count: number): number => count / trial.stretches;
  return { naive: share(naive), accuracyRule: share(accuracyRule), monitor: share(monitor) };
}

const STOPPED_CLOCK = { epochNs: () => 0n, monotonicNs: () => 0 };

function stretch(trial: StretchTrial, baseline: number, seed: number) {
  const labels = new SimulatedLabels('edge', trial.overlap, seed);
  const monitor = new RetrainMonitor({
    accuracyDropThreshold: trial.accuracyDrop,
    minSamples: trial.windowLabels,
    intervalBars: null,
    intervalMs: null,
    sampleCount: null,
    cooldownBars: 0,
    clock: STOPPED_CLOCK,
  });
  monitor.adopt({ detectors: trial.plan, baseRate: BASE_RATE, accuracy: baseline });
  const hits: boolean[] = [];
  let windowHits = 0;
  let firedNaively = false;
  for (let k = 0; k < trial.stretchLabels; k++) {
    labels.step();
    const { metaLabel: actual, confidence } = labels;
    const predicted = confidence >= 0.5 ? 1 : 0;
    monitor.recordPrediction({ actual, predicted, confidence });
    hits.push(actual === predicted);
    windowHits += Number(hits[k]) - Number(k >= trial.windowLabels && hits[k - trial.windowLabels]);
    const isFull = k + 1 >= trial.windowLabels;
    firedNaively ||= isFull && baseline - windowHits / trial.windowLabels >= trial.accuracyDrop;
  }
  const reasons: readonly RetrainReason[] = monitor.checkRetrain()?.reasons ?? [];
  return { firedNaively, reasons };
}
