/** A run of consecutive bars, half-open. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

export interface VarianceRatio {
  /** Variance of the sum of q returns over q times the variance of one: 1 for a random walk, above when moves go on, below when they are taken back. */
  readonly ratio: number;
  /** Of the ratio, for a random walk whatever its returns' variances do. */
  readonly standardError: number;
  /** (ratio − 1) / standardError: standard normal for a long random walk. */
  readonly z: number;
}

/**
 * The variance ratio of overlapping sums of `span` returns with its heteroskedasticity-robust z (Lo & MacKinlay 1988), taken within stretches and pooled over
 * them; shorter stretches count for nothing. All are NaN unless the stretches hold more bars than one span, and returns that vary.
 *
 * In the variance of one return every return counts as often as the sums contain it. In one long stretch that is what the paper has; many short
 * ones that begin with their largest moves would otherwise seem to revert, because few sums reach their ends.
 */
export function varianceRatio(returns: Float64Array, stretches: readonly Stretch[], span: number): VarianceRatio {
  const long = stretches.filter(({ start, end }) => end - start >= span);
  const barCount = long.reduce((sum, { start, end }) => sum + end - start, 0);
  const mean = long.reduce((sum, stretch) => sum + sumOf(returns, stretch.start, stretch.end), 0) / barCount;
  let ofSums = 0;
  let ofSingles = 0;
  let pairs = 0;
  for (const { start, end } of long) {
    const last = end - start - span;
    for (let k = 0; k < end - start; k++) {
      // The sums that contain bar k begin at these offsets.
      const from = Math.max(0, k - span + 1);
      const to = Math.min(k, last);
      const difference = returns[start + k]! - mean;
      const square = difference * difference;
      ofSingles += (to - from + 1) * square;
      for (let lag = 1; k - lag >= from; lag++) {
        const shared = Math.min(k - lag, last) - from + 1;
        const earlier = returns[start + k - lag]! - mean;
        pairs += (2 * shared) ** 2 * square * earlier * earlier;
      }
      if (k <= last) ofSums += (sumOf(returns, start + k, start + k + span) - span * mean) ** 2;
    }
  }
  if (!(barCount > span && ofSingles > 0)) return { ratio: Number.NaN, standardError: Number.NaN, z: Number.NaN };
  // The mean is estimated from the same bars, which takes more from sums than from single returns.
  const ratio = ((ofSums / ofSingles) * (1 - 1 / barCount)) / (1 - span / barCount);
  const standardError = Math.sqrt(pairs) / ofSingles;
  return { ratio, standardError, z: (ratio - 1) / standardError };
}

function sumOf(values: Float64Array, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += values[i]!;
  return sum;
}
