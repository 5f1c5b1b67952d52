import { compareEntryIds, compareEntryMs, msOf } from './entry-id.js';
import type { StreamEntry } from './stream-entries.js';

/** What was read of one stream. */
export interface ReadStream {
  readonly stream: string;
  readonly entries: readonly TopicEntry[];
  /** As many as were asked for came. */
  readonly mayHaveMore: boolean;
}

export interface TopicEntry {
  readonly entry: StreamEntry;
  /** Entries of lower rank come first within a millisecond: bars before what is decided on them. */
  readonly rank: number;
}

export interface OrderedEntry extends TopicEntry {
  readonly stream: string;
}

/**
 * What was read, in the order in which it is to be brought, as far as nothing can come any more
 * that belongs before it: by the millisecond of writing, within one by rank, and those of one
 * stream always as they stand in it. Entries of two streams have nothing but the millisecond in
 * common: the second part of an id counts the entries of its own stream. `nowMs`: the server's
 * clock before the read; what is of that millisecond waits, since another stream may still get
 * something of it.
 */
export function inOrder(streams: readonly ReadStream[], nowMs: string): OrderedEntry[] {
  const ranked = streams.map(keepingOrder);
  const all = ranked.flatMap(({ entries }) => entries).sort(compare);
  const bounds = ranked
    .filter(({ mayHaveMore }) => mayHaveMore)
    .map(({ entries }) => entries.at(-1)!)
    .sort(comparePlaces);
  const end = all.findIndex(
    (one) => msOf(one.entry.id) === nowMs || (bounds.length > 0 && comparePlaces(one, bounds[0]!) > 0),
  );
  return end < 0 ? all : all.slice(0, end);
}

/**
 * The same with ranks that never fall within a millisecond: what stands behind another entry of its
 * stream stays behind it.
 */
function keepingOrder({ stream, entries, mayHaveMore }: ReadStream): { entries: OrderedEntry[]; mayHaveMore: boolean } {
  let before: OrderedEntry | null = null;
  const ranked = entries.map(({ entry, rank }) => {
    const isSameMs: boolean = before !== null && compareEntryMs(before.entry.id, entry.id) === 0;
    before = { stream, entry, rank: isSameMs ? Math.max(before!.rank, rank) : rank };
    return before;
  });
  return { entries: ranked, mayHaveMore };
}

function comparePlaces(a: OrderedEntry, b: OrderedEntry): number {
  return compareEntryMs(a.entry.id, b.entry.id) || a.rank - b.rank;
}

function compare(a: OrderedEntry, b: OrderedEntry): number {
  const places = comparePlaces(a, b);
  if (places !== 0) return places;
  if (a.stream !== b.stream) return a.stream < b.stream ? -1 : 1;
  return compareEntryIds(a.entry.id, b.entry.id);
}
