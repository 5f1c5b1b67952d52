import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { OrchestratorError } from '../errors.js';
import type { BarSeries } from '../market/bar.js';
import { parseTimestampNs, wholeSecondNs } from '../market/timestamp.js';

/** A primary signal with the instant it was decided. */
export interface TimedSide {
  readonly timestampNs: bigint;
  readonly side: -1 | 0 | 1;
}

/** The primary signal of a whole series: by time for the replay, by bar for training. */
export interface SideSchedule {
  readonly timed: readonly TimedSide[];
  /** The last side decided between a bar's close and the next one's, by the bar it may see. */
  readonly byBar: Int8Array;
  /** When the side of each bar was decided, nanoseconds since the epoch; 0 where there is none. */
  readonly decidedNs: BigInt64Array;
  /** Times within 1 ms before a whole second, taken as that second. */
  readonly roundedCount: number;
}

/** Sides by bar, each decided at the bar's close. */
export function scheduleOf(byBar: Int8Array, bars: BarSeries): SideSchedule {
  const timed = Array.from(byBar, (side, bar) => ({
    timestampNs: bars.tsEventNs[bar]!,
    side: side as TimedSide['side'],
  }));
  return { timed, byBar, decidedNs: bars.tsEventNs, roundedCount: 0 };
}

/**
 * Sides from a CSV file with the columns `timestamp,side` (−1, 0, 1), time strictly increasing. A timestamp is the instant the side was decided: it sees
 * the bars that closed at or before it, and no other. Throws with line and column.
 */
export async function readSidesCsv(path: string, bars: BarSeries): Promise<SideSchedule> {
  const { timed, roundedCount } = parseSides(path, await readText(path));
  const byBar = new Int8Array(bars.length);
  const decidedNs = new BigInt64Array(bars.length);
  let bar = -1;
  for (const { timestampNs, side } of timed) {
    while (bar + 1 < bars.length && bars.tsEventNs[bar + 1]! <= timestampNs) bar++;
    if (bar < 0) continue;
    byBar[bar] = side;
    decidedNs[bar] = timestampNs;
  }
  return { timed, byBar, decidedNs, roundedCount };
}

function parseSides(path: string, text: string): Pick<SideSchedule, 'roundedCount'> & { timed: TimedSide[] } {
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
