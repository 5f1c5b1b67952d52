import { OrchestratorError } from '../errors.js';
import type { Bar } from '../market/bar.js';
import type { SignalEvent } from '../market/events.js';
import type { Dialect, WrittenFrame } from './dialect.js';
import { refusal } from './fields.js';
import type { BusInput, BusReply } from './message-bus.js';
import { isNautilusInstrumentId } from './nautilus-bar-type.js';
import { ENRICHED_TYPE, enrichedFields, readEnrichedFields } from './nautilus-enriched.js';
import { type NautilusConfig, nautilusReader, unwrap } from './nautilus-messages.js';
import { REJECTED_TYPE, readRejectedSignalFields, rejectedSignalFields } from './nautilus-rejected.js';
import { BARS, HISTORICAL, signalTopics, type TopicSettings } from './nautilus-topics.js';
import { readPayload, type UntrustedObject, writePayload } from './payload.js';

/** What the versions write differently. */
export interface NautilusForm {
  /** An object of a class of NautilusTrader's own. */
  readonly ownObject: (datum: NautilusDatum) => UntrustedObject;
  /** An object of a class of the user's. */
  readonly customObject: (datum: NautilusDatum) => UntrustedObject;
}

/** An object before it is written: its class, its fields, when it happened and when it was made. */
export interface NautilusDatum {
  readonly typeName: string;
  readonly fields: UntrustedObject;
  readonly tsEvent: bigint;
  readonly tsInit: bigint;
}

/** Reads what nodes of either version publish, and writes one version. */
export function openNautilusDialect(config: NautilusConfig, form: NautilusForm): Dialect {
  const { encoding, payloadBytesMax } = config.redis;
  const frame = (topic: string, type: string, object: UntrustedObject): WrittenFrame => ({
    topic,
    payload: writePayload(object, encoding, 'literal'),
    type,
    encoding,
  });
  const custom = (datum: NautilusDatum): WrittenFrame =>
    frame(`data.${datum.typeName}`, datum.typeName, form.customObject(datum));
  const bar = ({ instrumentId, bar, historical }: Extract<BusInput, { kind: 'bar' }>): WrittenFrame => {
    const barType = barTypeOf(instrumentId, config.redis);
    return frame(`${historical ? HISTORICAL : ''}${BARS}${barType}`, 'Bar', form.ownObject(barDatum(barType, bar)));
  };
  return {
    decode: nautilusReader(config),
    signalTopics: signalTopics(config.redis),
    encodeEnriched: (message, nowNs) =>
      custom({
        typeName: ENRICHED_TYPE,
        fields: enrichedFields(message),
        tsEvent: message.timestamp,
        tsInit: nowNs,
      }),
    encodeRejected: (rejection, tsEventNs, nowNs) =>
      custom({
        typeName: REJECTED_TYPE,
        fields: rejectedSignalFields(rejection),
        tsEvent: tsEventNs,
        tsInit: nowNs,
      }),
    encodeInput: (input) =>
      input.kind === 'bar' ? bar(input) : custom(signalDatum(input.event, config.redis.signalType)),
    decodeReply: ({ payload }) => readReply(readPayload(payload, payloadBytesMax)),
  };
}

function readReply(object: UntrustedObject): BusReply {
  const { typeName, fields } = unwrap(object);
  switch (typeName) {
    case ENRICHED_TYPE:
      return { kind: 'enriched', answer: readEnrichedFields(fields) };
    case REJECTED_TYPE:
      return { kind: 'rejected', rejection: readRejectedSignalFields(fields) };
    default:
      throw refusal('INVALID_MESSAGE', 'type', `must be ${ENRICHED_TYPE} or ${REJECTED_TYPE}`);
  }
}

function barTypeOf(instrumentId: string, { barSpec, barSource }: TopicSettings): string {
  if (!isNautilusInstrumentId(instrumentId)) {
    throw new OrchestratorError('INVALID_MESSAGE', 'an instrument of NautilusTrader is named SYMBOL.VENUE', {
      field: 'instrumentId',
    });
  }
  return `${instrumentId}-${barSpec}-${barSource}`;
}

function barDatum(barType: string, { tsEventNs, open, high, low, close, volume }: Bar): NautilusDatum {
  const fields = {
    bar_type: barType,
    open: String(open),
    high: String(high),
    low: String(low),
    close: String(close),
    volume: Number.isNaN(volume) ? null : String(volume),
  };
  return { typeName: 'Bar', fields, tsEvent: tsEventNs, tsInit: tsEventNs };
}

function signalDatum(event: SignalEvent, signalType: string): NautilusDatum {
  if (event.bars !== undefined) {
    throw new OrchestratorError('INVALID_MESSAGE', 'a signal of NautilusTrader carries no bars', { field: 'bars' });
  }
  const features = Object.entries(event.features ?? {}).map(([name, value]) => [
    name,
    Number.isNaN(value) ? null : value,
  ]);
  const fields = {
    ...Object.fromEntries(features),
    instrument_id: event.instrumentId,
    signal_id: event.signalId ?? '',
    side: event.signal,
  };
  return { typeName: signalType, fields, tsEvent: event.timestamp, tsInit: event.timestamp };
}
