import type { TimeSpan } from './batch-means.js';

/**
 * What a t of {@link batchMeans} must be multiplied by for blocks that are not quite independent: labels on both sides of a border share paths, so the blocks' sums hang together,
 * and their spread shows too little of the whole sum's variance. For labels of D bars whose dependence falls in a line with the bars they share, a block of L bars has variance ∝
 * L·D − D²/3, and the sum of all n = B·L bars n·D: the spread shows the share 1 − D/(3L) of it (from the edge term of a block's variance: Song & Schmeiser 1995). That is 3 % of t
 * at the least length of five dependences: nothing at 5 %, but a quarter more false positives at 0.2 %. 0 for blocks too short to show anything.
 */
export function blockOverlapFactor({ start, end, dependenceBars }: TimeSpan, blocks: number): number {
  const blockBars = (end - start) / blocks;
  return Math.sqrt(Math.max(0, 1 - dependenceBars / (3 * blockBars)));
}
