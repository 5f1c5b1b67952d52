import { type ErrorCode, OrchestratorError } from '../errors.js';
import { type Bar, findBarFault, TIMESTAMP_NS_MAX } from '../market/bar.js';
import { parseTimestampNs } from '../market/timestamp.js';
import type { UntrustedObject } from './payload.js';

/** Longest id, and longest text that is read as one. */
const TEXT_LENGTH_MAX = 256;
const DECIMAL = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const DIGITS = /^\d+$/;
/** Two code units that are no pair: such text cannot be written in UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The object's own property; undefined when it has none. */
export function fieldOf(object: UntrustedObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

export function isObject(value: unknown): value is UntrustedObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** Text of 1 to 256 characters that can name something. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= TEXT_LENGTH_MAX && !LONE_SURROGATE.test(value);
}

/** Throws `code`. */
export function readText(object: UntrustedObject, name: string, code: ErrorCode): string {
  const value = fieldOf(object, name);
  if (isText(value)) return value;
  throw refusal(code, name, `must be text of 1 to ${TEXT_LENGTH_MAX} characters`);
}

/** null where the field is missing, null or, for senders whose fields have no other way to be empty, ''. Throws `code`. */
export function readOptionalText(object: UntrustedObject, name: string, code: ErrorCode): string | null {
  const value = fieldOf(object, name);
  return isAbsent(value) || value === '' ? null : readText(object, name, code);
}

/** A finite number, or the decimal text of one. Throws NOT_A_NUMBER. */
export function readNumber(object: UntrustedObject, name: string): number {
  const number = numberOf(fieldOf(object, name));
  if (number === null) throw refusal('NOT_A_NUMBER', name, 'must be a finite number');
  return number;
}

/** As {@link readNumber}, and NaN for a value that is unknown: missing, null or NaN. */
export function readNumberOrNaN(object: UntrustedObject, name: string): number {
  const value = fieldOf(object, name);
  return isAbsent(value) || Number.isNaN(value) ? Number.NaN : readNumber(object, name);
}

/** null for what is no finite number. */
export function numberOf(value: unknown): number | null {
  if (typeof value === 'string' && value.length <= TEXT_LENGTH_MAX && DECIMAL.test(value)) return finite(Number(value));
  return typeof value === 'number' || typeof value === 'bigint' ? finite(Number(value)) : null;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** An integer that a double holds. Throws INVALID_MESSAGE. */
export function readInteger(object: UntrustedObject, name: string): number {
  const number = numberOf(fieldOf(object, name));
  if (number === null || !Number.isSafeInteger(number)) throw refusal('INVALID_MESSAGE', name, 'must be an integer');
  return number;
}

/** Throws INVALID_MESSAGE. */
export function readBoolean(object: UntrustedObject, name: string): boolean {
  const value = fieldOf(object, name);
  if (typeof value !== 'boolean') throw refusal('INVALID_MESSAGE', name, 'must be true or false');
  return value;
}

/** Throws INVALID_SIGNAL. */
export function readSide(object: UntrustedObject, name: string): -1 | 0 | 1 {
  const value = fieldOf(object, name);
  // A loose zero is +0 afterwards, whatever sign it came with.
  const side = typeof value === 'number' || typeof value === 'bigint' ? Number(value) : Number.NaN;
  if (side === 0) return 0;
  if (side === 1 || side === -1) return side;
  throw refusal('INVALID_SIGNAL', name, 'must be -1, 0 or 1');
}

/**
 * Nanoseconds since the epoch: a 64-bit integer, its digits as text, or ISO 8601 with up to nine decimals. Throws BAD_TIMESTAMP, also for every number below 2^53 (seconds, milliseconds or
 * microseconds: as nanoseconds they would lie in the first months of 1970) and for every fraction, since a double cannot hold nanoseconds.
 */
export function readTimestampNs(object: UntrustedObject, name: string): bigint {
  const value = fieldOf(object, name);
  const ns = typeof value === 'bigint' ? value : typeof value === 'string' ? timestampOfText(value) : null;
  if (ns === null || ns < 0n || ns > TIMESTAMP_NS_MAX) {
    throw refusal('BAD_TIMESTAMP', name, 'must be nanoseconds since the epoch, as digits or ISO 8601');
  }
  return ns;
}

/** As {@link readTimestampNs}, for integers that are known to be nanoseconds, small ones too. Throws BAD_TIMESTAMP. */
export function readIntegerNs(object: UntrustedObject, name: string): bigint {
  const value = fieldOf(object, name);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? BigInt(value)
    : readTimestampNs(object, name);
}

/** More than any form of timestamp has. */
const TIMESTAMP_LENGTH_MAX = 40;

function timestampOfText(text: string): bigint | null {
  if (text.length > TIMESTAMP_LENGTH_MAX) return null;
  // Digits are nanoseconds here, whatever their magnitude.
  if (DIGITS.test(text)) return BigInt(text);
  return text.startsWith('-') ? null : parseTimestampNs(text);
}

/** Open, high, low, close and volume by those names, consistent as everywhere. Throws NOT_A_NUMBER or the bar's fault. */
export function readBarValues(object: UntrustedObject, tsEventNs: bigint): Bar {
  const open = readNumber(object, 'open');
  const high = readNumber(object, 'high');
  const low = readNumber(object, 'low');
  const close = readNumber(object, 'close');
  const volume = readNumberOrNaN(object, 'volume');
  const fault = findBarFault(open, high, low, close, volume);
  if (fault !== null) throw new OrchestratorError(fault.code, fault.reason, { field: fault.column });
  return { tsEventNs, open, high, low, close, volume };
}

/** The named features that the object has; null ones are NaN, which means missing. Throws NOT_A_NUMBER. */
export function readFeatures(object: UntrustedObject, names: readonly string[]): Readonly<Record<string, number>> {
  const present = names.filter((name) => Object.hasOwn(object, name));
  return Object.fromEntries(present.map((name) => [name, readNumberOrNaN(object, name)]));
}

export function refusal(code: ErrorCode, field: string, rule: string): OrchestratorError {
  return new OrchestratorError(code, `${field} ${rule}`, { field });
}
