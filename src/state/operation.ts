import type { BarKey, Table, Tables } from './tables.js';

/** One change of one table, not yet made. It may be made again after a failure: the values stay as they are until the commit is done. */
export interface Operation {
  readonly bytes: number;
  apply(): void;
}

export function put<K extends number | string | BarKey>(table: Table<K>, key: K, value: Buffer): Operation {
  // A batch tells how its operations went; their own promises are the same one.
  return { bytes: value.length, apply: () => void table.put(key, value) };
}

/** A key that is not there is no error. */
export function remove<K extends number | string | BarKey>(table: Table<K>, key: K): Operation {
  return { bytes: 0, apply: () => void table.remove(key) };
}

/** Makes all changes in one transaction; resolves once it is on disk. Rejects, with nothing changed, with what the operating system or LMDB said. */
export async function transact(tables: Tables, operations: readonly Operation[]): Promise<void> {
  try {
    await tables.root.batch(() => {
      for (const operation of operations) operation.apply();
    });
  } catch (error) {
    throw await reasonOf(error);
  }
}

/** lmdb-js rejects with an error that says where to look: in a promise, which rejects in turn. */
async function reasonOf(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<unknown> }).commitError;
  if (reason === undefined) return error;
  return reason.then(
    () => error,
    (cause: unknown) => cause,
  );
}
