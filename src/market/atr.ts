import { OrchestratorError } from '../errors.js';
import type { BarSeries } from './bar.js';

export const ATR_PERIOD = 14;

export interface AtrOptions {
  /** Bars averaged, default 14. */
  period?: number;
  /** 'simple' (default): mean of the last `period` true ranges. 'wilder': Wilder's smoothing. */
  smoothing?: 'simple' | 'wilder';
}

/**
 * Average true range (Wilder 1978), one value a bar, in price units.
 * 'simple' is the mean of the last min(i + 1, period) true ranges, so it has a value from the first bar, whose range is taken against its own close.
 * 'wilder' starts at bar `period` with the mean of the first `period` ranges and is NaN before.
 */
export function averageTrueRange(bars: BarSeries, options: AtrOptions = {}): Float64Array {
  const period = options.period ?? ATR_PERIOD;
  if (!Number.isInteger(period) || period < 1) {
    throw new OrchestratorError('OUT_OF_RANGE', `ATR period ${period} is not a positive integer`, { field: 'period' });
  }
  const { high, low, close } = bars;
  const ranges = new Float64Array(bars.length);
  for (let i = 0; i < ranges.length; i++) ranges[i] = trueRange(high[i]!, low[i]!, close[Math.max(i - 1, 0)]!);
  return options.smoothing === 'wilder' ? wilder(ranges, period) : simple(ranges, period);
}

/** Columns in which bar i lies at `base + (i & mask)`. */
export interface PriceColumns {
  readonly base: number;
  readonly mask: number;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
}

/** ATR(14), simple smoothing, of bar i: the bits of `averageTrueRange` over any series that holds its last 15 bars. */
export function averageTrueRangeAt(columns: PriceColumns, i: number): number {
  const { base, mask, high, low, close } = columns;
  const count = Math.min(i + 1, ATR_PERIOD);
  let sum = 0;
  for (let j = i - count + 1; j <= i; j++) {
    const at = base + (j & mask);
    sum += trueRange(high[at]!, low[at]!, close[base + (Math.max(j - 1, 0) & mask)]!);
  }
  return sum / count;
}

/** The range of a bar widened to the close before it. */
export function trueRange(high: number, low: number, closeBefore: number): number {
  return Math.max(closeBefore, high) - Math.min(closeBefore, low);
}

function simple(ranges: Float64Array, period: number): Float64Array {
  const atr = new Float64Array(ranges.length);
  for (let i = 0; i < ranges.length; i++) {
    const count = Math.min(i + 1, period);
    // Summed afresh, oldest first, so that a short window gives the same bits as the whole series.
    let sum = 0;
    for (let j = i - count + 1; j <= i; j++) sum += ranges[j]!;
    atr[i] = sum / count;
  }
  return atr;
}

function wilder(ranges: Float64Array, period: number): Float64Array {
  const atr = new Float64Array(ranges.length).fill(Number.NaN);
  if (ranges.length <= period) return atr;
  let sum = 0;
  for (let i = 1; i <= period; i++) sum += ranges[i]!;
  atr[period] = sum / period;
  const alpha = 1 / period;
  for (let i = period + 1; i < ranges.length; i++) atr[i] = alpha * ranges[i]! + (1 - alpha) * atr[i - 1]!;
  return atr;
}
