import { readDegraded, readRepeated } from './answer-fields.js';
import { readBoolean, readInteger, readIntegerNs, readNumber, readOptionalText, readSide, readText } from './fields.js';
import type { EnrichedMessage } from './message-bus.js';
import type { UntrustedObject } from './payload.js';

/** The class of custom data that answers go out as. */
export const ENRICHED_TYPE = 'EnrichedSignal';

/**
 * The fields of the class, all of them always, since Python's constructor takes neither more nor fewer. No name may be a part of `expire_time_ns`: v1 nodes would take such a field for a time.
 * The times of the object itself, `ts_event` and `ts_init`, are added by each version in its own form.
 */
export function enrichedFields(message: EnrichedMessage): UntrustedObject {
  return {
    instrument_id: message.instrumentId,
    signal_id: message.signalId,
    side: message.signal,
    meta_confidence: message.metaConfidence,
    regime_weight: message.regimeWeight,
    toxicity: message.toxicity,
    size: message.size,
    size_reason: message.sizeReason ?? '',
    model_available: message.modelAvailable,
    toxicity_available: message.toxicityAvailable,
    regime_available: message.regimeAvailable,
    as_of: message.asOfNs,
    as_of_sequence: message.asOfSequence,
    generation: message.generation,
    model_id: message.modelId,
    latency_ns: message.latencyNs,
    degraded: message.degraded ?? '',
    repeated: message.repeated,
  };
}

/**
 * Reads the fields of either version. Throws INVALID_MESSAGE, NOT_A_NUMBER, INVALID_SIGNAL or
 * BAD_TIMESTAMP.
 */
export function readEnrichedFields(fields: UntrustedObject): EnrichedMessage {
  return {
    signalId: readText(fields, 'signal_id', 'INVALID_MESSAGE'),
    instrumentId: readText(fields, 'instrument_id', 'INVALID_MESSAGE'),
    signal: readSide(fields, 'side'),
    timestamp: readIntegerNs(fields, 'ts_event'),
    metaConfidence: readNumber(fields, 'meta_confidence'),
    regimeWeight: readNumber(fields, 'regime_weight'),
    toxicity: readNumber(fields, 'toxicity'),
    size: readNumber(fields, 'size'),
    sizeReason: readOptionalText(fields, 'size_reason', 'INVALID_MESSAGE'),
    modelAvailable: readBoolean(fields, 'model_available'),
    toxicityAvailable: readBoolean(fields, 'toxicity_available'),
    regimeAvailable: readBoolean(fields, 'regime_available'),
    asOfNs: readIntegerNs(fields, 'as_of'),
    asOfSequence: readInteger(fields, 'as_of_sequence'),
    generation: readInteger(fields, 'generation'),
    modelId: readOptionalText(fields, 'model_id', 'INVALID_MESSAGE') ?? '',
    latencyNs: readNumber(fields, 'latency_ns'),
    degraded: readDegraded(fields, 'degraded'),
    repeated: readRepeated(fields),
  };
}
