import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { OrchestratorError } from '../errors.js';
import type { BarSeries } from '../market/bar.js';
import { parseTimestampNs, wholeSecondNs } from '../market/timestamp.js';
import {
  alignSides,
  type BarStamps,
  type SideSchedule,
  type SignalsAt,
  type TimedSide,
} from '../primary/side-schedule.js';

/** Sides of a file, aligned with bars. */
export interface SidesFile extends SideSchedule {
  /** Times within 1 ms before a whole second, taken as that second. */
  readonly roundedCount: number;
}

/**
 * Sides from a CSV file with the columns `timestamp,side` (−1, 0, 1), time strictly increasing, as
 * {@link alignSides} takes their stamps. Throws with line and column, and SIGNALS_AT_UNKNOWN.
 */
export async function readSidesCsv(
  path: string,
  bars: BarSeries,
  stamps: BarStamps,
  signalsAt: SignalsAt | null,
): Promise<SidesFile> {
  const { timed, roundedCount } = parseSides(path, await readText(path));
  try {
    return { ...alignSides(timed, bars, stamps, signalsAt), roundedCount };
  } catch (error) {
    if (!(error instanceof OrchestratorError && error.code === 'SIGNALS_AT_UNKNOWN')) throw error;
    const message = `${path}: ${error.message.replaceAll('signals-at ', '--signals-at ')}`;
    throw new OrchestratorError(error.code, message, { field: 'signals-at', cause: error });
  }
}

function parseSides(path: string, text: string): Pick<SidesFile, 'roundedCount'> & { timed: TimedSide[] } {
  const fault = (
    code: 'MISSING_COLUMN' | 'BAD_TIMESTAMP' | 'INVALID_SIGNAL' | 'TIME_NOT_INCREASING' | 'CSV_MALFORMED',
    line: number,
    field: string,
    reason: string,
  ): OrchestratorError => new OrchestratorError(code, `${path}, line ${line}, column ${field}: ${reason}`, { field });
  let lines: string[][];
  try {
    lines = parse(text, { bom: true, trim: true, skip_empty_lines: true }) as string[][];
  } catch (error) {
    throw new OrchestratorError('CSV_MALFORMED', `${path}: ${(error as Error).message}`, {
      field: 'primary',
      cause: error,
    });
  }
  const [header = [], ...rows] = lines;
  const [timeColumn, sideColumn] = ['timestamp', 'side'].map((name) => {
    const column = header.findIndex((cell) => cell.toLowerCase() === name);
    if (column < 0) throw fault('MISSING_COLUMN', 1, name, 'there is no such column');
    return column;
  }) as [number, number];
  const timed: TimedSide[] = [];
  let roundedCount = 0;
  for (const [index, row] of rows.entries()) {
    const line = index + 2;
    const givenNs = parseTimestampNs(row[timeColumn]!);
    const side = Number(row[sideColumn]);
    if (givenNs === null) throw fault('BAD_TIMESTAMP', line, 'timestamp', `"${row[timeColumn]}" is no timestamp`);
    if (side !== -1 && side !== 0 && side !== 1)
      throw fault('INVALID_SIGNAL', line, 'side', `"${row[sideColumn]}" is none of -1, 0, 1`);
    const timestampNs = wholeSecondNs(givenNs);
    if (timestampNs !== givenNs) roundedCount++;
    const before = timed[timed.length - 1];
    if (before !== undefined && timestampNs <= before.timestampNs) {
      throw fault('TIME_NOT_INCREASING', line, 'timestamp', 'its time is not after the row before it');
    }
    timed.push({ timestampNs, side });
  }
  return { timed, roundedCount };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new OrchestratorError('FILE_UNREADABLE', `${path}: ${(error as Error).message}`, {
      field: 'primary',
      cause: error,
    });
  }
}
