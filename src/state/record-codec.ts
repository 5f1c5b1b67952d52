import { deserialize, serialize } from 'node:v8';
import type { DegradedReason, SignalOutcome } from '../market/events.js';
import { ByteReader, type ByteWriter } from './byte-stream.js';
import type { OutcomeRecord, RivalRecord, SignalRecord } from './records.js';
import { damaged, SEAL_BYTES, seal, sealedCopy, unseal } from './seal.js';

/** Positions are stored: only ever add at the end. */
const DEGRADED: readonly DegradedReason[] = [
  'deadline',
  'worker-failed',
  'stale-window',
  'insufficient-history',
  'stale-bars',
  'bar-missing',
];
const OUTCOMES: readonly SignalOutcome[] = ['profit', 'stop', 'timeout', 'censored', 'expired'];
const NONE = 255;
const MODEL = 1;
const REGIME = 2;
const TOXICITY = 4;
const LONG = 8;
const REASON = 16;
const RIVAL = 32;

/** A range of a {@link ByteWriter} that holds one sealed value. */
export interface Encoded {
  readonly start: number;
  readonly end: number;
}

/** Writes a sealed signal; {@link decodeSignal} gives it back bit for bit. */
export function encodeSignal(writer: ByteWriter, signal: SignalRecord): Encoded {
  return sealed(writer, `signal ${signal.ordinal}`, () => {
    writer.u8(
      (signal.modelAvailable ? MODEL : 0) |
        (signal.regimeAvailable ? REGIME : 0) |
        (signal.toxicityAvailable ? TOXICITY : 0) |
        (signal.side > 0 ? LONG : 0) |
        (signal.sizeReason !== null ? REASON : 0) |
        (signal.rival !== null ? RIVAL : 0),
    );
    writer.u8(signal.degraded === null ? NONE : DEGRADED.indexOf(signal.degraded));
    writer.i64(signal.timestampNs);
    writer.i64(signal.asOfNs);
    for (const value of [
      signal.asOf,
      signal.generation,
      signal.confidence,
      signal.regimeWeight,
      signal.toxicity,
      signal.size,
      signal.latencyNs,
    ]) {
      writer.f64(value);
    }
    writer.text(signal.signalId);
    writer.text(signal.instrumentId);
    writer.text(signal.modelId);
    if (signal.sizeReason !== null) writer.text(signal.sizeReason);
    writer.numbers(signal.userValues);
    writer.numbers(signal.row);
    if (signal.rival !== null) writeRival(writer, signal.rival);
  });
}

/** Throws STORE_DAMAGED. */
export function decodeSignal(ordinal: number, value: Buffer): SignalRecord {
  return decoded(value, `signal ${ordinal}`, (reader) => {
    const flags = reader.u8();
    const degraded = DEGRADED[reader.u8()] ?? null;
    const timestampNs = reader.i64();
    const asOfNs = reader.i64();
    const asOf = reader.f64();
    const generation = reader.f64();
    const confidence = reader.f64();
    const regimeWeight = reader.f64();
    const toxicity = reader.f64();
    const size = reader.f64();
    const latencyNs = reader.f64();
    const signalId = reader.text();
    const instrumentId = reader.text();
    const modelId = reader.text();
    return {
      ordinal,
      signalId,
      instrumentId,
      side: (flags & LONG) !== 0 ? 1 : -1,
      timestampNs,
      asOf,
      asOfNs,
      generation,
      modelId,
      confidence,
      regimeWeight,
      toxicity,
      size,
      sizeReason: (flags & REASON) !== 0 ? reader.text() : null,
      modelAvailable: (flags & MODEL) !== 0,
      regimeAvailable: (flags & REGIME) !== 0,
      toxicityAvailable: (flags & TOXICITY) !== 0,
      degraded,
      latencyNs,
      userValues: new Float64Array(reader.numbers()),
      row: new Float32Array(reader.numbers()),
      rival: (flags & RIVAL) !== 0 ? readRival(reader) : null,
    };
  });
}

/** Writes a sealed outcome; {@link decodeOutcome} gives it back bit for bit. */
export function encodeOutcome(writer: ByteWriter, outcome: OutcomeRecord): Encoded {
  return sealed(writer, `outcome ${outcome.ordinal}`, () => {
    writer.u8(OUTCOMES.indexOf(outcome.outcome));
    writer.u8(outcome.source === 'user' ? 1 : 0);
    writer.u8(outcome.metaLabel ?? NONE);
    writer.u8(outcome.ambiguous ? 1 : 0);
    const returns = [outcome.grossReturn, outcome.netReturn, outcome.grossR];
    writer.u8(returns.reduce<number>((known, value, k) => known | (value === null ? 0 : 1 << k), 0));
    for (const value of returns) writer.f64(value ?? 0);
    writer.f64(outcome.exitSequence);
    writer.i64(outcome.exitNs);
    writer.text(outcome.signalId);
    writer.text(outcome.instrumentId);
  });
}

/** Throws STORE_DAMAGED. */
export function decodeOutcome(ordinal: number, value: Buffer): OutcomeRecord {
  return decoded(value, `outcome ${ordinal}`, (reader) => {
    const outcome = OUTCOMES[reader.u8()];
    if (outcome === undefined) throw new RangeError('no such outcome');
    const source = reader.u8() === 1 ? 'user' : 'barriers';
    const label = reader.u8();
    const ambiguous = reader.u8() === 1;
    const known = reader.u8();
    const returns = [0, 1, 2].map((k) => {
      const stored = reader.f64();
      return (known & (1 << k)) === 0 ? null : stored;
    });
    const [grossReturn, netReturn, grossR] = returns as [number | null, number | null, number | null];
    const exitSequence = reader.f64();
    const exitNs = reader.i64();
    const signalId = reader.text();
    const instrumentId = reader.text();
    const metaLabel = label === NONE ? null : label === 1 ? 1 : 0;
    const judged = { metaLabel, grossReturn, netReturn, grossR, ambiguous } as const;
    return { ordinal, signalId, instrumentId, outcome, source, ...judged, exitSequence, exitNs };
  });
}

/** Structured data, sealed: numbers keep every bit, and bigints, typed arrays, maps and sets stay what they are. */
export function encodeValue(value: unknown, name: string): Buffer {
  return sealedCopy(serialize(value), 0, name);
}

/** What {@link encodeValue} was given. Throws STORE_DAMAGED. */
export function decodeValue<T>(value: Buffer, name: string): T {
  const { content } = unseal(value, name);
  try {
    return deserialize(content) as T;
  } catch (error) {
    throw damaged(`${name} cannot be read`, error);
  }
}

function sealed(writer: ByteWriter, name: string, write: () => void): Encoded {
  const start = writer.room(SEAL_BYTES);
  write();
  const encoded = { start, end: writer.length };
  seal(writer.view(start, encoded.end), 0, name);
  return encoded;
}

function decoded<T>(value: Buffer, name: string, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(unseal(value, name).content);
  try {
    const record = read(reader);
    if (!reader.atEnd) throw new RangeError('bytes are left over');
    return record;
  } catch (error) {
    throw damaged(`${name} cannot be read`, error);
  }
}

function writeRival(writer: ByteWriter, { modelId, confidence, watch, stake }: RivalRecord): void {
  writer.text(modelId);
  writer.f64(confidence);
  writer.f64(watch);
  writer.u8(stake.wins);
  writer.numbers(Float64Array.from(stake.reserves));
  writer.numbers(Float64Array.from(stake.payouts));
}

function readRival(reader: ByteReader): RivalRecord {
  const modelId = reader.text();
  const confidence = reader.f64();
  const watch = reader.f64();
  const wins = reader.u8() === 1 ? 1 : 0;
  const reserves = [...new Float64Array(reader.numbers())];
  const payouts = [...new Float64Array(reader.numbers())];
  return { modelId, confidence, watch, stake: { wins, reserves, payouts } };
}
