import type { RangeOptions } from 'lmdb';
import { OrchestratorError } from '../errors.js';
import { damaged } from './seal.js';
import type { BarKey, Table } from './tables.js';

export interface Entry<K> {
  readonly key: K;
  readonly value: Buffer;
}

/** Says whether a key is one that this program writes: a damaged one may come out as anything. */
export type KeyCheck<K> = (key: unknown) => key is K;

export const isNumberKey = (key: unknown): key is number => Number.isSafeInteger(key) && (key as number) >= 0;
export const isTextKey = (key: unknown): key is string => typeof key === 'string';
export const isBarKey = (key: unknown): key is BarKey =>
  Array.isArray(key) && key.length === 2 && isNumberKey(key[0]) && isNumberKey(key[1]);

/** The entries of a range, in order. Throws STORE_DAMAGED for keys that are none, and where LMDB finds its file inconsistent. */
export function* entriesOf<K extends number | string | BarKey>(
  table: Table<K>,
  isKey: KeyCheck<K>,
  range: RangeOptions = {},
): Generator<Entry<K>, void, undefined> {
  try {
    for (const { key, value } of table.getRange(range)) {
      if (!isKey(key)) throw damaged('the store has a record under a key that is none');
      yield { key, value };
    }
  } catch (error) {
    throw asDamage(error);
  }
}

/** The value under a key; null where there is none. Throws STORE_DAMAGED where LMDB finds its file inconsistent. */
export function storedValue<K extends number | string | BarKey>(table: Table<K>, key: K): Buffer | null {
  try {
    return table.get(key) ?? null;
  } catch (error) {
    throw asDamage(error);
  }
}

/** How many entries a table has, without counting them. */
export function countOf<K extends number | string | BarKey>(table: Table<K>): number {
  return (table.getStats() as { entryCount: number }).entryCount;
}

function asDamage(error: unknown): OrchestratorError {
  if (error instanceof OrchestratorError) return error;
  return damaged(`the store cannot be read: ${(error as Error).message}`, error);
}
