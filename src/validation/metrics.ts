import { OrchestratorError } from '../errors.js';

/** Probabilities closer to 0 or 1 than this are scored as if they were here, so that one certain miss is not an infinite loss. */
const PROBABILITY_FLOOR = 1e-15;

/**
 * Area under the ROC curve, ties counting one half (Mann & Whitney 1947); NaN when only one class is present or a score is NaN.
 * `y` 0/1, `p` the probability or any score of 1. Throws LENGTH_MISMATCH.
 */
export function rocAuc(y: Uint8Array, p: Float64Array, weight?: Float64Array): number {
  checkLengths(y, p, weight);
  if (p.some(Number.isNaN)) return Number.NaN;
  const order = Uint32Array.from(p.keys()).sort((a, b) => p[a]! - p[b]!);
  let positives = 0;
  let negatives = 0;
  let concordant = 0;
  for (let k = 0; k < order.length; ) {
    let tiedPositives = 0;
    let tiedNegatives = 0;
    const score = p[order[k]!]!;
    for (; k < order.length && p[order[k]!] === score; k++) {
      const w = weight ? weight[order[k]!]! : 1;
      if (y[order[k]!] === 1) tiedPositives += w;
      else tiedNegatives += w;
    }
    concordant += tiedPositives * (negatives + tiedNegatives / 2);
    positives += tiedPositives;
    negatives += tiedNegatives;
  }
  return positives > 0 && negatives > 0 ? concordant / (positives * negatives) : Number.NaN;
}

/** Mean negative log-likelihood in nats; NaN for no rows. Throws LENGTH_MISMATCH. */
export function logLoss(y: Uint8Array, p: Float64Array, weight?: Float64Array): number {
  return weightedMean(y, p, weight, logLossOf);
}

/** Mean squared error of the probability (Brier 1950); NaN for no rows. Throws LENGTH_MISMATCH. */
export function brierScore(y: Uint8Array, p: Float64Array, weight?: Float64Array): number {
  return weightedMean(y, p, weight, (label, probability) => (probability - label) ** 2);
}

/** Share of rows on the right side of 0.5, 0.5 itself predicting 1; NaN for no rows. Throws LENGTH_MISMATCH. */
export function accuracy(y: Uint8Array, p: Float64Array, weight?: Float64Array): number {
  return weightedMean(y, p, weight, (label, probability) => Number((probability >= 0.5 ? 1 : 0) === label));
}

/** Loss of one prediction in nats. */
export function logLossOf(label: number, probability: number): number {
  const ofLabel = label === 1 ? probability : 1 - probability;
  return -Math.log(Math.max(ofLabel, PROBABILITY_FLOOR));
}

/** Share of ones; NaN for no rows. */
export function baseRateOf(y: Uint8Array): number {
  let ones = 0;
  for (const label of y) ones += label;
  return ones / y.length;
}

function weightedMean(
  y: Uint8Array,
  p: Float64Array,
  weight: Float64Array | undefined,
  score: (label: number, probability: number) => number,
): number {
  checkLengths(y, p, weight);
  let sum = 0;
  let weights = 0;
  for (let k = 0; k < y.length; k++) {
    const w = weight ? weight[k]! : 1;
    sum += w * score(y[k]!, p[k]!);
    weights += w;
  }
  return sum / weights;
}

function checkLengths(y: Uint8Array, p: Float64Array, weight: Float64Array | undefined): void {
  if (y.length !== p.length || (weight !== undefined && weight.length !== y.length)) {
    throw new OrchestratorError('LENGTH_MISMATCH', 'labels, probabilities and weights differ in length', {
      field: 'p',
    });
  }
}
