import { OrchestratorError } from '../errors.js';
import type { LoopSnapshot } from '../loop/loop-snapshot.js';
import { openStateReader } from '../state/state-store.js';
import type { StoredState } from '../state/stored-state.js';

/** Reads what is recorded under a directory, which an orchestrator may be writing to; nothing is created. Rejects as {@link openStateReader} throws, with a hint what to do. */
export async function readState<T>(
  dataDir: string,
  read: (stored: StoredState<LoopSnapshot>) => T | Promise<T>,
): Promise<T> {
  try {
    const { stored, close } = openStateReader<LoopSnapshot>(dataDir);
    try {
      return await read(stored);
    } finally {
      await close();
    }
  } catch (error) {
    throw hinted(error, { DATA_DIR_UNUSABLE: 'name the dataDir of an orchestrator that has run' });
  }
}

/** The error with what to do about it, for codes that have a hint; any other error as it is. */
export function hinted(error: unknown, hints: { readonly [code in OrchestratorError['code']]?: string }): unknown {
  if (!(error instanceof OrchestratorError)) return error;
  const { code, message, field } = error;
  const hint = hints[code];
  if (hint === undefined) return error;
  return new OrchestratorError(
    code,
    `${message}; ${hint}`,
    field === undefined ? { cause: error } : { field, cause: error },
  );
}
