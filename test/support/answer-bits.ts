import type { EnrichedSignalEvent } from '../../src/market/events.js';

/** What of an answer must depend on nothing but the bars up to as-of, the side, the user's values and the bundle. */
export const ANSWER_FIELDS = [
  'metaConfidence',
  'regimeWeight',
  'toxicity',
  'size',
  'sizeReason',
  'modelAvailable',
  'toxicityAvailable',
  'regimeAvailable',
  'asOfNs',
  'asOfSequence',
  'modelId',
  'degraded',
] as const;

/** All of it as one text: equal texts are equal bits, NaN included. */
export function answerBits(answer: EnrichedSignalEvent): string {
  // The shortest text that reads back as the same number, and a sign for zero: as good as the bits.
  return ANSWER_FIELDS.map((name) => (Object.is(answer[name], -0) ? '-0' : String(answer[name]))).join(' ');
}
