import jstat from 'jstat';
import { batchMeans, type TimeSpan } from './batch-means.js';
import { rocAuc } from './metrics.js';

/** The AUC with a 95 % interval; NaN bounds for insufficient evidence. */
export interface AucInterval {
  readonly auc: number;
  readonly lower: number;
  readonly upper: number;
}

const TAIL = 0.025;

/**
 * Interval of the AUC under dependence: the AUC is linearised into one term a row (DeLong, DeLong & Clarke-Pearson 1988), and the terms' standard error comes from
 * blocks of time.
 */
export function aucInterval(y: Uint8Array, p: Float64Array, span: TimeSpan): AucInterval {
  const auc = rocAuc(y, p);
  const means = batchMeans(placementTerms(y, p, auc), span);
  if (means === null || Number.isNaN(auc)) return { auc, lower: Number.NaN, upper: Number.NaN };
  const reach = jstat.jStat.studentt.inv(1 - TAIL, means.blocks - 1) * means.standardError;
  return { auc, lower: Math.max(0, auc - reach), upper: Math.min(1, auc + reach) };
}

/** Terms that add up to the AUC's error: each row's share of the other class on its right side, less the AUC, over its class's size. */
function placementTerms(y: Uint8Array, p: Float64Array, auc: number): Float64Array {
  const sorted = [0, 1].map((label) => p.filter((_score, k) => y[k] === label).sort());
  const [negatives, positives] = sorted as [Float64Array, Float64Array];
  return p.map((score, k) => {
    const won = y[k] === 1;
    const others = won ? negatives : positives;
    const below = (countBelow(others, score, false) + countBelow(others, score, true)) / 2 / others.length;
    return ((won ? below : 1 - below) - auc) / (won ? positives : negatives).length;
  });
}

/** How many sorted values lie below the score, or up to it. */
function countBelow(sorted: Float64Array, score: number, orEqual: boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < score || (orEqual && sorted[middle] === score)) low = middle + 1;
    else high = middle;
  }
  return low;
}
