import type { TrainingSeries } from './training-set.js';

/** How often each set of instruments was trained: a model that is tried again and again is held to a stricter test each time. Only trainings that came to a verdict count. */
export class TrainingAttempts {
  private readonly counts = new Map<string, number>();

  /** The number the next training of these instruments has, from 1. */
  next(series: TrainingSeries | readonly TrainingSeries[]): number {
    return (this.counts.get(keyOf(series)) ?? 0) + 1;
  }

  count(series: TrainingSeries | readonly TrainingSeries[]): void {
    this.counts.set(keyOf(series), this.next(series));
  }
}

function keyOf(series: TrainingSeries | readonly TrainingSeries[]): string {
  return JSON.stringify(
    [series]
      .flat()
      .map(({ instrumentId }) => instrumentId)
      .sort(),
  );
}
