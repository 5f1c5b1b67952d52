import { Fifo } from './fifo.js';
import type { PendingSignal } from './pending-signal.js';

/** Signals of batches in the lanes at once: enough to keep them busy, few enough that a live signal does not wait long behind them. */
const IN_FLIGHT_MAX = 256;
/** Pause before it looks for room again while other signals hold all there is. */
const FULL_RETRY_MS = 1;

/** Signals of batches that wait their turn outside the lanes, so that a batch of any size takes no more room than a live signal leaves it. */
export class BatchBacklog {
  private readonly waiting = new Fifo<PendingSignal>();
  private inFlight = 0;
  private feedScheduled = false;
  private retry: NodeJS.Timeout | null = null;

  constructor(
    /** Half of the room there is, at most, is a batch's. */
    private readonly outstandingMax: number,
    private readonly isFull: () => boolean,
    private readonly send: (pending: PendingSignal) => void,
  ) {}

  add(pending: PendingSignal): void {
    this.waiting.push(pending);
  }

  /** Sends as many as there is room for. */
  feed(): void {
    const { waiting } = this;
    const inFlightMax = Math.min(IN_FLIGHT_MAX, Math.max(1, this.outstandingMax >> 1));
    while (this.inFlight < inFlightMax && waiting.length > 0 && !this.isFull()) {
      this.inFlight++;
      this.send(waiting.shift()!);
    }
    if (waiting.length > 0 && this.inFlight === 0) this.retryLater();
  }

  /** A signal has left the lanes. */
  released(pending: PendingSignal): void {
    if (pending.isOfBatch) this.inFlight--;
    this.scheduleFeed();
  }

  clear(): void {
    this.waiting.clear();
  }

  [Symbol.iterator](): Iterator<PendingSignal> {
    return this.waiting[Symbol.iterator]();
  }

  /** Slots of signals that were answered at their deadline come back without anyone being told. */
  private retryLater(): void {
    this.retry ??= setTimeout(() => {
      this.retry = null;
      this.scheduleFeed();
    }, FULL_RETRY_MS);
  }

  private scheduleFeed(): void {
    if (this.feedScheduled || this.waiting.length === 0) return;
    this.feedScheduled = true;
    setImmediate(() => {
      this.feedScheduled = false;
      this.feed();
    });
  }
}
