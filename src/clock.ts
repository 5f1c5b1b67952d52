/** Where time enters the program; everything else receives a clock, so that a test can hold the hands. */
export interface Clock {
  /** Nanoseconds since the epoch. */
  epochNs(): bigint;
  /** Nanoseconds from an arbitrary origin, never running backwards; differences are durations. */
  monotonicNs(): number;
}

export const NS_PER_MS = 1_000_000;

/** The machine's clock. `epochNs` has millisecond resolution. */
export const systemClock: Clock = {
  epochNs: () => BigInt(Date.now()) * BigInt(NS_PER_MS),
  monotonicNs: () => performance.now() * NS_PER_MS,
};
