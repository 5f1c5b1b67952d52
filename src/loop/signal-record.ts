import { wholeSecondNs } from '../market/timestamp.js';
import type { FollowedSignal } from '../outcomes/followed-signal.js';
import type { SignalRecord } from '../state/records.js';
import type { GivenAnswer } from './answer-book.js';
import type { WatchedAnswer } from './champion-watch.js';

const NO_ROW = new Float32Array(0);

/** One followed answer as it is stored. `side` is that of the signal, which is not flat. */
export function signalRecordOf(
  { answer, signal, row }: GivenAnswer,
  side: -1 | 1,
  ordinal: number,
  rival: SignalRecord['rival'],
): SignalRecord {
  return {
    ordinal,
    signalId: answer.signalId,
    instrumentId: answer.signalEvent.instrumentId,
    side,
    timestampNs: answer.signalEvent.timestamp,
    asOf: answer.asOfSequence,
    asOfNs: answer.asOfNs,
    generation: answer.generation,
    modelId: answer.modelId,
    confidence: answer.metaConfidence,
    regimeWeight: answer.regimeWeight,
    toxicity: answer.toxicity,
    size: answer.size,
    sizeReason: answer.sizeReason ?? null,
    modelAvailable: answer.modelAvailable,
    regimeAvailable: answer.regimeAvailable,
    toxicityAvailable: answer.toxicityAvailable,
    degraded: answer.degraded ?? null,
    latencyNs: answer.latencyNs,
    userValues: signal.userValues,
    row: row ?? NO_ROW,
    rival,
  };
}

/** What of a stored answer is needed until its horizon closes. `isJudged`: its label is of the kind that models are trained on. */
function watchedAnswerOf(record: SignalRecord, isJudged: boolean): WatchedAnswer {
  const { modelId, confidence, modelAvailable, degraded, asOfNs, rival } = record;
  return { modelId, confidence, asOfNs, isModelAnswer: isJudged && modelAvailable && degraded === null, rival };
}

/**
 * A stored answer as the ledger follows it. `instrument`: its index in the feature store.
 * `isJudged`: see {@link watchedAnswerOf}.
 */
export function followedSignalOf(
  record: SignalRecord,
  instrument: number,
  isJudged: boolean,
): FollowedSignal<WatchedAnswer> {
  const { ordinal, signalId, instrumentId, side, asOf, degraded } = record;
  return {
    ordinal,
    signalId,
    instrumentId,
    instrument,
    side,
    timestampNs: instantOf(record),
    asOf,
    isBarMissing: degraded === 'bar-missing',
    payload: watchedAnswerOf(record, isJudged),
  };
}

/** When the signal was decided; the record has the time that its sender gave. */
export function instantOf({ timestampNs }: SignalRecord): bigint {
  return wholeSecondNs(timestampNs);
}
