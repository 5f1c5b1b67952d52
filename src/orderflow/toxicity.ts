import type { ToxicityLevel } from './vpin.js';

/** Quantiles 0 %, 1 %, …, 100 % of one instrument's VPIN over a training interval. */
export const TOXICITY_QUANTILES = 101;
const LEVEL_MEDIUM_MIN = 0.5;
const LEVEL_HIGH_MIN = 0.9;

/** The quantiles of the known values, or null when there are fewer than 101 of them. */
export function toxicityQuantiles(vpin: Float64Array): Float64Array | null {
  const known = vpin.filter((value) => !Number.isNaN(value)).sort();
  if (known.length < TOXICITY_QUANTILES) return null;
  return Float64Array.from(
    { length: TOXICITY_QUANTILES },
    (_, k) => known[Math.round((k * (known.length - 1)) / (TOXICITY_QUANTILES - 1))]!,
  );
}

/** The share of the training interval with at most this VPIN, in [0, 1], 0 at its minimum, interpolated between quantiles: what is much for one instrument is little for another. */
export function toxicityShare(quantiles: ArrayLike<number>, vpin: number): number {
  if (vpin <= quantiles[0]!) return 0;
  const last = quantiles.length - 1;
  if (vpin >= quantiles[last]!) return 1;
  let below = 0;
  let above = last;
  while (above - below > 1) {
    const middle = (below + above) >> 1;
    if (quantiles[middle]! <= vpin) below = middle;
    else above = middle;
  }
  return (below + (vpin - quantiles[below]!) / (quantiles[above]! - quantiles[below]!)) / last;
}

/** 'low' in the lower half of the training interval, 'high' in its top tenth. */
export function toxicityLevel(share: number): ToxicityLevel {
  if (share < LEVEL_MEDIUM_MIN) return 'low';
  return share < LEVEL_HIGH_MIN ? 'medium' : 'high';
}
