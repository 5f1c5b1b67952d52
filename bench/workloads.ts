import { BarSeries } from '../src/market/bar.js';
import { seededUniform } from '../src/random.js';

const MINUTE_NS = 60_000_000_000n;
const FIRST_NS = 1_600_000_020_000_000_000n;

/**
 * `walk`: seeded minute bars of a random walk whose volatility comes in waves. With `swing` > 0 the price also swings around its start by that fraction,
 * which a model can learn.
 */
export function walkBars(count: number, seed: number, swing = 0): BarSeries {
  const random = seededUniform(seed);
  const normal = (): number => random() + random() + random() + random() - 2;
  const columns = {
    tsEventNs: new BigInt64Array(count),
    open: new Float64Array(count),
    high: new Float64Array(count),
    low: new Float64Array(count),
    close: new Float64Array(count),
    volume: new Float64Array(count),
  };
  let price = 100;
  let heat = 0;
  for (let i = 0; i < count; i++) {
    heat = 0.98 * heat + 0.2 * normal();
    const sigma = 0.0005 * Math.exp(heat);
    const drift = swing === 0 ? 0 : swing * (Math.sin((i + 1) / 15) - Math.sin(i / 15));
    const close = price * Math.exp(sigma * normal() + drift);
    columns.tsEventNs[i] = FIRST_NS + BigInt(i) * MINUTE_NS;
    columns.open[i] = price;
    columns.close[i] = close;
    columns.high[i] = Math.max(price, close) * (1 + sigma * random());
    columns.low[i] = Math.min(price, close) * (1 - sigma * random());
    columns.volume[i] = 1 + Math.floor(1000 * random() * (1 + Math.abs(heat)));
    price = close;
  }
  return BarSeries.from(columns);
}

/** `labelled-rows`: seeded encoded rows with missing values, and labels that depend on the first three columns. */
export function labelledRows(
  rowCount: number,
  columnCount: number,
  seed: number,
): { rows: Float32Array; labels: Uint8Array } {
  const random = seededUniform(seed);
  const rows = new Float32Array(rowCount * columnCount);
  const labels = new Uint8Array(rowCount);
  for (let r = 0; r < rowCount; r++) {
    let score = 0;
    for (let c = 0; c < columnCount; c++) {
      const value = random() < 0.03 ? Number.NaN : 4 * random() - 2;
      rows[r * columnCount + c] = value;
      if (c < 3 && !Number.isNaN(value)) score += value;
    }
    labels[r] = random() < 1 / (1 + Math.exp(-score)) ? 1 : 0;
  }
  return { rows, labels };
}
