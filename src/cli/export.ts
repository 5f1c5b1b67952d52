import { type FileHandle, open } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OrchestratorError } from '../errors.js';
import type { StoredState } from '../state/stored-state.js';
import { type Cell, type ExportName, type ExportTable, exportTable } from './export-tables.js';
import { type ExportFormat, exportText } from './export-text.js';

export interface ExportOptions {
  readonly dataDir: string;
  readonly what: ExportName;
  readonly format: ExportFormat;
  readonly instrument?: string;
  /** A file; stdout without it. */
  readonly out?: string;
}

/**
 * Writes a table to a file or to `stdout`, no faster than that takes it, a piece at a time: memory does not grow with the table. A reader that closes the pipe ends it quietly. Rejects with NO_ROWS,
 * before anything is written, where there is nothing to write, with USAGE for a file that cannot be written, and as {@link exportTable} does.
 */
export async function runExport(stored: StoredState<unknown>, options: ExportOptions, stdout: Writable): Promise<void> {
  const { what, instrument, format, dataDir, out } = options;
  const table = await exportTable(stored, what, { dataDir, instrumentId: instrument ?? null });
  const text = Readable.from(exportText(withRows(table, options), format), { objectMode: true, highWaterMark: 1 });
  if (out !== undefined) return writeFile(out, text);
  try {
    await pipeline(text, stdout, { end: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

/** The same table, of which the first row has been read. Throws NO_ROWS where there is none. */
function withRows({ columns, rows }: ExportTable, { what, instrument, dataDir }: ExportOptions): ExportTable {
  const iterator = rows[Symbol.iterator]();
  const first = iterator.next();
  if (first.done === true) {
    const of = instrument === undefined ? '' : ` of ${instrument}`;
    throw new OrchestratorError('NO_ROWS', `no ${what}${of} are recorded under ${dataDir} so far`, { field: 'what' });
  }
  return { columns, rows: all() };

  function* all(): Iterable<readonly Cell[]> {
    yield first.value as readonly Cell[];
    yield* { [Symbol.iterator]: () => iterator };
  }
}

async function writeFile(path: string, text: Readable): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, 'w');
  } catch (error) {
    throw unwritable(path, error);
  }
  const target = file.createWriteStream();
  try {
    await pipeline(text, target);
  } catch (error) {
    throw error instanceof OrchestratorError ? error : unwritable(path, error);
  }
}

function unwritable(path: string, cause: unknown): OrchestratorError {
  const message = `${path} cannot be written: ${(cause as Error).message}`;
  return new OrchestratorError('USAGE', message, { field: 'out', cause });
}
