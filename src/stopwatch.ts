import type { Clock } from './clock.js';

/** Splits a job's time into laps, and tells the part spent in some calls from the rest. */
export class Stopwatch {
  timedMs = 0;
  private lapStart: number;

  constructor(private readonly clock: Clock) {
    this.lapStart = clock.monotonicNs();
  }

  /** Milliseconds since the last lap. */
  lap(): number {
    const now = this.clock.monotonicNs();
    const ms = (now - this.lapStart) / 1e6;
    this.lapStart = now;
    return ms;
  }

  async timed<T>(call: () => T | Promise<T>): Promise<T> {
    const start = this.clock.monotonicNs();
    try {
      return await call();
    } finally {
      this.timedMs += (this.clock.monotonicNs() - start) / 1e6;
    }
  }
}
