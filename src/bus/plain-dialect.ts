import type { OrchestratorConfig } from '../config.js';
import { OrchestratorError } from '../errors.js';
import { type Bar, BarSeries } from '../market/bar.js';
import type { SignalEvent } from '../market/events.js';
import { readDegraded, readRepeated } from './answer-fields.js';
import { payloadDecoder } from './decoded.js';
import type { Dialect, SequencePlace } from './dialect.js';
import {
  fieldOf,
  isAbsent,
  isObject,
  readBarValues,
  readBoolean,
  readFeatures,
  readInteger,
  readNumber,
  readOptionalText,
  readSide,
  readText,
  readTimestampNs,
  refusal,
} from './fields.js';
import { writeJson } from './json.js';
import type { BusInput, BusReply, EnrichedMessage } from './message-bus.js';
import { readPayload, type UntrustedObject, writePayload } from './payload.js';
import { readRejectedFields, rejectedFields } from './rejected-fields.js';
import { readClaim, type SignalClaim } from './signal-claim.js';

/** The messages of this system, in JSON or MessagePack; what is read may be in either. Keys that are not known are passed over. */
export function openPlainDialect({
  redis: { encoding, payloadBytesMax },
  userFeatures,
}: Pick<OrchestratorConfig, 'redis' | 'userFeatures'>): Dialect {
  const decode = payloadDecoder({
    payloadBytesMax,
    placeOf: readPlace,
    read: (object, place) => ({ kind: 'input', input: readInput(object, userFeatures), place }),
    claimOf,
  });
  return {
    decode: ({ payload }) => decode(payload),
    signalTopics: [],
    encodeEnriched: (message) => ({
      payload:
        encoding === 'json' ? answerText(message) : writePayload({ type: 'enriched', ...message }, encoding, 'text'),
    }),
    encodeRejected: (rejection) => ({ payload: writePayload(rejectedFields(rejection), encoding, 'text') }),
    encodeInput: (input) => ({ payload: writePayload(inputFields(input), encoding, 'text') }),
    decodeReply: ({ payload }) => readReply(readPayload(payload, payloadBytesMax)),
  };
}

/** As {@link writePayload} writes it. The runtime's own writer is twice as fast, and knows neither bigints nor −0. */
function answerText(message: EnrichedMessage): string {
  if (Object.is(message.size, -0)) return writeJson({ type: 'enriched', ...message }, 'text');
  const { timestamp, asOfNs } = message;
  return JSON.stringify({ type: 'enriched', ...message, timestamp: String(timestamp), asOfNs: String(asOfNs) });
}

function readInput(object: UntrustedObject, userFeatures: readonly string[]): BusInput {
  switch (fieldOf(object, 'type')) {
    case 'bar': {
      const instrumentId = readText(object, 'instrumentId', 'INVALID_BAR');
      const isHistorical = !isAbsent(fieldOf(object, 'historical')) && readBoolean(object, 'historical');
      return { kind: 'bar', instrumentId, bar: readBar(object), ...(isHistorical && { historical: true }) };
    }
    case 'signal':
      return { kind: 'signal', event: readSignal(object, userFeatures) };
    default:
      throw refusal('INVALID_MESSAGE', 'type', 'must be bar or signal');
  }
}

function readBar(object: UntrustedObject): Bar {
  return readBarValues(object, readTimestampNs(object, 'tsEventNs'));
}

function readSignal(object: UntrustedObject, userFeatures: readonly string[]): SignalEvent {
  const signalId = fieldOf(object, 'signalId');
  const features = fieldOf(object, 'features');
  const bars = fieldOf(object, 'bars');
  if (!isAbsent(features) && !isObject(features)) throw refusal('INVALID_SIGNAL', 'features', 'must be an object');
  const event: { -readonly [K in keyof SignalEvent]: SignalEvent[K] } = {
    instrumentId: readText(object, 'instrumentId', 'INVALID_SIGNAL'),
    signal: readSide(object, 'signal'),
    timestamp: readTimestampNs(object, 'timestamp'),
  };
  if (!isAbsent(signalId)) event.signalId = readText(object, 'signalId', 'INVALID_SIGNAL');
  if (!isAbsent(features)) event.features = within('features', () => readFeatures(features, userFeatures));
  if (!isAbsent(bars)) event.bars = readBars(bars);
  return event;
}

function readBars(bars: unknown): Bar[] {
  if (!Array.isArray(bars)) throw refusal('INVALID_SIGNAL', 'bars', 'must be an array of bars');
  return bars.map((bar: unknown, index) => {
    if (!isObject(bar)) throw refusal('INVALID_BAR', `bars[${index}]`, 'must be a bar');
    return within(`bars[${index}]`, () => readBar(bar));
  });
}

function within<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof OrchestratorError ? error.within(place) : error;
  }
}

/** A sender that numbers its messages says who it is. Throws INVALID_MESSAGE. */
function readPlace(object: UntrustedObject): SequencePlace | null {
  const sequence = fieldOf(object, 'sequence');
  const source = readOptionalText(object, 'source', 'INVALID_MESSAGE');
  if (isAbsent(sequence) || source === null) return null;
  const isNumber = typeof sequence === 'number' && Number.isSafeInteger(sequence);
  const isDigits = typeof sequence === 'string' && /^\d{1,19}$/.test(sequence);
  if (!isNumber && !isDigits && typeof sequence !== 'bigint') {
    throw refusal('INVALID_MESSAGE', 'sequence', 'must be an integer');
  }
  const number = BigInt(sequence);
  if (number < 0n) throw refusal('INVALID_MESSAGE', 'sequence', 'must not be negative');
  return { source, sequence: number };
}

function inputFields(message: BusInput): UntrustedObject {
  if (message.kind === 'bar') {
    const { instrumentId, bar, historical } = message;
    return { type: 'bar', instrumentId, ...barFields(bar), ...(historical && { historical }) };
  }
  const { bars, features, ...event } = message.event;
  const list = bars instanceof BarSeries ? Array.from({ length: bars.length }, (_, index) => bars.at(index)) : bars;
  return {
    type: 'signal',
    ...event,
    ...(features === undefined ? {} : { features: Object.fromEntries(Object.entries(features).map(nullForNaN)) }),
    ...(list === undefined ? {} : { bars: list.map(barFields) }),
  };
}

function barFields({ tsEventNs, open, high, low, close, volume }: Bar): UntrustedObject {
  return { tsEventNs, open, high, low, close, volume: Number.isNaN(volume) ? null : volume };
}

function nullForNaN([name, value]: [string, number]): [string, number | null] {
  return [name, Number.isNaN(value) ? null : value];
}

/** null for a bar, and for what neither is a signal nor has an id. */
function claimOf(object: UntrustedObject): SignalClaim | null {
  const type = fieldOf(object, 'type');
  if (type === 'bar') return null;
  const claim = readClaim(object, {
    ...{ signalId: 'signalId', instrumentId: 'instrumentId', timestamp: 'timestamp' },
    sideOf: (signal) => readSide(signal, 'signal'),
  });
  return type === 'signal' || claim.signalId !== null ? claim : null;
}

function readReply(object: UntrustedObject): BusReply {
  switch (fieldOf(object, 'type')) {
    case 'enriched':
      return { kind: 'enriched', answer: readEnriched(object) };
    case 'rejected':
      return { kind: 'rejected', rejection: { ...readRejectedFields(object), payload: null } };
    default:
      throw refusal('INVALID_MESSAGE', 'type', 'must be enriched or rejected');
  }
}

function readEnriched(object: UntrustedObject): EnrichedMessage {
  return {
    signalId: readText(object, 'signalId', 'INVALID_MESSAGE'),
    instrumentId: readText(object, 'instrumentId', 'INVALID_MESSAGE'),
    signal: readSide(object, 'signal'),
    timestamp: readTimestampNs(object, 'timestamp'),
    metaConfidence: readNumber(object, 'metaConfidence'),
    regimeWeight: readNumber(object, 'regimeWeight'),
    toxicity: readNumber(object, 'toxicity'),
    size: readNumber(object, 'size'),
    sizeReason: readOptionalText(object, 'sizeReason', 'INVALID_MESSAGE'),
    modelAvailable: readBoolean(object, 'modelAvailable'),
    toxicityAvailable: readBoolean(object, 'toxicityAvailable'),
    regimeAvailable: readBoolean(object, 'regimeAvailable'),
    asOfNs: readTimestampNs(object, 'asOfNs'),
    asOfSequence: readInteger(object, 'asOfSequence'),
    generation: readInteger(object, 'generation'),
    modelId: readModelId(object),
    latencyNs: readNumber(object, 'latencyNs'),
    degraded: readDegraded(object, 'degraded'),
    repeated: readRepeated(object),
  };
}

/** '' before any model. */
function readModelId(object: UntrustedObject): string {
  return readOptionalText(object, 'modelId', 'INVALID_MESSAGE') ?? '';
}
