import type { Clock } from '../../src/clock.js';

/** A clock whose hands the test moves. */
export class ManualClock implements Clock {
  constructor(
    private epoch = 1_700_000_000_000_000_000n,
    private monotonic = 0,
  ) {}

  epochNs(): bigint {
    return this.epoch;
  }

  monotonicNs(): number {
    return this.monotonic;
  }

  advanceNs(ns: number): void {
    this.epoch += BigInt(ns);
    this.monotonic += ns;
  }
}
