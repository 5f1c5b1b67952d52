import type { EnrichedSignalEvent } from '../../src/market/events.js';

/** Everything in an answer that must depend on nothing but the bars up to as-of, the side, the user's values and the bundle; equal texts are equal bits, NaN included. */
export function answerBits(answer: EnrichedSignalEvent): string {
  const { metaConfidence, regimeWeight, toxicity, size, sizeReason, asOfNs, asOfSequence, modelId, degraded } = answer;
  const { modelAvailable, toxicityAvailable, regimeAvailable } = answer;
  // The shortest text that reads back as the same number, and a sign for zero: as good as the bits.
  const numbers = [metaConfidence, regimeWeight, toxicity, size].map((value) => (Object.is(value, -0) ? '-0' : value));
  const flags = [modelAvailable, toxicityAvailable, regimeAvailable];
  return [...numbers, sizeReason, ...flags, asOfNs, asOfSequence, modelId, degraded].join(' ');
}
