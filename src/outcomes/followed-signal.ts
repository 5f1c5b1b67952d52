import type { BarrierFollower } from '../labeling/barrier-follower.js';
import type { OutcomeEvent } from '../market/events.js';

/** An answered signal to be followed to its end. */
export interface FollowedSignal<P> {
  /** Its place among all answered signals; grows with every signal. */
  readonly ordinal: number;
  readonly signalId: string;
  readonly instrumentId: string;
  /** Its index in the feature store; −1 for one without bars. */
  readonly instrument: number;
  readonly side: -1 | 1;
  /**
   * When it was decided, as `wholeSecondNs` takes its timestamp: its outcome begins with the first
   * bar that opens then or later.
   */
  readonly timestampNs: bigint;
  /** Sequence of the newest bar it saw; −1 for none. */
  readonly asOf: number;
  /**
   * It was answered without the bar that closed at its time: its outcome is nothing to learn from.
   */
  readonly isBarMissing: boolean;
  /** Handed back with every outcome. */
  readonly payload: P;
}

/** A signal that is being followed, and what is known of its outcome. */
export interface OpenSignal<P> {
  readonly signal: FollowedSignal<P>;
  /** ATR of its as-of bar; NaN where it is not known. */
  readonly unit: number;
  /**
   * Interval of its instrument's bars; null where it is not known, and where the path begins with
   * the next bar anyway.
   */
  readonly intervalNs: bigint | null;
  /** No bar up to here belongs to its path; the as-of bar at first. */
  lookedTo: number;
  /** The bar with which its horizon closes; infinite until its path has begun. */
  closesAt: number;
  /** null before its path begins, and where the bars it would need are gone. */
  follower: BarrierFollower | null;
  /** The outcome that counts; null until there is one. */
  outcome: OutcomeEvent | null;
  isClosed: boolean;
}

/**
 * Signal time: by its own clock, then by as-of, then by its place among all. Paths begin, and
 * horizons close, in this order.
 */
export function isEarlier<P>(one: OpenSignal<P>, other: OpenSignal<P>): boolean {
  const a = one.signal;
  const b = other.signal;
  if (a.timestampNs !== b.timestampNs) return a.timestampNs < b.timestampNs;
  if (a.asOf !== b.asOf) return a.asOf < b.asOf;
  return a.ordinal < b.ordinal;
}
