import type { SignalEvent } from '../../market/events.js';
import { OrderedQueue } from '../../outcomes/ordered-queue.js';
import { compareEntryIds, type EntryId, entryMs } from './entry-id.js';
import type { InFlight, InFlightEntry } from './in-flight.js';

/** A signal that has not been let in. */
export interface WaitingSignal {
  readonly id: EntryId;
  readonly event: SignalEvent;
  /** What of it goes into the snapshot, and counts as in flight. */
  readonly entry: InFlightEntry;
}

/** The newest bar that a signal sees, and its close. */
export interface SeenBar {
  readonly asOf: number;
  readonly asOfNs: bigint;
}

/**
 * Signals that wait for the bar that closes at their time, and those of the same instruments behind
 * them. What becomes of one depends on the entries before it and within its window alone, and never
 * on when they are read: it has its due bar if that is stored before an entry beyond the window
 * comes, the window being `awaitBarMs` of the entries' times; else the bar is missing.
 */
export class WaitingSignals {
  private readonly queues = new Map<string, WaitingSignal[]>();
  /** Instruments whose first signal waits for nothing but to be let in. */
  private readonly ready = new Set<string>();
  /**
   * Those that wait for a bar, by their ids, so that the windows end in this order; one whose bar
   * came stays until it is at the front.
   */
  private readonly windows = new OrderedQueue<WaitingSignal>((a, b) => compareEntryIds(a.id, b.id) < 0);

  constructor(
    private readonly inFlight: InFlight,
    private readonly awaitBarMs: number,
  ) {}

  /** Whether later signals of the instrument have to queue. */
  has(instrumentId: string): boolean {
    return this.queues.has(instrumentId);
  }

  add(signal: WaitingSignal): void {
    const { instrumentId } = signal.event;
    const queue = this.queues.get(instrumentId) ?? [];
    // One whose answer was taken back is older than those that came meanwhile.
    const place = queue.findLastIndex(({ id }) => compareEntryIds(id, signal.id) < 0) + 1;
    queue.splice(place, 0, signal);
    this.queues.set(instrumentId, queue);
    if (signal.entry.dueNs !== null) this.windows.insert(signal);
    this.look(instrumentId);
  }

  /**
   * The first millisecond, on the server's clock, at which a signal that waits can wait no longer,
   * 0 where one waits for room alone; null when none waits.
   */
  get untilMs(): number | null {
    if (this.ready.size > 0) return 0;
    const first = this.firstWindow();
    return first === undefined ? null : this.endOf(first) + 1;
  }

  /**
   * The instrument has a bar that closes at `newestNs`: who waits for that one, or for an earlier
   * one that can no longer come, waits no longer. `seenBy`: what a signal sees now.
   */
  barStored(instrumentId: string, newestNs: bigint, seenBy: (event: SignalEvent) => SeenBar): void {
    for (const { event, entry } of this.queues.get(instrumentId) ?? []) {
      const { dueNs } = entry;
      if (dueNs !== null && newestNs >= dueNs) decide(entry, dueNs, seenBy(event), null);
    }
    this.look(instrumentId);
  }

  /**
   * Nothing that is read from now on was written before this millisecond: `readBefore`, the last
   * entry that was read, where the clock says so; null where an entry does. `seenBy` as above.
   */
  timePassed(nowMs: number, readBefore: EntryId | null, seenBy: (event: SignalEvent) => SeenBar): void {
    for (let one = this.firstWindow(); one !== undefined && this.endOf(one) < nowMs; one = this.firstWindow()) {
      decide(one.entry, one.entry.dueNs!, seenBy(one.event), readBefore);
      this.look(one.event.instrumentId);
    }
  }

  /**
   * Lets those in that wait for nothing any more, in order, until `letIn` says no. True when it
   * never did.
   */
  release(letIn: (signal: WaitingSignal) => boolean): boolean {
    for (const instrumentId of this.ready) {
      const queue = this.queues.get(instrumentId)!;
      for (let front = queue[0]; front !== undefined && front.entry.dueNs === null; front = queue[0]) {
        // Another owner may have replied to it.
        if (this.inFlight.get(front.id) === front.entry && !letIn(front)) return false;
        queue.shift();
      }
      this.ready.delete(instrumentId);
      if (queue.length === 0) this.queues.delete(instrumentId);
    }
    return true;
  }

  private look(instrumentId: string): void {
    const front = this.queues.get(instrumentId)?.[0];
    if (front?.entry.dueNs === null) this.ready.add(instrumentId);
    // One that waits again may have come before those that did not.
    else this.ready.delete(instrumentId);
  }

  private firstWindow(): WaitingSignal | undefined {
    while (this.windows.peek()?.entry.dueNs === null) this.windows.shift();
    return this.windows.peek();
  }

  /** The last millisecond at which its bar would be in time. */
  private endOf({ id }: WaitingSignal): number {
    return entryMs(id) + this.awaitBarMs;
  }
}

function decide(entry: InFlightEntry, dueNs: bigint, seen: SeenBar, readBefore: EntryId | null): void {
  const isBarMissing = seen.asOfNs < dueNs;
  Object.assign(entry, { dueNs: null, asOf: seen.asOf, isBarMissing, readBefore: isBarMissing ? readBefore : null });
}
