import type { TrainingSet } from '../../src/training/training-set.js';

/** A training set of labels in time and nothing else: one signal a bar, each lasting one, unless it is said otherwise. */
export function bareSet(metaLabel: Uint8Array, parts: Partial<TrainingSet> = {}): TrainingSet {
  const count = metaLabel.length;
  const start = Int32Array.from(metaLabel.keys());
  return {
    instrumentIds: ['X'],
    rows: new Float32Array(count),
    columnCount: 1,
    metaLabel,
    side: new Int8Array(count).fill(1),
    start,
    end: start.map((bar) => bar + 1),
    duration: new Int32Array(count).fill(1),
    grossR: new Float64Array(count),
    ambiguous: new Uint8Array(count),
    uniqueness: new Float64Array(count).fill(1),
    series: new Int32Array(count),
    bar: start.slice(),
    sources: [],
    calendarNs: BigInt64Array.from(start, (bar) => BigInt(bar)),
    lookAhead: { of: 'all', signals: 0, firstShare: 0.5, seenShare: 0.5, t: null, isSuspected: false },
    counts: {
      signals: count,
      profit: 0,
      stop: 0,
      timeout: count,
      ambiguous: 0,
      censored: 0,
      noVolatility: 0,
      horizonOpen: 0,
      insufficientHistory: 0,
      targetBelowCost: 0,
      trained: count,
    },
    ...parts,
  };
}
