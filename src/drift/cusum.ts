/** Confidences and base rates are kept so far from 0 and 1: one certain miss costs at most 9.2 nats and decides nothing by itself. */
const PROBABILITY_MARGIN = 1e-4;

/** What each side of the base-rate CUSUM takes off every label: half of five points, the smallest shift that matters. A CUSUM is quickest for a shift of twice its allowance. */
export const RATE_ALLOWANCE = 0.025;

/** One step of a one-sided CUSUM, W ← max(0, W + increment) (Page 1954). It alarms when W reaches its threshold. */
export function cusumStep(level: number, increment: number): number {
  const next = level + increment;
  // The larger of `next` and 0, exactly, without a branch: which it is cannot be predicted, and a calibration takes tens of millions of steps.
  return 0.5 * (next + Math.abs(next));
}

/**
 * log p₀(y) − log p(y) in nats: what a label says for "the confidence knows no more than the base rate" against "the confidence is right". Its mean is −KL(p ‖ p₀) while the
 * model keeps its edge and above 0 as soon as the labels no longer depend on p, so a CUSUM of it is the log-likelihood ratio test of an edge that vanishes.
 */
export function skillIncrement(baseRate: number, metaLabel: number, confidence: number): number {
  const p0 = clipped(baseRate);
  const p = clipped(confidence);
  return metaLabel === 1 ? Math.log(p0 / p) : Math.log((1 - p0) / (1 - p));
}

/** The mean of {@link skillIncrement} over labels drawn from the confidence itself: minus the Kullback–Leibler divergence of the base rate from it, in nats, at most 0. */
export function expectedSkillIncrement(baseRate: number, confidence: number): number {
  const p = clipped(confidence);
  return p * skillIncrement(baseRate, 1, confidence) + (1 - p) * skillIncrement(baseRate, 0, confidence);
}

function clipped(probability: number): number {
  return Math.min(Math.max(probability, PROBABILITY_MARGIN), 1 - PROBABILITY_MARGIN);
}
