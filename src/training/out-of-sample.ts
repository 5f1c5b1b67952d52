import type { TripleBarrier } from '../labeling/triple-barrier.js';
import { dependenceBars, type TimeSpan } from '../validation/batch-means.js';
import type { TrainingSet } from './training-set.js';

const NS_PER_DAY = 86_400_000_000_000;

/** Where rows, in order of time, lie on the calendar. */
export function spanOf(set: TrainingSet, rows: Int32Array): TimeSpan {
  const start = set.start[rows[0]!]!;
  const end = set.start[rows[rows.length - 1]!]! + 1;
  return {
    position: rows.map((row) => set.start[row]!),
    start,
    end,
    dependenceBars: dependenceBars(
      rows.map((row) => set.duration[row]!),
      end - start,
    ),
  };
}

/** What each signal returned in units of its barrier. An outcome that could have been either counts as half profit, half stop. */
export function judgedR(set: TrainingSet, rows: Int32Array, labels: TripleBarrier): Float64Array {
  const either = (labels.ptMultiplier - labels.slMultiplier) / 2;
  return Float64Array.from(rows, (row) => (set.ambiguous[row] === 1 ? either : set.grossR[row]!));
}

export function signalsPerDay(set: TrainingSet, count: number, span: TimeSpan): number {
  return count / (Number(set.calendarNs[span.end - 1]! - set.calendarNs[span.start]!) / NS_PER_DAY);
}
