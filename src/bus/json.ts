import { isUtf8 } from 'node:buffer';
import { malformed, NESTING_MAX } from './malformed.js';

/** Integers of so many digits may be beyond 2^53, and are read as their digits. */
const DIGITS_MIN = 16;

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/**
 * The value of a JSON text, of which integers of 16 or more digits become strings of those digits, since a number would not hold them; every other number is the nearest double.
 * `__proto__` is a key like any other. Throws PAYLOAD_MALFORMED for what JSON.parse does not read, for ill-formed UTF-8 and beyond 32 levels. Takes time in proportion to its length.
 */
export function readJson(bytes: Uint8Array): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isUtf8(buffer)) throw malformed('the text is not UTF-8');
  const text = withQuotedIntegers(buffer, findLongIntegers(buffer));
  try {
    return JSON.parse(text);
  } catch (error) {
    // Its message quotes the text, which belongs in no log.
    if (error instanceof SyntaxError) throw malformed('the text is not JSON');
    throw error;
  }
}

/** Where integers of many digits begin and end, by turns. */
function findLongIntegers(bytes: Uint8Array): number[] {
  const found: number[] = [];
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      at = endOfString(bytes, at);
    } else if (byte > NINE) {
      // Brackets and braces differ in one bit.
      if ((byte | 0x20) === 0x7b) {
        if (++depth > NESTING_MAX) throw malformed(`nested more than ${NESTING_MAX} deep`);
      } else if ((byte | 0x20) === 0x7d) depth--;
    } else if (byte >= MINUS && byte !== DOT) {
      const end = endOfNumber(bytes, at);
      if (end - at >= DIGITS_MIN && isLongInteger(bytes, at, end)) found.push(at, end);
      at = end - 1;
    }
  }
  return found;
}

/** Its closing quote; the end of the bytes when it has none. */
function endOfString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

/** The first byte that no number has in it, at least one further on. */
function endOfNumber(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && isPartOfNumber(bytes[at]!)) at++;
  return at;
}

/** A digit, a sign, a dot or an e. */
function isPartOfNumber(byte: number): boolean {
  return (byte >= 0x2b && byte <= NINE && byte !== COMMA && byte !== 0x2f) || (byte | 0x20) === 0x65;
}

function isLongInteger(bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start] === MINUS ? start + 1 : start;
  // A leading zero is no JSON, and neither is a key that is no string: quotes must not mend them.
  if (end - first < DIGITS_MIN || bytes[first] === ZERO) return false;
  for (let at = first; at < end; at++) if (bytes[at]! < ZERO || bytes[at]! > NINE) return false;
  let next = end;
  while (next < bytes.length && bytes[next]! <= 0x20) next++;
  return bytes[next] !== COLON;
}

function withQuotedIntegers(buffer: Buffer, integers: readonly number[]): string {
  const start = hasByteOrderMark(buffer) ? 3 : 0;
  if (integers.length === 0) return buffer.toString('utf8', start);
  let text = '';
  let from = start;
  for (const to of integers) {
    // By turns what stands before an integer, and the integer: a quote follows either.
    text += `${buffer.toString('utf8', from, to)}"`;
    from = to;
  }
  return text + buffer.toString('utf8', from);
}

export function hasByteOrderMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

/** How a bigint is written: as its digits in quotes, or as a number that only a reader of big integers reads exactly. */
export type BigintForm = 'text' | 'literal';

/**
 * The JSON text of a plain value. Every double is read back with its bits, −0 too; what JSON has no number for, NaN and the infinities, is null. Keys without a value are left out.
 */
export function writeJson(value: unknown, bigints: BigintForm): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      return Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : String(value)) : 'null';
    case 'bigint':
      return bigints === 'text' ? `"${value}"` : String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      return value === null ? 'null' : writeJsonObject(value, bigints);
    default:
      return 'null';
  }
}

function writeJsonObject(value: object, bigints: BigintForm): string {
  if (Array.isArray(value)) return `[${value.map((item) => writeJson(item, bigints)).join(',')}]`;
  let text = '';
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    text += `${text === '' ? '{' : ','}${quoted(key)}:${writeJson(item, bigints)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** Text that is its own JSON: several times faster than to have it looked at for escapes. */
const UNESCAPED = /^[\w .:+/-]*$/;

function quoted(text: string): string {
  return UNESCAPED.test(text) ? `"${text}"` : JSON.stringify(text);
}
