import { OrchestratorError } from '../../errors.js';
import { fieldOf, isObject, refusal } from '../fields.js';
import type { Rejection } from '../message-bus.js';
import { readRejectedFields, rejectedFields } from '../rejected-fields.js';

/**
 * JSON, whatever the dialect: a sender whose messages are not understood can still read why. As the
 * plain dialect writes it, with the original bytes in base64.
 */
export function encodeRejection(rejection: Rejection): Buffer {
  const { repeated, ...fields } = rejectedFields(rejection);
  const { payload } = rejection;
  const bytes = payload === null ? null : Buffer.from(payload).toString('base64');
  return Buffer.from(JSON.stringify({ ...fields, payload: bytes, repeated }));
}

/** Throws PAYLOAD_MALFORMED for what is no JSON, INVALID_MESSAGE for what is no rejection. */
export function decodeRejection(bytes: Uint8Array): Rejection {
  const parsed = parse(bytes);
  if (!isObject(parsed)) throw refusal('INVALID_MESSAGE', 'rejection', 'must be an object');
  const payload = fieldOf(parsed, 'payload');
  if (payload !== null && typeof payload !== 'string') {
    throw refusal('INVALID_MESSAGE', 'payload', 'must be base64 or null');
  }
  return { ...readRejectedFields(parsed), payload: payload === null ? null : Buffer.from(payload, 'base64') };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new OrchestratorError('PAYLOAD_MALFORMED', 'a rejection is no JSON');
  }
}
