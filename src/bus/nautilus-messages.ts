import type { OrchestratorConfig } from '../config.js';
import { OrchestratorError } from '../errors.js';
import type { SignalEvent } from '../market/events.js';
import { HEARTBEAT, payloadDecoder } from './decoded.js';
import type { Decoded, Frame } from './dialect.js';
import {
  fieldOf,
  isObject,
  numberOf,
  readBarValues,
  readFeatures,
  readOptionalText,
  readSide,
  readText,
  readTimestampNs,
  refusal,
} from './fields.js';
import type { BusInput } from './message-bus.js';
import { parseNautilusBarType } from './nautilus-bar-type.js';
import { BARS, concernOf, SIGNAL_TYPE, settingFor, type TopicSettings, title } from './nautilus-topics.js';
import type { UntrustedObject } from './payload.js';
import { readClaim, type SignalClaim } from './signal-claim.js';

export type NautilusConfig = Pick<OrchestratorConfig, 'redis' | 'userFeatures'>;

/** One object that a node published: its class, and its fields. */
export interface NautilusMessage {
  readonly typeName: string;
  readonly fields: UntrustedObject;
}

const SIGNAL_PREFIX = 'Signal';
const INPUT = { kind: 'input' } as const;
/** What this system writes has a side too. */
const OWN_TYPES = new Set(['EnrichedSignal', 'RejectedSignal']);
const ENCODINGS = new Set(['json', 'msgpack']);
const SIDES: Readonly<Record<string, -1 | 0 | 1>> = { LONG: 1, BUY: 1, SHORT: -1, SELL: -1, FLAT: 0 };
const BOOLEANS: Readonly<Record<string, number>> = { True: 1, False: 0 };

/** What frames of a NautilusTrader node say, of either version: the shape of the payload tells which. */
export function nautilusReader(config: NautilusConfig): (frame: Frame) => Decoded {
  const { signalType, payloadBytesMax } = config.redis;
  const read = messageReader(config);
  const decodePayload = (topic = ''): ((payload: Uint8Array) => Decoded) =>
    payloadDecoder({
      payloadBytesMax,
      placeOf: () => null,
      read: (object) => read(unwrap(object), topic),
      claimOf: (object) => claimOf(object, signalType),
    });
  return ({ topic, type = '', encoding, payload }) => {
    const concern = topic === undefined ? INPUT : concernOf(topic, config.redis);
    if (concern.kind === 'heartbeat') return HEARTBEAT;
    if (concern.kind === 'none') return ignored(type || classOfTopic(topic), topic, concern.setting);
    // The name of the encoding may be wrong, as to which of the two it is; the first byte is not.
    if (encoding !== undefined && !ENCODINGS.has(encoding.toLowerCase())) return ignored(type, topic, null);
    const decoded = decodePayload(topic)(payload);
    return concern.kind === 'historical' ? asHistorical(decoded, type, topic) : decoded;
  };
}

/** What an object says that was published on the topic, '' where that is not known. */
function messageReader(config: NautilusConfig): (message: NautilusMessage, topic: string) => Decoded {
  const { signalType } = config.redis;
  const instruments = new Map(
    Object.entries(config.redis.signalInstruments).map(([name, instrumentId]) => [title(name), instrumentId]),
  );
  return ({ typeName, fields }, topic) => {
    if (typeName === 'Bar') return readBar(fields, topic, config.redis);
    if (typeName === signalType) return signal(readCustomSignal(fields, config.userFeatures));
    if (!typeName.startsWith(SIGNAL_PREFIX)) {
      const isLikeOne = ['side', 'direction'].some((name) => Object.hasOwn(fields, name));
      return ignored(typeName, topic, isLikeOne && !OWN_TYPES.has(typeName) ? SIGNAL_TYPE : null);
    }
    const instrumentId = instruments.get(typeName.slice(SIGNAL_PREFIX.length));
    if (instrumentId === undefined) return ignored(typeName, topic, 'redis.signalInstruments');
    return signal(readNamedSignal(fields, instrumentId));
  };
}

function ignored(className: string, topic: string | undefined, setting: string | null): Decoded {
  return { kind: 'ignored', what: { className, topic: topic ?? '', setting } };
}

/** Of custom data and bars; '' for everything else. */
function classOfTopic(topic = ''): string {
  if (topic.includes(BARS)) return 'Bar';
  return /^data\.(\p{Lu}[^.*]*)/u.exec(topic)?.[1] ?? '';
}

/** Of the past nothing is taken but bars, and nothing is refused: nobody waits for it. */
function asHistorical(decoded: Decoded, className: string, topic: string | undefined): Decoded {
  if (decoded.kind === 'ignored') return decoded;
  if (decoded.kind !== 'input' || decoded.input.kind !== 'bar') return ignored(className, topic, null);
  return { ...decoded, input: { ...decoded.input, historical: true } };
}

/** Of an envelope (v2) its content, and a flat object (v1) itself. Throws INVALID_MESSAGE where neither names a class. */
export function unwrap(object: UntrustedObject): NautilusMessage {
  const typeName = classOf(object);
  if (typeof typeName !== 'string') throw refusal('INVALID_MESSAGE', 'type', 'must name a class');
  return { typeName, fields: bodyOf(object) };
}

function classOf(object: UntrustedObject): unknown {
  const dataType = fieldOf(object, 'data_type');
  const isEnvelope = bodyOf(object) !== object && isObject(dataType);
  return isEnvelope ? fieldOf(dataType, 'type_name') : fieldOf(object, 'type');
}

/** null for a bar, and for what neither is a signal nor has an id. */
function claimOf(object: UntrustedObject, signalType: string): SignalClaim | null {
  const typeName = classOf(object);
  if (typeName === 'Bar') return null;
  const claim = readClaim(bodyOf(object), {
    ...{ signalId: 'signal_id', instrumentId: 'instrument_id', timestamp: 'ts_event' },
    sideOf: readSideOrDirection,
  });
  const isSignal = typeof typeName === 'string' && (typeName === signalType || typeName.startsWith(SIGNAL_PREFIX));
  return isSignal || claim.signalId !== null ? claim : null;
}

function bodyOf(object: UntrustedObject): UntrustedObject {
  const payload = fieldOf(object, 'payload');
  return isObject(payload) && isObject(fieldOf(object, 'data_type')) ? payload : object;
}

function input(read: BusInput): Decoded {
  return { kind: 'input', input: read, place: null };
}

function signal(event: SignalEvent): Decoded {
  return input({ kind: 'signal', event });
}

function readBar(fields: UntrustedObject, topic: string, settings: TopicSettings): Decoded {
  const barType = fieldOf(fields, 'bar_type');
  const parsed = typeof barType === 'string' ? parseNautilusBarType(barType) : null;
  if (parsed === null) throw refusal('INVALID_BAR', 'bar_type', 'must be a bar type');
  const setting = settingFor(parsed, settings);
  if (setting !== null) return ignored('Bar', topic || String(barType), setting);
  const bar = readBarValues(fields, readTimestampNs(fields, 'ts_event'));
  return input({ kind: 'bar', instrumentId: parsed.instrumentId, bar });
}

function readCustomSignal(fields: UntrustedObject, userFeatures: readonly string[]): SignalEvent {
  const signalId = readOptionalText(fields, 'signal_id', 'INVALID_SIGNAL');
  return {
    instrumentId: readText(fields, 'instrument_id', 'INVALID_SIGNAL'),
    signal: readSideOrDirection(fields),
    timestamp: readTimestampNs(fields, 'ts_event'),
    ...(signalId === null ? {} : { signalId }),
    ...(userFeatures.length === 0 ? {} : { features: readFeatures(fields, userFeatures) }),
  };
}

function readSideOrDirection(fields: UntrustedObject): -1 | 0 | 1 {
  return fieldOf(fields, 'side') === undefined ? readDirection(fields) : readSide(fields, 'side');
}

function readDirection(fields: UntrustedObject): -1 | 0 | 1 {
  const direction = fieldOf(fields, 'direction');
  const name = typeof direction === 'string' ? direction.toUpperCase() : '';
  if (!Object.hasOwn(SIDES, name)) throw refusal('INVALID_SIGNAL', 'side', 'is missing, and there is no direction');
  return SIDES[name]!;
}

/** Signals that a strategy publishes by name. They tell no instrument, and their value only by its sign. */
function readNamedSignal(fields: UntrustedObject, instrumentId: string): SignalEvent {
  const value = fieldOf(fields, 'value');
  const number = typeof value === 'boolean' ? Number(value) : (truthOf(value) ?? numberOf(value));
  if (number === null) throw new OrchestratorError('NOT_A_NUMBER', 'value must be a number', { field: 'value' });
  const side = number > 0 ? 1 : number < 0 ? -1 : 0;
  return { instrumentId, signal: side, timestamp: readTimestampNs(fields, 'ts_event') };
}

/** A v2 node writes values as Python prints them. */
function truthOf(value: unknown): number | null {
  return typeof value === 'string' && Object.hasOwn(BOOLEANS, value) ? BOOLEANS[value]! : null;
}
