import jstat from 'jstat';
import {
  type BatchMeans,
  BLOCK_DEPENDENCES,
  BLOCKS_MAX,
  BLOCKS_MIN,
  type TimeSpan,
} from '../validation/batch-means.js';
import { blockOverlapFactor } from '../validation/block-overlap.js';

const PROBABILITY_FLOOR = 1e-4;

/** What the paired test has shown so far, from which follows what it could show. */
export interface TestedGain {
  /** Labels, and the batch means of their gains in nats. */
  readonly n: number;
  readonly means: BatchMeans;
  readonly span: TimeSpan;
  /** Error of one test. */
  readonly alpha: number;
}

const POWER = 0.8;

/**
 * Whether the span holds eight blocks that are long enough to be taken as independent. {@link batchMeans} cuts a shorter one into eight all the same, and its t is then too large.
 */
export function holdsEightBlocks({ start, end, dependenceBars }: TimeSpan): boolean {
  return end - start >= BLOCKS_MIN * BLOCK_DEPENDENCES * dependenceBars;
}

/** What t must exceed at error alpha. */
export function criticalT(alpha: number, blocks: number): number {
  return jstat.jStat.studentt.inv(1 - alpha, blocks - 1);
}

/** The gain per label, in nats, that the test finds with 80 % power on as many labels as these. */
export function smallestDetectableGain({ n, means, span, alpha }: TestedGain): number {
  return (reachOf(alpha, means.blocks) * means.standardError) / blockOverlapFactor(span, means.blocks) / n;
}

/**
 * Labels in all on which the test finds a true gain of `gainNats` per label with 80 % power, if labels go on coming as densely and hanging together as in the span: the standard
 * error falls with the root of their number, and the quantile with the number of blocks they fill. It is about the test alone: a gain hardly above the least
 * that is asked for must also be seen above it.
 */
export function labelsForPower(gainNats: number, tested: TestedGain): number {
  const { n, means, span, alpha } = tested;
  const labelsPerDependence = (span.dependenceBars * n) / (span.end - span.start);
  const standardErrors = gainNats / (means.standardError / n);
  let fewest = Number.POSITIVE_INFINITY;
  for (let blocks = BLOCKS_MIN; blocks <= BLOCKS_MAX; blocks++) {
    // m labels in B blocks show m·(1 − D/(3L)) = m − B·D/3 of their evidence: what the borders take is the same for every m.
    const atBorders = (blocks * labelsPerDependence) / 3;
    const forPower = n * (reachOf(alpha, blocks) / standardErrors) ** 2 + atBorders;
    fewest = Math.min(fewest, Math.max(forPower, blocks * BLOCK_DEPENDENCES * labelsPerDependence));
  }
  return Math.ceil(fewest);
}

/** Standard errors between a gain of 0 and one that is found with 80 % power. */
function reachOf(alpha: number, blocks: number): number {
  return criticalT(alpha, blocks) + jstat.jStat.studentt.inv(POWER, blocks - 1);
}

/**
 * t of the paired test if the challenger's confidences were the truth: the sum of its divergences from the champion (Kullback & Leibler 1951) over the standard deviation of the loss difference,
 * labels that are open together counting as one. No label is looked at, so forgoing a test because of it costs no error.
 */
export function expectedT(challenger: Float64Array, champion: Float64Array, meanConcurrency: number): number {
  let divergence = 0;
  let variance = 0;
  for (let k = 0; k < challenger.length; k++) {
    const p = clipped(challenger[k]!);
    const q = clipped(champion[k]!);
    const ifOne = Math.log(p / q);
    const ifZero = Math.log((1 - p) / (1 - q));
    divergence += p * ifOne + (1 - p) * ifZero;
    variance += p * (1 - p) * (ifOne - ifZero) ** 2;
  }
  return variance > 0 ? divergence / Math.sqrt(meanConcurrency * variance) : 0;
}

/** A confidence of exactly 0 or 1 would make one label worth more than all others. */
function clipped(confidence: number): number {
  return Math.min(Math.max(confidence, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
}

/** Labels with which the strict test at `alpha` passes a model of this gain, in nats over its base rate, in 80 of 100 cases: the variance of a log-loss difference is about twice its mean near the null. */
export function labelsForTrial(gain: number, alpha: number, meanConcurrency: number): number {
  const { normal } = jstat.jStat;
  const distance = normal.inv(1 - alpha, 0, 1) + normal.inv(POWER, 0, 1);
  return Math.ceil(((2 * distance ** 2) / gain) * meanConcurrency);
}
