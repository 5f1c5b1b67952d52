import { OrchestratorError } from '../errors.js';

/** Label intervals in bars, both ends inclusive, as parallel arrays. */
export interface LabelIntervals {
  readonly start: Int32Array;
  readonly end: Int32Array;
}

/**
 * Average uniqueness of each label interval, in [0, 1]: the mean over its bars of 1 / (labels alive on that bar)
 * (López de Prado 2018, ch. 4). Throws OUT_OF_RANGE when an interval is reversed or leaves [0, barCount).
 */
export function averageUniqueness(intervals: LabelIntervals, barCount: number): Float64Array {
  const { start, end } = intervals;
  const alive = new Float64Array(barCount + 1);
  for (let k = 0; k < start.length; k++) {
    if (!(start[k]! >= 0 && start[k]! <= end[k]! && end[k]! < barCount)) {
      throw new OrchestratorError('OUT_OF_RANGE', `interval ${k} = [${start[k]}, ${end[k]}] of ${barCount} bars`, {
        field: 'intervals',
      });
    }
    alive[start[k]!] = alive[start[k]!]! + 1;
    alive[end[k]! + 1] = alive[end[k]! + 1]! - 1;
  }
  for (let bar = 1; bar <= barCount; bar++) alive[bar] = alive[bar]! + alive[bar - 1]!;
  const uniqueness = new Float64Array(start.length);
  for (let k = 0; k < start.length; k++) {
    let sum = 0;
    for (let bar = start[k]!; bar <= end[k]!; bar++) sum += 1 / alive[bar]!;
    uniqueness[k] = sum / (end[k]! - start[k]! + 1);
  }
  return uniqueness;
}
