export const DECILE_COUNT = 9;
/** Fewer values say nothing: the index of 100 values from the training distribution itself is already 0.09 on average, where 0.1 is commonly called a change. */
const KNOWN_MIN = 100;

/** The nine deciles of a feature's known values, the smallest value with at least k/10 of them at or below it; all NaN when fewer than 100 are known. */
export function featureQuantiles(values: Float32Array): Float64Array {
  const known = values.filter((value) => !Number.isNaN(value)).sort();
  if (known.length < KNOWN_MIN) return new Float64Array(DECILE_COUNT).fill(Number.NaN);
  return Float64Array.from({ length: DECILE_COUNT }, (_, k) => known[Math.ceil(((k + 1) * known.length) / 10) - 1]!);
}

/**
 * Population stability index Σ (live − training)·ln(live / training) over the bins between the training deciles: Jeffreys' divergence (1946) of the binned distributions, 0 for equal ones.
 * A share counts as at least half a live value, so an empty bin is finite. Missing values are ignored: how often a feature is missing follows from how much history there is, which
 * differs between training and a fresh start without any drift. A value that several deciles share is a bin of its own; since deciles then know its training share only
 * to a tenth on either side, the nearest possible one counts: the index tells what the deciles prove. NaN when the deciles are unknown or fewer than 100 known live values.
 */
export function populationStability(deciles: Float64Array, live: Float32Array): number {
  const known = live.filter((value) => !Number.isNaN(value)).sort();
  if (deciles.some(Number.isNaN) || known.length < KNOWN_MIN) return Number.NaN;
  const cuts = cumulativeShares(deciles, known);
  const floor = 0.5 / known.length;
  let index = 0;
  for (let k = 1; k < cuts.length; k++) {
    const ofLive = Math.max(cuts[k]!.live - cuts[k - 1]!.live, floor);
    const ofTraining = Math.max(cuts[k]!.training - cuts[k - 1]!.training, floor);
    index += (ofLive - ofTraining) * Math.log(ofLive / ofTraining);
  }
  return index;
}

/** Shares of both distributions at or below the end of each bin, from 0 to 1. */
interface Cut {
  readonly live: number;
  readonly training: number;
}

function cumulativeShares(deciles: Float64Array, sortedLive: Float32Array): Cut[] {
  const cuts: Cut[] = [{ live: 0, training: 0 }];
  for (let first = 0; first < DECILE_COUNT; ) {
    const value = deciles[first]!;
    const last = deciles.lastIndexOf(value);
    const atMost = countBelow(sortedLive, (one) => one <= value) / sortedLive.length;
    if (last === first) {
      cuts.push({ live: atMost, training: (first + 1) / 10 });
    } else {
      const below = countBelow(sortedLive, (one) => one < value) / sortedLive.length;
      cuts.push({ live: below, training: nearest(below, first / 10, (first + 1) / 10) });
      cuts.push({ live: atMost, training: nearest(atMost, (last + 1) / 10, (last + 2) / 10) });
    }
    first = last + 1;
  }
  cuts.push({ live: 1, training: 1 });
  return cuts;
}

function nearest(share: number, lowest: number, highest: number): number {
  return Math.min(Math.max(share, lowest), highest);
}

/** How many of the sorted values come before the first that is not `below`. */
function countBelow(sorted: Float32Array, below: (value: number) => boolean): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (below(sorted[middle]!)) from = middle + 1;
    else to = middle;
  }
  return from;
}
