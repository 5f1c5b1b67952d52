import type { ErrorCode } from '../errors.js';
import { fieldOf, readBoolean, readText, refusal } from './fields.js';
import type { Rejection } from './message-bus.js';
import type { UntrustedObject } from './payload.js';

/**
 * A rejection as the plain dialect writes it. `repeated` comes last, for the script that changes it
 * in copies.
 */
export function rejectedFields({ signalId, instrumentId, code, field, reason, repeated }: Rejection): UntrustedObject {
  return { type: 'rejected', signalId, instrumentId, code, field, reason, repeated };
}

/** Throws INVALID_MESSAGE. */
export function readRejectedFields(object: UntrustedObject): Omit<Rejection, 'payload'> {
  return {
    code: readText(object, 'code', 'INVALID_MESSAGE') as ErrorCode,
    field: textOrNull(object, 'field'),
    reason: readReason(object),
    signalId: textOrNull(object, 'signalId'),
    instrumentId: textOrNull(object, 'instrumentId'),
    repeated: readBoolean(object, 'repeated'),
  };
}

/** Of any length: it quotes what it refuses. Throws INVALID_MESSAGE. */
export function readReason(object: UntrustedObject): string {
  const reason = fieldOf(object, 'reason');
  if (typeof reason !== 'string') throw refusal('INVALID_MESSAGE', 'reason', 'must be text');
  return reason;
}

function textOrNull(object: UntrustedObject, name: string): string | null {
  const value = fieldOf(object, name);
  if (value !== null && typeof value !== 'string') throw refusal('INVALID_MESSAGE', name, 'must be text or null');
  return value;
}
