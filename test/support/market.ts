import { BarSeries } from '../../src/market/bar.js';
import { seededUniform } from '../../src/random.js';

export { seededUniform as seededRandom };

export const MINUTE_NS = 60_000_000_000n;
export const FIRST_CLOSE_NS = 1_700_000_040_000_000_000n;

/** A random walk of consistent minute bars; the same seed gives the same bars. */
export function randomBars(
  count: number,
  seed: number,
  options: { volume?: boolean; volatility?: number } = {},
): BarSeries {
  const { volume: withVolume = true, volatility = 0.001 } = options;
  const random = seededUniform(seed);
  const columns = {
    tsEventNs: new BigInt64Array(count),
    open: new Float64Array(count),
    high: new Float64Array(count),
    low: new Float64Array(count),
    close: new Float64Array(count),
    volume: new Float64Array(count),
  };
  let price = 100;
  for (let i = 0; i < count; i++) {
    const open = price;
    const close = open * Math.exp(volatility * (random() + random() + random() - 1.5) * 2);
    columns.tsEventNs[i] = FIRST_CLOSE_NS + BigInt(i) * MINUTE_NS;
    columns.open[i] = open;
    columns.close[i] = close;
    columns.high[i] = Math.max(open, close) * (1 + volatility * random());
    columns.low[i] = Math.min(open, close) * (1 - volatility * random());
    columns.volume[i] = withVolume ? Math.floor(1 + 1000 * random()) : Number.NaN;
    price = close;
  }
  return BarSeries.from(columns);
}
