import { batchMeans, dependenceBars, shrinkageFactor } from '../validation/batch-means.js';
import { baseRateOf } from '../validation/metrics.js';
import type { TrainingSet } from './training-set.js';

/** How far trees are trusted, and why. */
export interface Restraint {
  /** What the margin's distance from the base rate is multiplied with, in [0, 1]. */
  readonly lambda: number;
  /** The multiplier that fits the held-out rows best, before it is shrunk by its own uncertainty. */
  readonly estimate: number;
  /** Batch-means t of the estimate; NaN for insufficient evidence. */
  readonly t: number;
}

export const NO_TRUST: Restraint = { lambda: 0, estimate: 0, t: Number.NaN };

/** Rows and what trees that have not seen them say of them. */
export interface HeldOut {
  readonly rows: Int32Array;
  readonly margins: Float64Array;
}

/**
 * The multiplier λ of logit p = b₀ + λ(m − b₀) from held-out margins: one Newton step of the logistic likelihood from λ = 0, λ̂ = Σ(y − p̄)x / (p̄(1 − p̄)Σx²) with
 * x the margin and p̄ the base rate of its own split, x centred there, clamped to [0, 1] and shrunk by 1 − 1/T² (the positive-part rule of James & Stein 1961), T being its
 * batch-means t. Restraint by degrees instead of a significance switch: a switch kills real edges that are merely small.
 */
export function estimateRestraint(set: TrainingSet, heldOut: readonly HeldOut[]): Restraint {
  const rows = Int32Array.from(heldOut.flatMap((part) => [...part.rows]));
  const parts = heldOut.map((part) => scoreTerms(set, part));
  const information = parts.reduce((sum, part) => sum + part.information, 0);
  if (rows.length === 0 || !(information > 0)) return NO_TRUST;
  const terms = Float64Array.from(parts.flatMap((part) => [...part.terms]));
  const estimate = terms.reduce((sum, term) => sum + term, 0) / information;
  const start = set.start[rows[0]!]!;
  const end = set.start[rows[rows.length - 1]!]! + 1;
  const durations = rows.map((row) => set.duration[row]!);
  const position = rows.map((row) => set.start[row]!);
  const evidence = batchMeans(terms, { position, start, end, dependenceBars: dependenceBars(durations, end - start) });
  const lambda = Math.min(Math.max(estimate, 0), 1) * shrinkageFactor(evidence);
  return { lambda, estimate, t: evidence?.t ?? Number.NaN };
}

/** Terms of the likelihood's slope at λ = 0, and its curvature. */
function scoreTerms(set: TrainingSet, { rows, margins }: HeldOut): { terms: Float64Array; information: number } {
  const labels = Uint8Array.from(rows, (row) => set.metaLabel[row]!);
  const rate = baseRateOf(labels);
  // The rounded mean of equal margins need not equal them.
  const isConstant = margins.every((margin) => margin === margins[0]);
  const mean = isConstant ? margins[0]! : margins.reduce((sum, margin) => sum + margin, 0) / margins.length;
  return {
    terms: margins.map((margin, k) => (labels[k]! - rate) * (margin - mean)),
    information: rate * (1 - rate) * margins.reduce((sum, margin) => sum + (margin - mean) ** 2, 0),
  };
}
