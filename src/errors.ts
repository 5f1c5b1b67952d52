/** Every code an {@link OrchestratorError} can carry. Callers switch on these, never on the text. */
export type ErrorCode =
  // configuration
  | 'CONFIG_INVALID'
  // bars and bar files
  | 'FILE_UNREADABLE'
  | 'CSV_MALFORMED'
  | 'MISSING_COLUMN'
  | 'NOT_A_NUMBER'
  | 'BAD_TIMESTAMP'
  | 'TIME_NOT_INCREASING'
  | 'INCONSISTENT_BAR'
  | 'PRICE_NOT_POSITIVE'
  | 'NEGATIVE_VOLUME'
  | 'NO_ROWS'
  | 'INTERVAL_UNKNOWN'
  | 'LENGTH_MISMATCH'
  | 'INVALID_INSTRUMENT'
  | 'DUPLICATE_INSTRUMENT'
  | 'INVALID_BAR'
  | 'BAR_CONFLICT'
  | 'BAR_OUT_OF_ORDER'
  | 'TOO_FEW_BARS'
  | 'INSTRUMENTS_MAX'
  // signals and sizing
  | 'INVALID_SIGNAL'
  | 'SIGNALS_AT_UNKNOWN'
  | 'MISSING_FEATURE'
  | 'OUT_OF_RANGE'
  | 'OVERLOADED'
  | 'ALREADY_ANSWERED'
  | 'SIGNAL_ID_REUSED'
  // models
  | 'MODEL_NOT_FOUND'
  | 'MODEL_CORRUPT'
  | 'MODEL_VERSION_UNKNOWN'
  | 'MODEL_UNSUPPORTED'
  | 'MODEL_TOO_DEEP'
  | 'MODEL_TOO_LARGE'
  | 'MODEL_FEATURES_DIFFER'
  | 'MODEL_NOT_SAVED'
  // training
  | 'BOOSTER_PARAMETER_UNKNOWN'
  | 'BOOSTER_INPUT_INVALID'
  | 'BOOSTER_FAILED'
  | 'INSUFFICIENT_DATA'
  | 'LOOK_AHEAD_SUSPECTED'
  | 'TRAINING_CANCELLED'
  | 'TRAINING_QUEUE_FULL'
  | 'TRAINING_FAILED'
  | 'TRAINING_WORKER_DIED'
  // outcomes
  | 'UNKNOWN_SIGNAL'
  | 'INVALID_OUTCOME'
  | 'OUTCOME_FINAL'
  // durable state
  | 'DATA_DIR_IN_USE'
  | 'DATA_DIR_UNUSABLE'
  | 'STORE_DAMAGED'
  | 'STORE_VERSION_UNKNOWN'
  | 'STORE_WRITE_FAILED'
  | 'STORE_BEHIND'
  | 'NO_DATA_DIR'
  // promotion and rollback
  | 'NO_SUCH_MODEL'
  | 'NO_PREVIOUS_MODEL'
  // message buses
  | 'PAYLOAD_TOO_LARGE'
  | 'PAYLOAD_MALFORMED'
  | 'INVALID_MESSAGE'
  | 'BUS_UNAVAILABLE'
  | 'FENCED'
  // state files and lifecycle
  | 'STATE_CORRUPT'
  | 'NOT_STARTED'
  | 'STOPPED'
  | 'USAGE';

/** An operating error: something outside the program's control, or bad input. `code` is stable; `field` names the input at fault. */
export class OrchestratorError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;

  constructor(code: ErrorCode, message: string, options: { field?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OrchestratorError';
    this.code = code;
    this.field = options.field;
  }

  /** The same error, about an input that is part of `place`. */
  within(place: string): OrchestratorError {
    const field = this.field === undefined ? place : `${place}.${this.field}`;
    return new OrchestratorError(this.code, `${place}: ${this.message}`, { field, cause: this });
  }
}

/** What crosses a thread boundary instead of the error object, whose class structured cloning would drop. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
}

/** The error as a record; anything that is not an {@link OrchestratorError} gets `fallback` as its code. */
export function toErrorRecord(error: unknown, fallback: ErrorCode): ErrorRecord {
  if (error instanceof OrchestratorError) {
    const record = { code: error.code, message: error.message };
    return error.field === undefined ? record : { ...record, field: error.field };
  }
  return { code: fallback, message: error instanceof Error ? error.message : String(error) };
}

export function fromErrorRecord(record: ErrorRecord): OrchestratorError {
  return new OrchestratorError(record.code, record.message, record.field === undefined ? {} : { field: record.field });
}
