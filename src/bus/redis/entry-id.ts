/** `<milliseconds>-<sequence>`, two numbers of 64 bits: the place of an entry in its stream. */
export type EntryId = string;

/** Before every entry. */
export const STREAM_START: EntryId = '0-0';

/** Negative when `a` comes before `b`, 0 when they are the same. */
export function compareEntryIds(a: EntryId, b: EntryId): number {
  const [aMs = '', aSequence = ''] = a.split('-');
  const [bMs = '', bSequence = ''] = b.split('-');
  return compareDigits(aMs, bMs) || compareDigits(aSequence, bSequence);
}

/**
 * As {@link compareEntryIds}, of the milliseconds alone: all that ids of two streams have in
 * common.
 */
export function compareEntryMs(a: EntryId, b: EntryId): number {
  return compareDigits(msOf(a), msOf(b));
}

/** The time of its writing on the server's clock, in milliseconds. */
export function msOf(id: EntryId): string {
  return id.slice(0, id.indexOf('-'));
}

/** The last place before an entry, which is not the first. */
export function entryIdBefore(id: EntryId): EntryId {
  const [ms, sequence] = id.split('-').map(BigInt) as [bigint, bigint];
  return sequence > 0n ? `${ms}-${sequence - 1n}` : `${ms - 1n}-${2n ** 64n - 1n}`;
}

/** Whole numbers without leading zeros, beyond what a double holds. */
function compareDigits(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * When an entry was written: milliseconds since the epoch on the server's clock, unless its
 * producer named another time.
 */
export function entryMs(id: EntryId): number {
  return Number(msOf(id));
}
