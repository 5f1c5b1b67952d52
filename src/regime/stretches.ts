import type { Stretch } from './variance-ratio.js';

/** Maximal runs of bars with the same most probable state, the lowest of equal ones, by state. */
export function stretchesByState(
  sequenceStarts: readonly number[],
  posterior: Float64Array,
  stateCount: number,
): readonly (readonly Stretch[])[] {
  const stretches = Array.from({ length: stateCount }, (): Stretch[] => []);
  const barCount = posterior.length / stateCount;
  for (const [index, begin] of sequenceStarts.entries()) {
    const end = sequenceStarts[index + 1] ?? barCount;
    let start = begin;
    for (let t = begin; t < end; t++) {
      const state = mostProbable(posterior, t, stateCount);
      if (t + 1 < end && mostProbable(posterior, t + 1, stateCount) === state) continue;
      stretches[state]!.push({ start, end: t + 1 });
      start = t + 1;
    }
  }
  return stretches;
}

function mostProbable(posterior: Float64Array, bar: number, stateCount: number): number {
  let best = 0;
  for (let k = 1; k < stateCount; k++) {
    if (posterior[bar * stateCount + k]! > posterior[bar * stateCount + best]!) best = k;
  }
  return best;
}
