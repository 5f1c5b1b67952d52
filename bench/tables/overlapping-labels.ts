import jstat from 'jstat';
import { normalDraws, uniformStream } from '../../src/simulation/random-streams.js';

/** A market of one signal a bar, whose labels share their paths and whose true probabilities are known. */
export interface LabelWorld {
  readonly labels: number;
  /** Bars over which a label's return runs: as many labels are open at a time. */
  readonly overlap: number;
  /** Strength of each factor that the label depends on, in deviations of its return. */
  readonly strengths: readonly number[];
  /** Bars over which factors remember themselves. */
  readonly memoryBars: number;
}

/** Labels, R-multiples and the standard normal factors that were known at the signals. */
export interface LabelSample {
  readonly metaLabel: Uint8Array;
  readonly grossR: Float64Array;
  readonly factors: readonly Float64Array[];
}

/** What a signal without any factor returns, in deviations: a base rate of 0.42. */
export const BASE_RETURN = -0.2;
const STOP_R = -1;
const PROFIT_R = 2;

/**
 * Labels 1 where the return over the next `overlap` bars is positive: a sum of independent normal increments of which neighbours share all but one, and the factors known at the
 * signal. So P(1 | all that is known at the signal) = Φ(BASE_RETURN + Σ strength·factor) exactly, while neighbouring labels hang together.
 */
export function simulateLabels(world: LabelWorld, draw: () => number): LabelSample {
  const { labels, overlap, strengths } = world;
  const increments = Float64Array.from({ length: labels + overlap }, draw);
  const factors = strengths.map(() => rememberingNoise(labels, world.memoryBars, draw));
  const metaLabel = new Uint8Array(labels);
  const grossR = new Float64Array(labels);
  for (let i = 0; i < labels; i++) {
    let path = 0;
    for (let bar = i + 1; bar <= i + overlap; bar++) path += increments[bar]!;
    const value = BASE_RETURN + weighted(strengths, factors, i) + path / Math.sqrt(overlap);
    metaLabel[i] = value > 0 ? 1 : 0;
    grossR[i] = Math.min(Math.max(value, STOP_R), PROFIT_R);
  }
  return { metaLabel, grossR, factors };
}

/** Standard normal values of which each remembers the one before: an autoregression that forgets in `memoryBars`. */
export function rememberingNoise(count: number, memoryBars: number, draw: () => number): Float64Array {
  const kept = memoryBars > 0 ? Math.exp(-1 / memoryBars) : 0;
  const values = new Float64Array(count);
  let value = draw();
  for (let i = 0; i < count; i++) {
    values[i] = value;
    value = kept * value + Math.sqrt(1 - kept * kept) * draw();
  }
  return values;
}

/** Confidence of a model that knows the factors by these strengths, and misses the return by `error` (in deviations) each time. */
export function confidences(
  { factors }: Pick<LabelSample, 'factors'>,
  strengths: readonly number[],
  error: (i: number) => number,
): Float64Array {
  const count = factors[0]!.length;
  return Float64Array.from({ length: count }, (_, i) =>
    jstat.jStat.normal.cdf(BASE_RETURN + weighted(strengths, factors, i) + error(i), 0, 1),
  );
}

/** The calibrated confidence of a model that knows only some of the factors: the others widen what it cannot tell. */
export function calibratedConfidences(
  { factors }: Pick<LabelSample, 'factors'>,
  strengths: readonly number[],
  known: readonly boolean[],
): Float64Array {
  const unknown = strengths.reduce((sum, strength, k) => sum + (known[k] ? 0 : strength * strength), 0);
  const width = Math.sqrt(1 + unknown);
  const used = strengths.map((strength, k) => (known[k] ? strength : 0));
  const count = factors[0]!.length;
  return Float64Array.from({ length: count }, (_, i) =>
    jstat.jStat.normal.cdf((BASE_RETURN + weighted(used, factors, i)) / width, 0, 1),
  );
}

/** Normal draws of run `run` out of `runs`, which share none with the others. */
export function drawsOf(seed: number, run: number, runs: number): () => number {
  return normalDraws(uniformStream(seed, run, runs));
}

/** Correlation of return and factors at which a model that knows them has this AUC, at an even base rate: Sheppard's (1899) orthant formula. Off an even rate it is near. */
export function correlationOfAuc(auc: number): number {
  return Math.SQRT2 * Math.sin((Math.PI / 2) * (auc - 0.5));
}

function weighted(strengths: readonly number[], factors: readonly Float64Array[], i: number): number {
  let sum = 0;
  for (let k = 0; k < strengths.length; k++) sum += strengths[k]! * factors[k]![i]!;
  return sum;
}
