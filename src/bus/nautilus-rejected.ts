import type { ErrorCode } from '../errors.js';
import { readBoolean, readOptionalText, readText } from './fields.js';
import type { Rejection } from './message-bus.js';
import type { UntrustedObject } from './payload.js';
import { readReason } from './rejected-fields.js';

/** The class of custom data that refusals of signals go out as. */
export const REJECTED_TYPE = 'RejectedSignal';

/**
 * The fields of the class, all of them always. The instrument is plain text: what was refused need
 * not name one, and NautilusTrader's own class takes no empty one.
 */
export function rejectedSignalFields(rejection: Rejection): UntrustedObject {
  return {
    instrument_id: rejection.instrumentId ?? '',
    signal_id: rejection.signalId ?? '',
    code: rejection.code,
    field: rejection.field ?? '',
    reason: rejection.reason,
    repeated: rejection.repeated,
  };
}

/** Reads the fields of either version. Throws INVALID_MESSAGE. */
export function readRejectedSignalFields(fields: UntrustedObject): Rejection {
  return {
    code: readText(fields, 'code', 'INVALID_MESSAGE') as ErrorCode,
    field: readOptionalText(fields, 'field', 'INVALID_MESSAGE'),
    reason: readReason(fields),
    signalId: readOptionalText(fields, 'signal_id', 'INVALID_MESSAGE'),
    instrumentId: readOptionalText(fields, 'instrument_id', 'INVALID_MESSAGE'),
    payload: null,
    repeated: readBoolean(fields, 'repeated'),
  };
}
