import { type ErrorCode, OrchestratorError } from '../../errors.js';
import type { Rejection } from '../message-bus.js';

/** JSON, whatever the dialect: a sender whose messages are not understood can still read why. The payload is in base64. */
export function encodeRejection({ code, field, reason, signalId, payload }: Rejection): Buffer {
  const bytes = payload === null ? null : Buffer.from(payload).toString('base64');
  return Buffer.from(JSON.stringify({ code, field, reason, signalId, payload: bytes }));
}

/** Throws PAYLOAD_MALFORMED for what is no JSON, INVALID_MESSAGE for what is no rejection. */
export function decodeRejection(bytes: Uint8Array): Rejection {
  const parsed = parse(bytes);
  if (typeof parsed !== 'object' || parsed === null) throw invalid('rejection');
  const fields = parsed as Readonly<Record<string, unknown>>;
  const payload = textOrNull(fields, 'payload');
  return {
    code: text(fields, 'code') as ErrorCode,
    field: textOrNull(fields, 'field'),
    reason: text(fields, 'reason'),
    signalId: textOrNull(fields, 'signalId'),
    payload: payload === null ? null : Buffer.from(payload, 'base64'),
  };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new OrchestratorError('PAYLOAD_MALFORMED', 'a rejection is no JSON');
  }
}

function text(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw invalid(name);
  return value;
}

function textOrNull(fields: Readonly<Record<string, unknown>>, name: string): string | null {
  return fields[name] === null ? null : text(fields, name);
}

function invalid(field: string): OrchestratorError {
  return new OrchestratorError('INVALID_MESSAGE', `${field} of a rejection is missing or of another type`, { field });
}
