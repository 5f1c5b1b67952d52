import { type BatchMeans, batchMeans, type TimeSpan } from './batch-means.js';

/** Least-squares line y = intercept + slope·x, with the slope's evidence under dependence. */
export interface SlopeEvidence {
  readonly slope: number;
  readonly meanX: number;
  readonly meanY: number;
  /** Batch means of (x − x̄)(y − ȳ); null for insufficient evidence or x without spread. */
  readonly evidence: BatchMeans | null;
}

/** Regresses y on x, judging the slope by blocks of time. */
export function slopeEvidence(x: Float64Array, y: Float64Array, span: TimeSpan): SlopeEvidence {
  const meanX = mean(x);
  const meanY = mean(y);
  // Compared one by one: the rounded mean of equal values need not equal them.
  const isConstant = x.every((value) => value === x[0]);
  if (isConstant) return { slope: 0, meanX, meanY, evidence: null };
  const terms = x.map((value, k) => (value - meanX) * (y[k]! - meanY));
  const squares = x.reduce((sum, value) => sum + (value - meanX) ** 2, 0);
  const slope = terms.reduce((sum, term) => sum + term, 0) / squares;
  return { slope, meanX, meanY, evidence: batchMeans(terms, span) };
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
