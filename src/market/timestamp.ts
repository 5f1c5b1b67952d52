const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?$/;
const INTEGER = /^-?\d{1,19}$/;
const NS_PER_MS = 1_000_000n;
const NS_PER_MINUTE = 60_000_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

/**
 * The instant that is meant: 23:59:59.999…, as exchanges stamp the last moment of a bar, is the
 * whole second that begins less than or exactly 1 ms later. Every other instant stays as it is.
 */
export function wholeSecondNs(ns: bigint): bigint {
  const intoSecond = ns % NS_PER_SECOND;
  const restNs = (intoSecond < 0n ? 0n : NS_PER_SECOND) - intoSecond;
  return restNs <= NS_PER_MS ? ns + restNs : ns;
}

/**
 * Nanoseconds since the epoch, or null if the text is no timestamp or one that 64 bits of nanoseconds cannot hold. Accepts ISO 8601 (space or T, with or without a zone,
 * no zone meaning UTC, up to nine fractional digits) and integers in s, ms, µs or ns, told apart by magnitude:
 * below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds.
 */
export function parseTimestampNs(text: string): bigint | null {
  const cell = text.trim();
  const ns = INTEGER.test(cell) ? fromInteger(BigInt(cell)) : fromIso(cell);
  return ns === null || BigInt.asIntN(64, ns) !== ns ? null : ns;
}

function fromInteger(value: bigint): bigint {
  const magnitude = value < 0n ? -value : value;
  if (magnitude < 10n ** 11n) return value * 1_000_000_000n;
  if (magnitude < 10n ** 14n) return value * 1_000_000n;
  if (magnitude < 10n ** 17n) return value * 1_000n;
  return value;
}

function fromIso(cell: string): bigint | null {
  const match = ISO.exec(cell);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const ms = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!);
  const date = new Date(ms);
  // Date.UTC rolls 31 February over into March; a date that does not come back as it went in never existed.
  const exists =
    date.getUTCFullYear() === year! &&
    date.getUTCMonth() === month! - 1 &&
    date.getUTCDate() === day! &&
    hour! < 24 &&
    minute! < 60 &&
    second! < 60;
  if (!exists) return null;
  const fraction = BigInt((match[7] ?? '').padEnd(9, '0'));
  return BigInt(ms) * NS_PER_MS + fraction - zoneOffsetNs(match[8]);
}

function zoneOffsetNs(zone: string | undefined): bigint {
  if (zone === undefined || zone === 'Z' || zone === 'z') return 0n;
  const digits = zone.replace(':', '');
  const minutes = BigInt(digits.slice(1, 3)) * 60n + BigInt(digits.slice(3, 5));
  return (zone.startsWith('-') ? -minutes : minutes) * NS_PER_MINUTE;
}
