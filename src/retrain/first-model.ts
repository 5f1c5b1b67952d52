import jstat from 'jstat';
import type { SlopeEvidence } from '../validation/slope.js';
import { labelsForTrial } from './gate-power.js';

/** How a model may enter service before the strict test has passed it. */
export type FirstModelPolicy = 'provisional' | 'strict' | 'always';

/** What the pooled purged walk-forward says about a model that wants to serve. Losses in nats. */
export interface FirstModelEvidence {
  /** Number of this training among those of the same instruments, from 1. */
  readonly attempt: number;
  /** Slope of the R-multiple on the confidence; ambiguous outcomes count half profit, half stop. */
  readonly slope: SlopeEvidence;
  /** Log-loss gained over the base rate. */
  readonly gain: number;
  /** Signals per independent label. */
  readonly overlap: number;
  readonly signalsPerDay: number;
  /** Error of one test at the promotion gate; a trial spends half of it in either direction. */
  readonly alphaPerTest: number;
}

export interface FirstModelFinding {
  readonly passed: boolean;
  readonly alpha: number;
  /** What the slope's t must exceed; NaN for insufficient evidence, as is t. */
  readonly quantile: number;
  readonly t: number;
  readonly gain: number;
  /** Labels, counted from this training, with which the strict test finds this gain with 80 % power; null when no gain was seen. */
  readonly neededLabels: number | null;
  /** Days until they are there at the present rate of signals. */
  readonly etaDays: number | null;
}

/** All attempts together pass a worthless model with at most this probability. */
const ALPHA_TOTAL = 0.1;
/** A model may cost at most so much log-loss against the base rate and still serve on its slope. */
const GAIN_MIN = -0.0005;

/** α spent on the k-th attempt: 0.10·6/(π²k²), which sums to 0.10 over all attempts. */
export function attemptAlpha(attempt: number): number {
  return (ALPHA_TOTAL * 6) / (Math.PI ** 2 * attempt ** 2);
}

/** The slope test of a first model: R must rise with the confidence beyond the t quantile, and the log-loss must not suffer. */
export function testFirstModel(evidence: FirstModelEvidence): FirstModelFinding {
  const { gain, overlap, signalsPerDay, alphaPerTest } = evidence;
  const alpha = attemptAlpha(evidence.attempt);
  const means = evidence.slope.evidence;
  const quantile = means === null ? Number.NaN : jstat.jStat.studentt.inv(1 - alpha, means.blocks - 1);
  const t = means?.t ?? Number.NaN;
  const neededLabels = gain > 0 ? labelsForTrial(gain, alphaPerTest / 2, overlap) : null;
  return {
    passed: t > quantile && gain > GAIN_MIN,
    alpha,
    quantile,
    t,
    gain,
    neededLabels,
    etaDays: neededLabels === null || !(signalsPerDay > 0) ? null : Math.ceil(neededLabels / signalsPerDay),
  };
}
