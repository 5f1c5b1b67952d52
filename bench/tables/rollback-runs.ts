import { RollbackEvidence, type Stake } from '../../src/retrain/rollback-evidence.js';
import { logLossOf } from '../../src/validation/metrics.js';
import {
  confidences,
  correlationOfAuc,
  drawsOf,
  type LabelSample,
  rememberingNoise,
  simulateLabels,
} from './overlapping-labels.js';

/**
 * How the new model differs from the old one. 'equal': both miss the truth by errors of the same law. 'noisy': the old one knows the truth, the new one misses it by an error that
 * comes and goes. 'inverted': the new one takes the edge for its opposite. 'biased': the new one is off by the same amount at every signal, so that neighbours repeat each other's
 * evidence.
 */
export type Difference = 'equal' | 'noisy' | 'inverted' | 'biased';

export interface RollbackPlan {
  readonly seed: number;
  readonly runs: number;
  readonly labels: number;
  readonly overlap: number;
  readonly difference: Difference;
  /** Size of the new model's error, in deviations of the return; of both models' for 'equal'. */
  readonly error: number;
  /** Bars over which errors remember themselves. */
  readonly errorMemoryBars: number;
}

export interface RollbackResult {
  /** Share of the runs that rolled back within the labels. */
  readonly rolledBack: number;
  /** Mean loss of the new model over that of the old one, nats per label. */
  readonly natsWorse: number;
  /** Labels until half, and nine tenths, of the runs rolled back; Infinity when fewer did. */
  readonly labelsMedian: number;
  readonly labels90: number;
}

const FACTOR_MEMORY_BARS = 20;
const EDGE = correlationOfAuc(0.6);

/** Follows two models label by label, each settled when its horizon closes, until the evidence refutes the new one or the labels end. */
export function rollbackRuns(plan: RollbackPlan): RollbackResult {
  const delays: number[] = [];
  let natsWorse = 0;
  for (let run = 0; run < plan.runs; run++) {
    const { metaLabel, newer, older } = twoModels(plan, drawsOf(plan.seed, run, plan.runs));
    let excess = 0;
    for (const [i, y] of metaLabel.entries()) excess += logLossOf(y, newer[i]!) - logLossOf(y, older[i]!);
    natsWorse += excess / plan.labels / plan.runs;
    delays.push(labelsUntilRefuted(metaLabel, newer, older, plan.overlap));
  }
  delays.sort((a, b) => a - b);
  return {
    rolledBack: delays.filter(Number.isFinite).length / plan.runs,
    natsWorse,
    labelsMedian: delays[Math.ceil(0.5 * plan.runs) - 1]!,
    labels90: delays[Math.ceil(0.9 * plan.runs) - 1]!,
  };
}

function labelsUntilRefuted(metaLabel: Uint8Array, newer: Float64Array, older: Float64Array, overlap: number): number {
  const evidence = new RollbackEvidence(overlap);
  const open: (Stake | null)[] = [];
  for (let i = 0; i < metaLabel.length + overlap; i++) {
    // The bar that closes the horizon of one signal is known before the next signal.
    const due = i - overlap;
    const stake = due >= 0 ? open[due] : null;
    if (stake) evidence.settle(stake, metaLabel[due] === 1 ? 1 : 0);
    if (evidence.hasRefuted) return due + 1;
    if (i < metaLabel.length) open.push(evidence.stake(newer[i]!, older[i]!));
  }
  return Number.POSITIVE_INFINITY;
}

interface TwoModels {
  readonly metaLabel: Uint8Array;
  readonly newer: Float64Array;
  readonly older: Float64Array;
}

function twoModels(plan: RollbackPlan, draw: () => number): TwoModels {
  const { labels, overlap, error } = plan;
  const strengths = [EDGE];
  const sample = simulateLabels({ labels, overlap, strengths, memoryBars: FACTOR_MEMORY_BARS }, draw);
  const noisy = (): Float64Array => {
    const errors = rememberingNoise(labels, plan.errorMemoryBars, draw);
    return confidences(sample, strengths, (i) => error * errors[i]!);
  };
  const { metaLabel } = sample;
  switch (plan.difference) {
    case 'equal':
      return { metaLabel, newer: noisy(), older: noisy() };
    case 'noisy':
      return { metaLabel, newer: noisy(), older: exact(sample, strengths) };
    case 'inverted':
      return { metaLabel, newer: exact(sample, [-EDGE]), older: exact(sample, strengths) };
    case 'biased':
      return { metaLabel, newer: confidences(sample, strengths, () => error), older: exact(sample, strengths) };
  }
}

function exact(sample: LabelSample, strengths: readonly number[]): Float64Array {
  return confidences(sample, strengths, () => 0);
}
