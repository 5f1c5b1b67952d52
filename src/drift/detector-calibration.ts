import jstat from 'jstat';
import { OrchestratorError } from '../errors.js';
import { BootstrapStreams, type LabelIncrements, type Thresholds } from './bootstrap-streams.js';
import { expectedSkillIncrement, RATE_ALLOWANCE, skillIncrement } from './cusum.js';
import type { DetectorPlan } from './detector-plan.js';

/** What the champion said out of sample and how it turned out, in the order the labels' horizons closed; overlapping labels stay as they are. */
export interface CalibrationLabels {
  readonly metaLabel: Uint8Array;
  readonly confidence: Float64Array;
  /** Of the training window of each label's fold. */
  readonly baseRate: Float64Array;
}

export interface CalibrationInput extends CalibrationLabels {
  /** Labels alive at the same time, on average. */
  readonly meanConcurrency: number;
  /** The dial: labels between two false alarms of all detectors together. */
  readonly labelsPerFalseAlarm: number;
  readonly seed: number;
}

const LABELS_MIN = 200;
const STREAMS = 400;
/** Blocks keep the dependence of labels that overlap: several times as long as it reaches, and never short. */
const BLOCK_MIN = 50;
const BLOCK_CONCURRENCIES = 5;
/** Confidences closer to the base rate than this differ from it by rounding. */
const CONFIDENCE_ROUNDING = 1e-6;
const LOST_VARIANCE_MAX = 0.75;
/** By how much a threshold that is too low is raised at a time, and how often the interval around the right one is halved. */
const GROWTH = 1.1;
const HALVINGS = 40;
/** A verifying stream is given up after so many dials; one in 22,000 lasts longer by chance. */
const VERIFIED_DIALS = 10;
const VERIFIED_LEVEL = 0.95;

/**
 * Thresholds under which the champion's detectors raise one false alarm per `labelsPerFalseAlarm` labels while it stays as good as it says. Its out-of-sample increments, recentred to
 * what the confidences imply (y − p to 0, the skill increment to minus its divergence) and spread by what a finite history loses ({@link lostVariance}), are drawn again by the stationary bootstrap (Politis & Romano 1994) until 400 streams have alarmed.
 * Each of the m detectors gets m times the dial for itself, then one factor on both brings the average run length of the union to the dial on the same streams. `verified` is the union's
 * on streams of another seed. null for fewer than 200 labels, for labels of one class only, and where no label could ever raise an alarm.
 * A finite history is itself a draw: thresholds from 5,000 labels miss the dial by a factor that the evidence tables show. Throws LENGTH_MISMATCH and OUT_OF_RANGE.
 */
export function calibrateDetectors(input: CalibrationInput): DetectorPlan | null {
  checkInput(input);
  const { metaLabel, labelsPerFalseAlarm: dial, seed } = input;
  const ones = metaLabel.reduce((sum, label) => sum + label, 0);
  if (metaLabel.length < LABELS_MIN || ones === 0 || ones === metaLabel.length) return null;
  const meanBlock = Math.max(BLOCK_MIN, BLOCK_CONCURRENCIES * input.meanConcurrency);
  const increments = recentredIncrements(input, lostVariance(metaLabel.length, meanBlock));
  if (!increments.residual.some((residual) => Math.abs(residual) > RATE_ALLOWANCE)) return null;
  const options = { streams: STREAMS, meanBlock, allowance: RATE_ALLOWANCE };
  const thresholds = unionThresholds(increments, new BootstrapStreams(increments, { ...options, seed }), dial);
  const verifying = new BootstrapStreams(increments, { ...options, seed: seed + 1 });
  return {
    labelsPerFalseAlarm: dial,
    skillThreshold: thresholds.skill === Number.POSITIVE_INFINITY ? null : thresholds.skill,
    rateThreshold: thresholds.rate,
    rateAllowance: RATE_ALLOWANCE,
    verified: runLengthInterval(verifying.alarmsWithin(thresholds, VERIFIED_DIALS * dial)),
  };
}

/**
 * The share of a long-run variance that the stationary bootstrap loses by resampling a history around its own mean instead of the true one: every autocovariance is too small by
 * 1/n of it, and blocks of mean length b add up about 2b − 1 of them (Politis & Romano 1994, eq. 4). At most three quarters, beyond which the history is too short for its blocks.
 */
export function lostVariance(labels: number, meanBlock: number): number {
  return Math.min((2 * meanBlock - 1) / labels, LOST_VARIANCE_MAX);
}

/**
 * The increments of both detectors with the means they have while the confidence is right, spread around them as far as their whole variance goes of which `lost` will not be resampled. The skill
 * increments are all 0 where the confidence never differs from the base rate.
 */
export function recentredIncrements(
  { metaLabel, confidence, baseRate }: CalibrationLabels,
  lost: number,
): LabelIncrements {
  const spread = 1 / Math.sqrt(1 - lost);
  const residual = recentred(
    Float64Array.from(metaLabel, (y, k) => y - confidence[k]!),
    0,
    spread,
  );
  if (!confidence.some((p, k) => Math.abs(p - baseRate[k]!) > CONFIDENCE_ROUNDING)) {
    return { skill: new Float64Array(metaLabel.length), residual };
  }
  const implied = meanOf(Float64Array.from(confidence, (p, k) => expectedSkillIncrement(baseRate[k]!, p)));
  const skill = Float64Array.from(metaLabel, (y, k) => skillIncrement(baseRate[k]!, y, confidence[k]!));
  return { skill: recentred(skill, implied, spread), residual };
}

function unionThresholds(increments: LabelIncrements, streams: BootstrapStreams, dial: number): Thresholds {
  const largestSkill = increments.skill.reduce((largest, x) => Math.max(largest, x), 0);
  const largestResidual = increments.residual.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  const hasSkill = largestSkill > 0;
  const alone = (hasSkill ? 2 : 1) * dial;
  const none = Number.POSITIVE_INFINITY;
  const rate = levelFor(alone, largestResidual, (level) => streams.meanRun({ skill: none, rate: level }, alone));
  if (!hasSkill) return { skill: none, rate };
  const skill = levelFor(alone, largestSkill, (level) => streams.meanRun({ skill: level, rate: none }, alone));
  const scaled = (factor: number): Thresholds => ({ skill: factor * skill, rate: factor * rate });
  return scaled(levelFor(dial, 1, (factor) => streams.meanRun(scaled(factor), dial)));
}

/** The smallest level whose run is at least `target`, to 12 digits, `run` growing with the level. */
function levelFor(target: number, start: number, run: (level: number) => number): number {
  let lower = 0;
  let upper = start;
  // Small steps, because a run grows exponentially with its level, and with it the work.
  while (run(upper) < target) {
    lower = upper;
    upper *= GROWTH;
  }
  for (let k = 0; k < HALVINGS; k++) {
    const middle = (lower + upper) / 2;
    if (run(middle) < target) lower = middle;
    else upper = middle;
  }
  return upper;
}

/** Labels per alarm and its exact interval: runs to a rare alarm are exponential, so twice the labels over their mean is χ² with two degrees of freedom per alarm (Garwood 1936). */
function runLengthInterval({ alarms, labels }: { alarms: number; labels: number }): DetectorPlan['verified'] {
  const seen = Math.max(alarms, 1);
  const tail = (1 - VERIFIED_LEVEL) / 2;
  const bound = (probability: number): number => (2 * labels) / jstat.jStat.chisquare.inv(probability, 2 * seen);
  return { labels: labels / seen, lower: bound(1 - tail), upper: bound(tail) };
}

function recentred(values: Float64Array, mean: number, spread: number): Float64Array {
  const own = meanOf(values);
  return values.map((value) => mean + spread * (value - own));
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function checkInput({ metaLabel, confidence, baseRate, ...input }: CalibrationInput): void {
  if (confidence.length !== metaLabel.length || baseRate.length !== metaLabel.length) {
    throw new OrchestratorError('LENGTH_MISMATCH', 'labels, confidences and base rates differ in length', {
      field: 'confidence',
    });
  }
  const isProbability = (p: number): boolean => p >= 0 && p <= 1;
  if (!metaLabel.every((y) => y <= 1)) throw outOfRange('metaLabel', '0 or 1');
  if (!confidence.every(isProbability)) throw outOfRange('confidence', 'in [0, 1]');
  if (!baseRate.every(isProbability)) throw outOfRange('baseRate', 'in [0, 1]');
  if (!(input.meanConcurrency >= 0 && input.meanConcurrency < Number.POSITIVE_INFINITY)) {
    throw outOfRange('meanConcurrency', 'a finite number from 0 up');
  }
  if (!(input.labelsPerFalseAlarm >= 1 && input.labelsPerFalseAlarm < Number.POSITIVE_INFINITY)) {
    throw outOfRange('labelsPerFalseAlarm', 'a finite number from 1 up');
  }
}

function outOfRange(field: string, range: string): OrchestratorError {
  return new OrchestratorError('OUT_OF_RANGE', `${field} must be ${range}`, { field });
}
