import { realpathSync } from 'node:fs';
import { open, type Transaction } from 'lmdb';
import { OrchestratorError } from '../errors.js';
import { checkDataFileInUse } from './data-file.js';
import { createDirectory, dataFile, sizeOf, unusable } from './tables.js';

const OWNER = 'owner';
/** The open transactions by directory, kept here so that nothing ends them but their release: collected as garbage, one would leave the table of readers. */
const held = new Map<string, Transaction>();

/** The right to write to one `dataDir`. */
export interface OwnerLock {
  release(): Promise<void>;
}

/**
 * Takes `dataDir` for this process, or throws DATA_DIR_IN_USE naming the process that has it. A lock of its own kind: a small LMDB environment in which every owner keeps a
 * read transaction open and writes down its process id in a write transaction, of which there is one at a time. An owner is alive iff its id is in the table of readers, from
 * which LMDB takes those whose file lock is gone: the operating system drops that lock with the process, however it ends, and a reused process id does not have it.
 */
export function acquireOwnerLock(dataDir: string): OwnerLock {
  const path = realpathSync(createDirectory(dataDir, 'owner'));
  if (held.has(path)) throw inUse(dataDir, `${process.pid}`);
  let root: ReturnType<typeof open<string, string>>;
  try {
    if (sizeOf(dataFile(path)) > 0) checkDataFileInUse(dataFile(path));
    root = open<string, string>({ path, noSubdir: false, encoding: 'string', overlappingSync: false });
  } catch (error) {
    throw error instanceof OrchestratorError ? error : unusable(dataDir, error);
  }
  // Before the write transaction: whoever comes next finds this process among the readers.
  root.get(OWNER);
  const presence = root.useReadTransaction();
  const other = root.transactionSync(() => {
    root.readerCheck();
    const owner = root.get(OWNER);
    if (owner !== undefined && owner !== `${process.pid}` && readerIds(root.readerList()).has(owner)) return owner;
    root.putSync(OWNER, `${process.pid}`);
    return null;
  });
  if (other !== null) {
    presence.done();
    void root.close();
    throw inUse(dataDir, other);
  }
  held.set(path, presence);
  return {
    release: async () => {
      presence.done();
      await root.close();
      held.delete(path);
    },
  };
}

/** Process ids in LMDB's listing: a line of headings, then process, thread and transaction of each. */
function readerIds(listing: string): Set<string | undefined> {
  return new Set(listing.split('\n').map((line) => line.trim().split(/\s+/)[0]));
}

function inUse(dataDir: string, processId: string): OrchestratorError {
  const message = `${dataDir} is in use by process ${processId}: stop it, or name another directory`;
  return new OrchestratorError('DATA_DIR_IN_USE', message, { field: 'dataDir' });
}
