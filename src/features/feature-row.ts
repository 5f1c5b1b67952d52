import { OrchestratorError } from '../errors.js';
import { averageTrueRangeAt } from '../market/atr.js';
import type { BarSeries } from '../market/bar.js';
import {
  deriveFeatureColumns,
  type FeatureColumns,
  HISTORY_BARS_MIN,
  LOOKBACK,
  rollingDeviation,
  rollingMean,
} from './feature-columns.js';

/** The built-in features in column order; a user's declared features follow them. */
export const FEATURE_NAMES = [
  'volatility',
  'normalized_atr',
  'momentum',
  'vol_of_vol',
  'trend_strength',
  'mean_reversion',
  'volume_ratio',
  'last_return',
  'regime',
  'toxicity',
  'side',
  'side_momentum',
  'side_mean_reversion',
  'side_last_return',
] as const;

export type FeatureName = (typeof FEATURE_NAMES)[number];
export const FEATURE_COUNT = FEATURE_NAMES.length;

/** A quiet market divides by this instead of by nothing. */
const VOLATILITY_FLOOR = 1e-10;
/** vol_of_vol needs this many bars before its own, 20 returns for each of 20 volatilities. */
const VOL_OF_VOL_FIRST = 2 * LOOKBACK - 1;

/**
 * Writes the features of bar i and a side into `out` from `offset`: the one function behind training, live answers and replays.
 * A feature without data yet is NaN, missing. Looks at bars up to i only. `toxicity` is raw VPIN and `regimeWeight` a weight in [0, 1], NaN if unknown.
 */
export function writeFeatureRow(
  columns: FeatureColumns,
  i: number,
  side: number,
  toxicity: number,
  regimeWeight: number,
  out: Float64Array,
  offset: number,
): void {
  const { base, mask, close, volume } = columns;
  const price = close[base + (i & mask)]!;
  const volatility = columns.volatility[base + (i & mask)]!;
  const divisor = Math.max(volatility, VOLATILITY_FLOOR);
  const warm = i >= LOOKBACK;
  const priceBefore = warm ? close[base + ((i - LOOKBACK) & mask)]! : Number.NaN;
  const momentum = (price - priceBefore) / priceBefore;
  const meanPrice = warm ? rollingMean(close, base, mask, i) : Number.NaN;
  const meanReversion = (price - meanPrice) / meanPrice / divisor;
  const lastReturn = columns.logReturn[base + (i & mask)]! / divisor;

  out[offset] = volatility;
  out[offset + 1] = averageTrueRangeAt(columns, i) / price;
  out[offset + 2] = momentum;
  out[offset + 3] = i >= VOL_OF_VOL_FIRST ? rollingDeviation(columns.volatility, base, mask, i) : Number.NaN;
  out[offset + 4] = Math.abs(momentum) / divisor;
  out[offset + 5] = meanReversion;
  out[offset + 6] =
    i >= LOOKBACK - 1 ? volumeRatio(volume[base + (i & mask)]!, rollingMean(volume, base, mask, i)) : Number.NaN;
  out[offset + 7] = lastReturn;
  out[offset + 8] = regimeWeight;
  out[offset + 9] = toxicity;
  out[offset + 10] = side;
  out[offset + 11] = (side * momentum) / (divisor * Math.sqrt(LOOKBACK));
  out[offset + 12] = side * meanReversion;
  out[offset + 13] = side * lastReturn;
}

/** The row of the window's LAST bar; bit-equal to {@link featureMatrix} when the window holds at least 100 bars. Throws LENGTH_MISMATCH, TOO_FEW_BARS. */
export function extractFeatures(
  window: BarSeries,
  context: { side: -1 | 1; toxicity: number; regimeWeight: number },
  out: Float64Array,
): void {
  if (out.length < FEATURE_COUNT) {
    throw new OrchestratorError('LENGTH_MISMATCH', `a feature row has ${FEATURE_COUNT} values, out has ${out.length}`, {
      field: 'out',
    });
  }
  if (window.length === 0)
    throw new OrchestratorError('TOO_FEW_BARS', 'an empty window has no last bar', { field: 'window' });
  const tail = window.slice(Math.max(0, window.length - HISTORY_BARS_MIN), window.length);
  writeFeatureRow(
    deriveFeatureColumns(tail),
    tail.length - 1,
    context.side,
    context.toxicity,
    context.regimeWeight,
    out,
    0,
  );
}

/**
 * Feature rows of many bars, row-major in FEATURE_NAMES order. `sides`, `toxicity` and `regime` are indexed by bar; `rows` are bar indices with side ≠ 0.
 * Throws LENGTH_MISMATCH, OUT_OF_RANGE.
 */
export function featureMatrix(
  bars: BarSeries,
  options: { rows: Int32Array; sides: Int8Array; toxicity: Float64Array; regime: Float64Array },
): { data: Float64Array; rows: number; columns: number } {
  const { rows, sides, toxicity, regime } = options;
  for (const [field, column] of Object.entries({ sides, toxicity, regime })) {
    if (column.length !== bars.length) {
      throw new OrchestratorError('LENGTH_MISMATCH', `${field} has ${column.length} values for ${bars.length} bars`, {
        field,
      });
    }
  }
  const columns = deriveFeatureColumns(bars);
  const data = new Float64Array(rows.length * FEATURE_COUNT);
  for (let k = 0; k < rows.length; k++) {
    const i = rows[k]!;
    if (i < 0 || i >= bars.length)
      throw new OrchestratorError('OUT_OF_RANGE', `row ${i} of ${bars.length} bars`, { field: 'rows' });
    writeFeatureRow(columns, i, sides[i]!, toxicity[i]!, regime[i]!, data, k * FEATURE_COUNT);
  }
  return { data, rows: rows.length, columns: FEATURE_COUNT };
}

function volumeRatio(volume: number, mean: number): number {
  return volume / (mean <= 0 ? 1 : mean);
}
