import type { SignalEvent } from '../../market/events.js';
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
 * Signals that wait for the bar that closes at their time, and those of the same instruments behind them. What becomes of one depends on the entries before it and within its window alone, and
 * never on when they are read: it has its due bar if that is stored before an entry beyond the window comes, the window being `awaitBarMs` of the entries' times; else the bar is missing.
 */
export class WaitingSignals {
  private readonly queues = new Map<string, WaitingSignal[]>();

  constructor(
    private readonly inFlight: InFlight,
    private readonly awaitBarMs: number,
  ) {}

  /** Whether later signals of the instrument have to queue. */
  has(instrumentId: string): boolean {
    return this.queues.has(instrumentId);
  }

  add(signal: WaitingSignal): void {
    const queue = this.queues.get(signal.event.instrumentId);
    if (queue === undefined) this.queues.set(signal.event.instrumentId, [signal]);
    else {
      // One whose answer was taken back is older than those that came meanwhile.
      const place = queue.findLastIndex(({ id }) => compareEntryIds(id, signal.id) < 0) + 1;
      queue.splice(place, 0, signal);
    }
  }

  /** The first millisecond, on the server's clock, at which a signal that waits can wait no longer, 0 where one waits for room alone; null when none waits. */
  get untilMs(): number | null {
    let first: number | null = null;
    for (const [front] of this.queues.values()) if (front!.entry.dueNs === null) return 0;
    for (const { id, entry } of this.all()) {
      if (entry.dueNs === null) continue;
      const untilMs = entryMs(id) + this.awaitBarMs + 1;
      if (first === null || untilMs < first) first = untilMs;
    }
    return first;
  }

  /** The instrument has a bar that closes at `newestNs`: who waits for that one, or for an earlier one that can no longer come, waits no longer. `seenBy`: what a signal sees now. */
  barStored(instrumentId: string, newestNs: bigint, seenBy: (event: SignalEvent) => SeenBar): void {
    for (const { event, entry } of this.queues.get(instrumentId) ?? []) {
      const { dueNs } = entry;
      if (dueNs !== null && newestNs >= dueNs) decide(entry, dueNs, seenBy(event), null);
    }
  }

  /** Nothing that is read from now on was written before this millisecond: `readBefore`, the last entry that was read, where the clock says so; null where an entry does. `seenBy` as above. */
  timePassed(nowMs: number, readBefore: EntryId | null, seenBy: (event: SignalEvent) => SeenBar): void {
    if (this.queues.size === 0) return;
    for (const { id, event, entry } of this.all()) {
      const { dueNs } = entry;
      if (dueNs !== null && entryMs(id) + this.awaitBarMs < nowMs) decide(entry, dueNs, seenBy(event), readBefore);
    }
  }

  /** Lets those in that wait for nothing any more, in order, until `letIn` says no. True when it never did. */
  release(letIn: (signal: WaitingSignal) => boolean): boolean {
    for (const [instrumentId, queue] of this.queues) {
      for (let front = queue[0]; front !== undefined && front.entry.dueNs === null; front = queue[0]) {
        // Another owner may have replied to it.
        if (this.inFlight.get(front.id) === front.entry && !letIn(front)) return false;
        queue.shift();
      }
      if (queue.length === 0) this.queues.delete(instrumentId);
    }
    return true;
  }

  private *all(): Iterable<WaitingSignal> {
    for (const queue of this.queues.values()) yield* queue;
  }
}

function decide(entry: InFlightEntry, dueNs: bigint, seen: SeenBar, readBefore: EntryId | null): void {
  const isBarMissing = seen.asOfNs < dueNs;
  Object.assign(entry, { dueNs: null, asOf: seen.asOf, isBarMissing, readBefore: isBarMissing ? readBefore : null });
}
