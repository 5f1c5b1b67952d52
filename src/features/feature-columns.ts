import type { BarSeries } from '../market/bar.js';

/** Bars a rolling feature looks back over. */
export const LOOKBACK = 20;

/** Bars, the signal's own included, without which no signal is answered or trained on: every rolling window is then full of real values. */
export const HISTORY_BARS_MIN = 100;

/**
 * The columns a feature row is computed from: bar i lies at `base + (i & mask)`, so that one function reads a plain series
 * (base 0, mask −1) and a ring inside a store alike.
 */
export interface FeatureColumns {
  readonly base: number;
  readonly mask: number;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
  readonly volume: Float64Array;
  /** ln close[i] − ln close[i − 1]; NaN for the first bar. */
  readonly logReturn: Float64Array;
  /** {@link volatilityAt} of every bar. */
  readonly volatility: Float64Array;
}

export function logReturn(close: number, closeBefore: number): number {
  return Math.log(close) - Math.log(closeBefore);
}

/** Population standard deviation of the last 20 log returns up to bar i, in two passes; NaN before bar 20, when the first return would be made up. */
export function volatilityAt(logReturns: Float64Array, base: number, mask: number, i: number): number {
  return i < LOOKBACK ? Number.NaN : rollingDeviation(logReturns, base, mask, i);
}

/** Population standard deviation of the last 20 values up to i, summed oldest first: the same bits from any window that holds them. */
export function rollingDeviation(values: Float64Array, base: number, mask: number, i: number): number {
  const mean = rollingMean(values, base, mask, i);
  let squares = 0;
  for (let j = i - LOOKBACK + 1; j <= i; j++) {
    const difference = values[base + (j & mask)]! - mean;
    squares += difference * difference;
  }
  return Math.sqrt(squares / LOOKBACK);
}

export function rollingMean(values: Float64Array, base: number, mask: number, i: number): number {
  let sum = 0;
  for (let j = i - LOOKBACK + 1; j <= i; j++) sum += values[base + (j & mask)]!;
  return sum / LOOKBACK;
}

/** Log return and volatility computed once for every bar of a series. */
export function deriveFeatureColumns(bars: BarSeries): FeatureColumns {
  const { length, high, low, close, volume } = bars;
  const logReturns = new Float64Array(length).fill(Number.NaN);
  const volatility = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    if (i > 0) logReturns[i] = logReturn(close[i]!, close[i - 1]!);
    volatility[i] = volatilityAt(logReturns, 0, -1, i);
  }
  return { base: 0, mask: -1, high, low, close, volume, logReturn: logReturns, volatility };
}
