import { type Bar, BarSeries } from '../../src/market/bar.js';
import { normalDraws, uniformStream } from '../../src/simulation/random-streams.js';

export interface RandomWalkOptions {
  /** How many minute bars. */
  readonly bars: number;
  /** Any integer; the same seed repeats the bars bit for bit. */
  readonly seed: number;
}

/** When the first bar closes, in ns since the epoch. */
const FIRST_CLOSE_NS = 1_700_000_040_000_000_000n;
const BAR_NS = 60_000_000_000n;
const PRICE_START = 100;
const SIGMA_BASE = 5e-4;
const LOG_SIGMA_DECAY = 0.97;
const LOG_SIGMA_SHOCK = 0.15;
const LOG_VOLUME_SPREAD = 0.4;
const STREAMS = ['volatility', 'price', 'extremes', 'volume'] as const;

/**
 * Minute bars of a random walk whose volatility clusters: log σ is a first-order autoregression (Taylor 1986). High and low are extremes of the
 * Brownian bridge between open and close (Karatzas & Shreve 1991, 4.3.40): those of a coarser path would let barriers be met beyond their prices.
 */
export function randomWalk({ bars, seed }: RandomWalkOptions): BarSeries {
  const [shocks, steps, extremes, volumes] = STREAMS.map((_, k) => uniformStream(seed, k, STREAMS.length));
  const [shock, step, busy] = [normalDraws(shocks!), normalDraws(steps!), normalDraws(volumes!)];
  const made: Bar[] = [];
  let price = PRICE_START;
  let logSigma = 0;
  for (let k = 0; k < bars; k++) {
    logSigma = LOG_SIGMA_DECAY * logSigma + LOG_SIGMA_SHOCK * shock();
    const sigma = SIGMA_BASE * Math.exp(logSigma);
    const change = sigma * step();
    const reach = (): number => Math.sqrt(change ** 2 - 2 * sigma ** 2 * Math.log(1 - extremes!()));
    const open = price;
    price *= Math.exp(change);
    const high = Math.max(open, price, open * Math.exp((change + reach()) / 2));
    const low = Math.min(open, price, open * Math.exp((change - reach()) / 2));
    const volume = 1000 * Math.exp(logSigma + LOG_VOLUME_SPREAD * busy());
    made.push({ tsEventNs: FIRST_CLOSE_NS + BigInt(k) * BAR_NS, open, high, low, close: price, volume });
  }
  return BarSeries.fromBars(made);
}
