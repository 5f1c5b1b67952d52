import { pino } from 'pino';
import type { Logger } from '../../src/log.js';

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly code?: string;
  readonly reason?: string;
}

/** A real logger whose lines end up in an array. */
export function capturedLog(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) });
  return { logger, lines };
}

/** A logger nobody hears. */
export const silentLogger: Logger = pino({ level: 'silent' });
