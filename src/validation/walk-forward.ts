import { OrchestratorError } from '../errors.js';
import type { LabelIntervals } from '../labeling/uniqueness.js';

export interface WalkForwardOptions {
  /** First and last bar each label depends on, its horizon included. */
  intervals: { start: Int32Array; end: Int32Array };
  trainSize: number;
  testSize: number;
  /** Bars left out between training and test, default 0: purging alone removes the overlap of a rolling scheme. */
  embargo?: number;
  /** Training starts at bar 0 in every fold instead of rolling, default false. */
  expanding?: boolean;
}

/** Indices of labels, ascending. */
export interface WalkForwardSplit {
  train: Int32Array;
  test: Int32Array;
}

/**
 * Purged walk-forward splits (López de Prado 2018, ch. 7, for a rolling scheme): windows of `trainSize` and `testSize` bars that step by `testSize`.
 * A label trains only if its whole interval ends before the test window starts, and tests if it starts inside that window.
 * The data end with the last interval; a last test window shorter than testSize / 2 is dropped. Throws OUT_OF_RANGE, LENGTH_MISMATCH.
 */
export function* purgedWalkForward(options: WalkForwardOptions): Iterable<WalkForwardSplit> {
  const { intervals, trainSize, testSize, embargo = 0, expanding = false } = options;
  checkSizes({ trainSize, testSize, embargo }, intervals);
  const barCount = intervals.end.reduce((last, end) => Math.max(last, end), -1) + 1;
  for (let testStart = trainSize + embargo; testStart < barCount; testStart += testSize) {
    const testEnd = Math.min(testStart + testSize, barCount);
    if (testEnd - testStart < testSize / 2) return;
    const trainEnd = testStart - embargo;
    const trainStart = expanding ? 0 : trainEnd - trainSize;
    yield {
      train: select(intervals, (start, end) => start >= trainStart && start < trainEnd && end < testStart),
      test: select(intervals, (start) => start >= testStart && start < testEnd),
    };
  }
}

function select(intervals: LabelIntervals, keep: (start: number, end: number) => boolean): Int32Array {
  const { start, end } = intervals;
  const chosen = new Int32Array(start.length);
  let count = 0;
  for (let k = 0; k < start.length; k++) if (keep(start[k]!, end[k]!)) chosen[count++] = k;
  return chosen.slice(0, count);
}

function checkSizes(sizes: { trainSize: number; testSize: number; embargo: number }, intervals: LabelIntervals): void {
  for (const [field, size] of Object.entries(sizes)) {
    const minimum = field === 'embargo' ? 0 : 1;
    if (!Number.isInteger(size) || size < minimum) {
      throw new OrchestratorError('OUT_OF_RANGE', `${field} ${size} is not an integer from ${minimum} up`, { field });
    }
  }
  if (intervals.start.length !== intervals.end.length) {
    throw new OrchestratorError('LENGTH_MISMATCH', 'intervals.start and intervals.end differ in length', {
      field: 'intervals',
    });
  }
}
