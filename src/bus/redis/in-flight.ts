import type { BusReply, SignalSight } from '../message-bus.js';
import { compareEntryIds, type EntryId } from './entry-id.js';
import type { RedisCommand } from './redis-client.js';
import type { ScriptCommands } from './scripts.js';

/** Makes the command that writes an entry's reply, for one connection and one lease. */
export type ReplyCommand = (scripts: ScriptCommands, token: string) => RedisCommand;

/** An entry that was taken in and whose reply is not known to be out. */
export interface InFlightEntry {
  readonly id: EntryId;
  /**
   * The bar its signal may see at the latest; null for what is no signal, and while that is not
   * decided.
   */
  asOf: number | null;
  /** Close of the bar it waits for; null where it waits for none. */
  dueNs: bigint | null;
  /** It waited in vain. */
  isBarMissing: boolean;
  /**
   * The last entry that had been read when the clock alone said that it waited in vain; null where
   * entries that were read say so, or it did not.
   */
  readBefore: EntryId | null;
  /** It has not been let in: it waits, or one before it does. */
  isWaiting: boolean;
  /** null while it is being worked out. */
  reply: ReplyCommand | null;
  replyKind: BusReply['kind'];
  /** What its signal has had before, and is told of; else this is its one reply. */
  isRepeated: boolean;
  /** The reply was sent, over whatever connection, and for all that is known arrived. */
  wasSent: boolean;
  /**
   * What has to leave where the signal's id has had a reply that is trimmed, or is another
   * signal's: a rejection.
   */
  readonly instead: (verdict: 'TRIMMED' | 'REUSED') => ReplyCommand;
  /**
   * Has its signal wait again, where its bar was said to be missing and may have come all the same;
   * null for any other.
   */
  reconsider: (() => void) | null;
}

/** What is fixed of a signal that has no reply, and has to be told to a successor. */
export interface DecidedSignal extends SignalSight {
  /** As {@link InFlightEntry} has it. */
  readonly readBefore: EntryId | null;
}

/** Entries on their way from the input to their reply, in the order they were taken in. */
export class InFlight {
  private readonly entries = new Map<EntryId, InFlightEntry>();
  private waiting: (() => void)[] = [];

  get size(): number {
    return this.entries.size;
  }

  add(entry: InFlightEntry): void {
    this.entries.set(entry.id, entry);
  }

  get(id: EntryId): InFlightEntry | undefined {
    return this.entries.get(id);
  }

  remove(id: EntryId): void {
    this.entries.delete(id);
    this.wake();
  }

  /** Whoever waits for a change looks again. */
  wake(): void {
    if (this.waiting.length > 0) for (const resolve of this.waiting.splice(0)) resolve();
  }

  ids(): EntryId[] {
    return [...this.entries.keys()];
  }

  [Symbol.iterator](): IterableIterator<InFlightEntry> {
    return this.entries.values();
  }

  /** The first in the stream; null for none. */
  get oldest(): EntryId | null {
    let oldest: EntryId | null = null;
    for (const id of this.entries.keys()) if (oldest === null || compareEntryIds(id, oldest) < 0) oldest = id;
    return oldest;
  }

  /** Signals of which it is decided what each may see: what a successor must be told. */
  decided(): [EntryId, DecidedSignal][] {
    return [...this.entries.values()].flatMap(({ id, asOf, isBarMissing, readBefore }) =>
      asOf === null ? [] : [[id, { asOf, isBarMissing, readBefore }]],
    );
  }

  /** Signals of which it is not. */
  undecided(): [EntryId, bigint][] {
    return [...this.entries.values()].flatMap(({ id, dueNs }) => (dueNs === null ? [] : [[id, dueNs]]));
  }

  get waitingCount(): number {
    let count = 0;
    for (const { isWaiting } of this.entries.values()) if (isWaiting) count++;
    return count;
  }

  /** Resolves when one of them is removed, and at {@link wake}. */
  change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
