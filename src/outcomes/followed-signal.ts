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
  /** When it was decided, as `wholeSecondNs` takes its timestamp. */
  readonly timestampNs: bigint;
  /** Sequence of the newest bar it saw; −1 for none. */
  readonly asOf: number;
  /** Handed back with every outcome. */
  readonly payload: P;
}

/** A signal that is being followed, and what is known of its outcome. */
export interface OpenSignal<P> {
  readonly signal: FollowedSignal<P>;
  /** The bar with which its horizon closes. */
  readonly closesAt: number;
  /** null where the bars it would need are gone. */
  follower: BarrierFollower | null;
  /** The outcome that counts; null until there is one. */
  outcome: OutcomeEvent | null;
  isClosed: boolean;
}

/** Signal time: by as-of, since a signal acts on its bar, then by its own clock, then by its place among all. */
export function isEarlier<P>(one: OpenSignal<P>, other: OpenSignal<P>): boolean {
  const a = one.signal;
  const b = other.signal;
  if (a.asOf !== b.asOf) return a.asOf < b.asOf;
  if (a.timestampNs !== b.timestampNs) return a.timestampNs < b.timestampNs;
  return a.ordinal < b.ordinal;
}
