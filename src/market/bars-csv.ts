import { createReadStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { CsvError, parse } from 'csv-parse';
import { OrchestratorError } from '../errors.js';
import { createLogger } from '../log.js';
import { BarSeries, findBarFault } from './bar.js';
import { parseTimestampNs, wholeSecondNs } from './timestamp.js';

export interface BarsCsvOptions {
  /** Named in messages only. */
  instrumentId?: string;
  /** 'open' (the default, since most exchange files do so and the mistake is then harmless): the file stamps bars at their open and `intervalNs` is added. */
  timestampIs?: 'open' | 'close';
  /** Default: the median gap between rows. */
  intervalNs?: bigint;
}

/** A bar file with what was understood of it. */
export interface BarsFile {
  readonly bars: BarSeries;
  readonly timestampIs: 'open' | 'close';
  /** Added to every stamp of an open-stamped file; the median gap otherwise (0 for one row). */
  readonly intervalNs: bigint;
  readonly ignoredColumns: readonly string[];
  /** Stamps within 1 ms before a whole second, taken as that second. */
  readonly roundedCount: number;
}

const TIME_NAMES = new Set(['timestamp', 'date', 'time', 'ts_event', 'timestamp_utc']);
const PRICE_NAMES = ['open', 'high', 'low', 'close'] as const;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/**
 * Bars from a CSV file, streamed, gzip allowed (`.gz`). Columns are found by name in any case;
 * extra ones are ignored, with one warning in the log; no volume column means volume unknown (NaN).
 * A stamp within 1 ms before a whole second is that second, told in the log. Nothing else is
 * repaired: a fault throws with its `code`, line and column.
 */
export async function readBarsCsv(path: string, options: BarsCsvOptions = {}): Promise<BarSeries> {
  const file = await loadBarsCsv(path, options);
  if (file.ignoredColumns.length > 0) {
    createLogger().warn({ columns: file.ignoredColumns }, 'columns of the bar file that were ignored');
  }
  if (file.roundedCount > 0) {
    createLogger().warn({ stamps: file.roundedCount }, 'stamps just before a whole second that count as that second');
  }
  return file.bars;
}

/** As {@link readBarsCsv}, with what was understood of the file beside the bars. */
export async function loadBarsCsv(path: string, options: BarsCsvOptions = {}): Promise<BarsFile> {
  const table = await readTable(path, new BarTable(options.instrumentId ?? path));
  if (table.length === 0) throw new OrchestratorError('NO_ROWS', `${path}: no rows of bars`, { field: 'bars' });
  const timestampIs = options.timestampIs ?? 'open';
  const stamps = table.tsEventNs();
  const intervalNs = options.intervalNs ?? medianGapNs(stamps);
  if (timestampIs === 'open') {
    if (options.intervalNs !== undefined && intervalNs <= 0n) {
      throw new OrchestratorError('OUT_OF_RANGE', `intervalNs ${intervalNs} is not positive`, { field: 'intervalNs' });
    }
    if (intervalNs === 0n) {
      throw new OrchestratorError(
        'INTERVAL_UNKNOWN',
        `${path}: one row has no gap to take the bar interval from; state it`,
        {
          field: 'intervalNs',
        },
      );
    }
    for (let i = 0; i < stamps.length; i++) stamps[i] = stamps[i]! + intervalNs;
  }
  const { ignoredColumns, roundedCount } = table;
  return { bars: table.toSeries(stamps), timestampIs, intervalNs, ignoredColumns, roundedCount };
}

/** The median gap between neighbours (the lower one of two), 0 for fewer than two stamps. */
export function medianGapNs(stamps: BigInt64Array): bigint {
  if (stamps.length < 2) return 0n;
  const gaps = new BigInt64Array(stamps.length - 1);
  for (let i = 0; i < gaps.length; i++) gaps[i] = stamps[i + 1]! - stamps[i]!;
  gaps.sort();
  return gaps[(gaps.length - 1) >> 1]!;
}

async function readTable(path: string, table: BarTable): Promise<BarTable> {
  const parser = parse({
    bom: true,
    trim: true,
    skip_empty_lines: true,
    on_record: (cells: string[], { lines }) => {
      table.addLine(cells, lines);
      return null;
    },
  });
  const nothing = new Writable({ objectMode: true, write: (_chunk, _encoding, done) => done() });
  const source = createReadStream(path);
  try {
    await (path.endsWith('.gz')
      ? pipeline(source, createGunzip(), parser, nothing)
      : pipeline(source, parser, nothing));
  } catch (error) {
    if (error instanceof OrchestratorError) throw error;
    const code = error instanceof CsvError ? 'CSV_MALFORMED' : 'FILE_UNREADABLE';
    throw new OrchestratorError(code, `${path}: ${(error as Error).message}`, { field: 'bars', cause: error });
  }
  return table;
}

/** Rows as they arrive, checked one by one. */
class BarTable {
  length = 0;
  roundedCount = 0;
  ignoredColumns: readonly string[] = [];
  private readonly stamps: bigint[] = [];
  private readonly columns: number[][] = [[], [], [], [], []];
  private timeColumn = -1;
  private positions: readonly number[] = [];
  private header: readonly string[] | null = null;

  constructor(private readonly name: string) {}

  addLine(cells: readonly string[], line: number): void {
    if (this.header === null) this.readHeader(cells);
    else this.addRow(cells, line);
  }

  tsEventNs(): BigInt64Array {
    return BigInt64Array.from(this.stamps);
  }

  toSeries(tsEventNs: BigInt64Array): BarSeries {
    const [open, high, low, close, volume] = this.columns.map((column) => Float64Array.from(column));
    return BarSeries.from({ tsEventNs, open: open!, high: high!, low: low!, close: close!, volume: volume! });
  }

  private readHeader(cells: readonly string[]): void {
    this.header = cells;
    const names = cells.map((cell) => cell.trim().toLowerCase());
    this.timeColumn = names.findIndex((name) => TIME_NAMES.has(name));
    if (this.timeColumn < 0) {
      throw new OrchestratorError(
        'MISSING_COLUMN',
        `${this.name}, line 1: no time column (${[...TIME_NAMES].join(', ')})`,
        {
          field: 'timestamp',
        },
      );
    }
    this.positions = [...PRICE_NAMES, 'volume'].map((name) => names.indexOf(name));
    for (const [index, name] of PRICE_NAMES.entries()) {
      if (this.positions[index]! < 0) {
        throw new OrchestratorError('MISSING_COLUMN', `${this.name}, line 1: no column ${name}`, { field: name });
      }
    }
    const used = new Set([this.timeColumn, ...this.positions]);
    this.ignoredColumns = cells.filter((_cell, index) => !used.has(index));
  }

  private addRow(cells: readonly string[], line: number): void {
    const given = parseTimestampNs(cells[this.timeColumn]!);
    const timeName = this.header![this.timeColumn]!;
    if (given === null)
      throw this.fault('BAD_TIMESTAMP', line, timeName, `"${cells[this.timeColumn]}" is no timestamp`);
    const stamp = wholeSecondNs(given);
    if (stamp !== given) this.roundedCount++;
    const before = this.stamps[this.length - 1];
    if (before !== undefined && stamp <= before) {
      throw this.fault('TIME_NOT_INCREASING', line, timeName, 'its time is not after the row before it');
    }
    const [open, high, low, close, volume] = this.positions.map((position) => this.number(cells, position, line));
    const fault = findBarFault(open!, high!, low!, close!, volume!);
    if (fault) throw this.fault(fault.code, line, fault.column, fault.reason);
    this.stamps.push(stamp);
    for (const [index, value] of [open, high, low, close, volume].entries()) this.columns[index]!.push(value!);
    this.length++;
  }

  private number(cells: readonly string[], position: number, line: number): number {
    if (position < 0) return Number.NaN;
    const cell = cells[position]!;
    if (!DECIMAL.test(cell))
      throw this.fault('NOT_A_NUMBER', line, this.header![position]!, `"${cell}" is not a number`);
    return Number(cell);
  }

  private fault(code: OrchestratorError['code'], line: number, column: string, reason: string): OrchestratorError {
    return new OrchestratorError(code, `${this.name}, line ${line}, column ${column}: ${reason}`, { field: column });
  }
}
