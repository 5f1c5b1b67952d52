import jstat from 'jstat';
import { OrchestratorError } from '../errors.js';
import { batchMeans, type TimeSpan } from './batch-means.js';

/** How much of the spread of the confidences is real: 1 is right, below 1 is overconfident, above 1 is timid. */
export interface CalibrationSlope {
  /** NaN when there is no finite estimate: one class only, constant confidence, or labels that the confidence separates. */
  readonly slope: number;
  /** 95 % interval under dependence; NaN for insufficient evidence. */
  readonly lower: number;
  readonly upper: number;
}

/** Confidences closer to 0 or 1 than this are taken for this: one that is certain would have infinite log-odds. */
const PROBABILITY_FLOOR = 1e-4;
const TAIL = 0.025;
const ITERATIONS_MAX = 50;
/** Newton has arrived when no coefficient moves by more than this. */
const STEP_MIN = 1e-10;
/** Log-odds beyond which the likelihood has no maximum: a fit that gets there is walking off to infinity. */
const COEFFICIENT_MAX = 1e3;

/** Coefficients of logit P(y = 1) = intercept + slope · x, and the inverse information the slope's row of which is kept. */
interface LogitLine {
  readonly intercept: number;
  readonly slope: number;
  /** Covariance of slope and intercept, and variance of the slope, if the labels were independent. */
  readonly slopeIntercept: number;
  readonly slopeSlope: number;
}

/**
 * The slope of the logistic regression of y on logit p, intercept free (Cox 1958; Miller, Hui & Tierney 1991). Its standard error is the sandwich (White 1982) with the scores
 * summed by blocks of time, {@link batchMeans}, so overlapping labels do not narrow the interval. Throws LENGTH_MISMATCH.
 */
export function calibrationSlope(y: Uint8Array, p: Float64Array, span: TimeSpan): CalibrationSlope {
  if (y.length !== p.length) {
    throw new OrchestratorError('LENGTH_MISMATCH', `${y.length} labels, ${p.length} confidences`, { field: 'p' });
  }
  const x = p.map(logitOf);
  const line = fitLine(y, x);
  if (line === null) return { slope: Number.NaN, lower: Number.NaN, upper: Number.NaN };
  const { intercept, slope, slopeIntercept, slopeSlope } = line;
  // One term a label: what it adds to the slope's error. At the maximum the terms sum to 0.
  const influence = x.map((value, k) => {
    return (slopeIntercept + slopeSlope * value) * (y[k]! - logistic(intercept + slope * value));
  });
  const means = batchMeans(influence, span);
  if (means === null) return { slope, lower: Number.NaN, upper: Number.NaN };
  const reach = jstat.jStat.studentt.inv(1 - TAIL, means.blocks - 1) * means.standardError;
  return { slope, lower: slope - reach, upper: slope + reach };
}

/** Maximum likelihood by Newton's method; null when it has no finite maximum. */
function fitLine(y: Uint8Array, x: Float64Array): LogitLine | null {
  // Compared one by one: rounding would leave equal values a little spread.
  if (x.every((value) => value === x[0])) return null;
  let intercept = 0;
  let slope = 1;
  for (let iteration = 0; iteration < ITERATIONS_MAX; iteration++) {
    let [score0, score1, info00, info01, info11] = [0, 0, 0, 0, 0];
    for (let k = 0; k < x.length; k++) {
      const value = x[k]!;
      const mu = logistic(intercept + slope * value);
      const weight = mu * (1 - mu);
      score0 += y[k]! - mu;
      score1 += (y[k]! - mu) * value;
      info00 += weight;
      info01 += weight * value;
      info11 += weight * value * value;
    }
    const determinant = info00 * info11 - info01 * info01;
    const step0 = (info11 * score0 - info01 * score1) / determinant;
    const step1 = (info00 * score1 - info01 * score0) / determinant;
    intercept += step0;
    slope += step1;
    if (!(Math.max(Math.abs(intercept), Math.abs(slope)) < COEFFICIENT_MAX)) return null;
    if (Math.max(Math.abs(step0), Math.abs(step1)) < STEP_MIN) {
      return { intercept, slope, slopeIntercept: -info01 / determinant, slopeSlope: info00 / determinant };
    }
  }
  return null;
}

function logitOf(probability: number): number {
  const clipped = Math.min(Math.max(probability, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
  return Math.log(clipped / (1 - clipped));
}

function logistic(logOdds: number): number {
  return 1 / (1 + Math.exp(-logOdds));
}
