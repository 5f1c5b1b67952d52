import { type ErrorCode, OrchestratorError } from '../errors.js';

const USAGE = new Set<ErrorCode>(['USAGE', 'CONFIG_INVALID', 'OUT_OF_RANGE', 'SIGNALS_AT_UNKNOWN']);
const BAD_DATA = new Set<ErrorCode>([
  'FILE_UNREADABLE',
  'CSV_MALFORMED',
  'MISSING_COLUMN',
  'NOT_A_NUMBER',
  'BAD_TIMESTAMP',
  'TIME_NOT_INCREASING',
  'INCONSISTENT_BAR',
  'PRICE_NOT_POSITIVE',
  'NEGATIVE_VOLUME',
  'NO_ROWS',
  'INTERVAL_UNKNOWN',
  'INVALID_SIGNAL',
  'LOOK_AHEAD_SUSPECTED',
  'MISSING_FEATURE',
  'MODEL_NOT_FOUND',
  'MODEL_CORRUPT',
  'MODEL_VERSION_UNKNOWN',
  'NO_SUCH_MODEL',
  'DATA_DIR_UNUSABLE',
  'STORE_DAMAGED',
  'STORE_VERSION_UNKNOWN',
]);

/** 2 usage, 3 bad data, 4 not enough data, 1 anything else. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof OrchestratorError)) return 1;
  if (USAGE.has(error.code)) return 2;
  if (BAD_DATA.has(error.code)) return 3;
  return error.code === 'INSUFFICIENT_DATA' ? 4 : 1;
}
