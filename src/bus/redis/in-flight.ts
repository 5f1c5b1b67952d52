import type { BusReply } from '../message-bus.js';
import { compareEntryIds, type EntryId } from './entry-id.js';
import type { RedisCommand } from './redis-client.js';
import type { ScriptCommands } from './scripts.js';

/** Makes the command that writes an entry's reply, for one connection and one lease. */
export type ReplyCommand = (scripts: ScriptCommands, token: string) => RedisCommand;

/** An entry that was taken in and whose reply is not known to be out. */
export interface InFlightEntry {
  readonly id: EntryId;
  /** The bar its signal may see at the latest; null for what is no signal. */
  readonly asOf: number | null;
  /** null while it is being worked out. */
  reply: ReplyCommand | null;
  replyKind: BusReply['kind'];
  /** What its signal has had before, and is told of; else this is its one reply. */
  isRepeated: boolean;
  /** The reply was sent, over whatever connection, and for all that is known arrived. */
  wasSent: boolean;
  /** What has to leave where the signal's id has had a reply that is trimmed, or is another signal's: a rejection. */
  readonly instead: (verdict: 'TRIMMED' | 'REUSED') => ReplyCommand;
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

  /** Signals with the bar each may see: what a successor must be told. */
  asOfs(): [EntryId, number][] {
    return [...this.entries.values()].flatMap(({ id, asOf }) => (asOf === null ? [] : [[id, asOf]]));
  }

  /** Resolves when one of them is removed, and at {@link wake}. */
  change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
