import { NS_PER_MS } from '../clock.js';
import { Fifo } from './fifo.js';
import type { PendingSignal } from './pending-signal.js';

/** What the keeper of deadlines asks of the router. */
export interface DeadlineHooks {
  readonly now: () => number;
  /** Some time is over: take what was answered in time and not looked at, as after a long pause of this thread. */
  readonly beforeExpiry: () => void;
  readonly onExpired: (pending: PendingSignal) => void;
}

/**
 * Signals in the order their time runs out, which is the order they came in, since all have the same: a queue and one timer. A deadline is kept at the first turn of
 * the main thread after it.
 */
export class Deadlines {
  private readonly queue = new Fifo<PendingSignal>();
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly hooks: DeadlineHooks) {}

  add(pending: PendingSignal): void {
    this.dropSettled();
    this.queue.push(pending);
    this.arm();
  }

  /** Expires every signal whose time is over and which has no answer. */
  expire(): void {
    const now = this.hooks.now();
    this.dropSettled();
    if (!this.isDue(now)) return;
    this.hooks.beforeExpiry();
    for (this.dropSettled(); this.isDue(now); this.dropSettled()) this.hooks.onExpired(this.queue.shift()!);
  }

  /** Forgets all of them. */
  clear(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.queue.clear();
  }

  private isDue(now: number): boolean {
    const next = this.queue.peek();
    return next !== undefined && next.deadlineNs <= now;
  }

  private dropSettled(): void {
    while (this.queue.peek()?.isSettled) this.queue.shift();
  }

  private arm(): void {
    const next = this.queue.peek();
    if (this.timer !== null || next === undefined) return;
    const ms = Math.max(1, Math.ceil((next.deadlineNs - this.hooks.now()) / NS_PER_MS));
    this.timer = setTimeout(() => {
      this.timer = null;
      this.expire();
      this.arm();
    }, ms);
  }
}
