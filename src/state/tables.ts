import { mkdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { OrchestratorError } from '../errors.js';
import { checkDataFile, checkDataFileInUse } from './data-file.js';
import { damaged } from './seal.js';

/** Changes with every change of what is stored that an older program would misread. */
const FORMAT = 'ml4t state 1';
const FORMAT_KEY = 'format';
const TABLES_MAX = 8;
/** Instrument and sequence number of the first bar. */
export type BarKey = [number, number];

export type Table<K extends number | string | BarKey> = Database<Buffer, K>;

/**
 * The LMDB environment under `dataDir`, one table for each kind of record. Values are bytes with a seal; keys are the record's own number or name, and
 * [instrument, first sequence] for bars.
 */
export interface Tables {
  readonly root: RootDatabase<Buffer, string>;
  /** 'format' and 'snapshot'. */
  readonly head: Table<string>;
  readonly instruments: Table<number>;
  readonly bars: Table<BarKey>;
  readonly vpin: Table<number>;
  readonly signals: Table<number>;
  readonly outcomes: Table<number>;
  readonly verdicts: Table<number>;
  readonly models: Table<string>;
}

/** Where the store's file lies. */
export function dataFile(dataDir: string): string {
  return join(dataDir, 'data.mdb');
}

/** Creates the directory and, one level below, `part`. Throws DATA_DIR_UNUSABLE. */
export function createDirectory(dataDir: string, part = ''): string {
  const path = resolve(dataDir, part);
  try {
    makeDirectory(path);
  } catch (error) {
    throw unusable(dataDir, error);
  }
  return path;
}

/** Level by level: `recursive` of Node 20 never returns where a parent exists in which nothing can be created, such as /proc. */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (path !== dirname(path)) makeDirectory(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have been faster.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/** Opens the store for its one owner, creating it where there is none. Throws STORE_DAMAGED, STORE_VERSION_UNKNOWN, DATA_DIR_UNUSABLE. */
export function openTables(dataDir: string): Tables {
  return withTables(dataDir, checkDataFile, (tables) => {
    if (tables.head.get(FORMAT_KEY) !== undefined) return;
    if (tables.instruments.getCount() + tables.head.getCount() > 0) throw damaged('the store does not say what it is');
    tables.head.putSync(FORMAT_KEY, Buffer.from(FORMAT));
  });
}

/** Opens the store to read it, beside the owner that may be writing to it. Throws as {@link openTables} does, and DATA_DIR_UNUSABLE where there is no store. */
export function openTablesToRead(dataDir: string): Tables {
  const path = dataFile(dataDir);
  if (sizeOf(path) === 0) {
    throw new OrchestratorError('DATA_DIR_UNUSABLE', `${dataDir} holds no state`, { field: 'dataDir' });
  }
  return withTables(dataDir, checkDataFileInUse, null);
}

function withTables(
  dataDir: string,
  check: (path: string) => void,
  prepare: ((tables: Tables) => void) | null,
): Tables {
  let root: RootDatabase<Buffer, string>;
  try {
    check(dataFile(dataDir));
    root = open<Buffer, string>({
      path: dataDir,
      noSubdir: false,
      encoding: 'binary',
      maxDbs: TABLES_MAX,
      readOnly: prepare === null,
      // One transaction is in flight at a time, so a commit may as well wait for the disk itself; and a batch alone decides what is one transaction.
      overlappingSync: false,
      eventTurnBatching: false,
    });
  } catch (error) {
    throw asStoreError(dataDir, error);
  }
  try {
    const tables = tablesOf(root);
    prepare?.(tables);
    const format = tables.head.get(FORMAT_KEY)?.toString();
    if (format === undefined || !/^ml4t state \d+$/.test(format)) throw damaged('the store does not say what it is');
    if (format !== FORMAT) {
      const message = `the store in ${dataDir} is of format '${format}', this version reads '${FORMAT}': use the version that wrote it`;
      throw new OrchestratorError('STORE_VERSION_UNKNOWN', message, { field: 'dataDir' });
    }
    return tables;
  } catch (error) {
    void root.close();
    throw asStoreError(dataDir, error);
  }
}

function tablesOf(root: RootDatabase<Buffer, string>): Tables {
  const table = <K extends number | string | BarKey>(name: string): Table<K> => {
    const opened = root.openDB<Buffer, K>(name, { encoding: 'binary' });
    // Read only, a table that is missing is not created.
    if (opened === undefined) throw damaged(`the store has no ${name}`);
    return opened;
  };
  return {
    root,
    head: table('head'),
    instruments: table('instruments'),
    bars: table('bars'),
    vpin: table('vpin'),
    signals: table('signals'),
    outcomes: table('outcomes'),
    verdicts: table('verdicts'),
    models: table('models'),
  };
}

function asStoreError(dataDir: string, error: unknown): OrchestratorError {
  if (error instanceof OrchestratorError) return error;
  const code = (error as { code?: unknown }).code;
  // LMDB's own codes are negative: a file that is not what it should be. Those of the operating system are positive, or names.
  if (typeof code === 'string' || (typeof code === 'number' && code > 0)) return unusable(dataDir, error);
  return damaged(`the store in ${dataDir} cannot be opened: ${(error as Error).message}`, error);
}

/** The directory cannot be used, and why. */
export function unusable(dataDir: string, cause: unknown): OrchestratorError {
  return new OrchestratorError('DATA_DIR_UNUSABLE', `${dataDir} cannot be written to: ${(cause as Error).message}`, {
    field: 'dataDir',
    cause,
  });
}

/** Bytes of a file; 0 where there is none. */
export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
