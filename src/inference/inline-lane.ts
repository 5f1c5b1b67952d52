import type { Clock } from '../clock.js';
import type { EnrichedSignalEvent } from '../market/events.js';
import type { DispatchCosts } from './dispatch-costs.js';
import { Fifo } from './fifo.js';
import type { InlineEvaluation } from './inline-evaluation.js';
import type { Lane } from './lane.js';
import type { PendingSignal } from './pending-signal.js';

/** How long main evaluates in one turn of the event loop before it lets other events have theirs. */
const TURN_NS_MAX = 2_000_000;
const TURN_OVER = Number.NEGATIVE_INFINITY;

/** The main thread as a lane: evaluates at once, and in slices what is too much for one turn of the event loop. */
export class InlineLane implements Lane {
  private readonly queue = new Fifo<PendingSignal>();
  /** Whether the rest waits for the next turn. */
  private isDeferred = false;
  private turnStartNs = TURN_OVER;
  /** Signals evaluated; those that needed nothing computed do not count. */
  evaluatedCount = 0;

  constructor(
    private readonly evaluation: InlineEvaluation,
    private readonly costs: DispatchCosts,
    private readonly clock: Clock,
    private readonly settle: (pending: PendingSignal, answer: EnrichedSignalEvent) => void,
  ) {}

  get heldCount(): number {
    return this.queue.length;
  }

  /** Whether main may go on in this turn of the event loop. A caller that awaits one answer after the other never leaves the microtasks otherwise. */
  hasTimeLeft(nowNs: number): boolean {
    this.beginTurn(nowNs);
    return nowNs - this.turnStartNs < TURN_NS_MAX;
  }

  add(pending: PendingSignal): void {
    this.queue.push(pending);
  }

  commit(nowNs: number): void {
    if (!this.isDeferred && this.queue.length > 0) this.run(nowNs);
  }

  /** A settled signal is passed over when its turn comes. */
  pass(_pending: PendingSignal): void {}

  [Symbol.iterator](): Iterator<PendingSignal> {
    return this.queue[Symbol.iterator]();
  }

  private run(startNs: number): void {
    const { queue, evaluation } = this;
    this.beginTurn(startNs);
    let nowNs = startNs;
    let evaluatedNs = 0;
    let count = 0;
    while (queue.length > 0 && nowNs - this.turnStartNs < TURN_NS_MAX) {
      const pending = queue.shift()!;
      if (pending.isSettled) continue;
      this.settle(pending, evaluation.answer(pending.signal, pending.startNs));
      if (pending.signal.isOpen) {
        evaluatedNs += evaluation.lastNs;
        count++;
      }
      nowNs = this.clock.monotonicNs();
    }
    this.evaluatedCount += count;
    if (count > 0) this.costs.measuredInline(count, evaluatedNs, nowNs);
    this.isDeferred = queue.length > 0;
  }

  /** The turn is timed from its first signal. */
  private beginTurn(nowNs: number): void {
    if (this.turnStartNs !== TURN_OVER) return;
    this.turnStartNs = nowNs;
    setImmediate(this.endTurn);
  }

  private readonly endTurn = (): void => {
    this.turnStartNs = TURN_OVER;
    this.isDeferred = false;
    if (this.heldCount > 0) this.run(this.clock.monotonicNs());
  };
}
