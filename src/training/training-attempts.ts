import type { TrainingSeries } from './training-series.js';

/** How often each set of instruments was trained: a model that is tried again and again is held to a stricter test each time. Only trainings that came to a verdict count. */
export class TrainingAttempts {
  private readonly counts: Map<string, number>;

  constructor(state: Readonly<Record<string, number>> = {}) {
    this.counts = new Map(Object.entries(state));
  }

  /** The number the next training of these instruments has, from 1. */
  next(series: TrainingSeries | readonly TrainingSeries[]): number {
    return (this.counts.get(keyOf(series)) ?? 0) + 1;
  }

  count(series: TrainingSeries | readonly TrainingSeries[]): void {
    this.counts.set(keyOf(series), this.next(series));
  }

  /** By set of instruments. */
  toState(): Record<string, number> {
    return Object.fromEntries(this.counts);
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
