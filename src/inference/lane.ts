import type { PendingSignal } from './pending-signal.js';

/** One place where signals are evaluated, in the order they came: the main thread, or one worker's ring. Iterates over those it holds. */
export interface Lane extends Iterable<PendingSignal> {
  /** Signals in it, those included that were settled otherwise and still take up room. */
  readonly heldCount: number;
  /** Adds a signal; the lane's commit sets it going. */
  add(pending: PendingSignal): void;
  /** Spares the lane a signal that has been settled otherwise. */
  pass(pending: PendingSignal): void;
}
