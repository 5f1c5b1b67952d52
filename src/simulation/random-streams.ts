import { seededUniform } from '../random.js';

/** What {@link seededUniform} adds to its state with every draw. */
const INCREMENT = 0x6d2b79f5;
/** 2³² over the golden ratio, odd: its multiples spread evenly over the cycle, however many are taken (Weyl 1916; Knuth 1998, vol. 3, 6.4). */
const SPACING = 0x9e3779b9;

/**
 * Stream `stream` of the `streamCount` that belong to `seed`, uniform in [0, 1). Whatever its seed, the generator walks one cycle of 2³² draws; the streams start
 * {@link streamPosition} draws into it. Those of the seeds 0 to n − 1 lie at least about 2³² / (3 · n · streamCount) draws apart, so none runs into another before.
 */
export function uniformStream(seed: number, stream: number, streamCount: number): () => number {
  return seededUniform(Math.imul(streamPosition(seed, stream, streamCount), INCREMENT));
}

/** How many draws into the cycle a stream starts, from 0 to 2³² − 1. */
export function streamPosition(seed: number, stream: number, streamCount: number): number {
  return Math.imul(seed * streamCount + stream, SPACING) >>> 0;
}

/** Standard normal draws, one uniform each (Box & Muller 1958). */
export function normalDraws(uniform: () => number): () => number {
  let spare = Number.NaN;
  return () => {
    if (!Number.isNaN(spare)) {
      const draw = spare;
      spare = Number.NaN;
      return draw;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
