import type { PendingSignal } from './pending-signal.js';

const NS_PER_MS = 1_000_000;

/**
 * Signals in the order their time runs out, which is the order they came in, since all have the same: a queue and one timer. A deadline is kept at the first turn of
 * the main thread after it.
 */
export class Deadlines {
  private readonly queue: PendingSignal[] = [];
  private first = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly now: () => number,
    private readonly onExpired: (pending: PendingSignal) => void,
  ) {}

  add(pending: PendingSignal): void {
    if (this.next() === undefined) this.forgetAll();
    this.queue.push(pending);
    this.arm();
  }

  /** Expires every signal whose time is over and which has no answer. */
  expire(): void {
    const now = this.now();
    for (let next = this.next(); next !== undefined && next.deadlineNs <= now; next = this.next()) {
      this.first++;
      this.onExpired(next);
    }
  }

  /** Forgets all of them. */
  clear(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.forgetAll();
  }

  private forgetAll(): void {
    this.queue.length = 0;
    this.first = 0;
  }

  /** The oldest signal without an answer; those before it are forgotten. */
  private next(): PendingSignal | undefined {
    const { queue } = this;
    while (this.first < queue.length && queue[this.first]!.isSettled) this.first++;
    // Dropping the front moves the rest: only once it is the larger part.
    if (this.first > 1024 && this.first * 2 > queue.length) {
      queue.splice(0, this.first);
      this.first = 0;
    }
    return queue[this.first];
  }

  private arm(): void {
    if (this.timer !== null) return;
    const next = this.next();
    if (next === undefined) return;
    const ms = Math.max(1, Math.ceil((next.deadlineNs - this.now()) / NS_PER_MS));
    this.timer = setTimeout(() => {
      this.timer = null;
      this.expire();
      this.arm();
    }, ms);
  }
}
