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
const STEPS_PER_BAR = 12;
const SIGMA_BASE = 5e-4;
const LOG_SIGMA_DECAY = 0.97;
const LOG_SIGMA_SHOCK = 0.15;
const LOG_VOLUME_SPREAD = 0.4;
const STREAMS = 3;

/**
 * Minute bars of a random walk whose volatility clusters: log σ is a first-order autoregression (Taylor 1986).
 * High and low are those of twelve normal steps within the bar. Nothing about the next step can be known.
 */
export function randomWalk({ bars, seed }: RandomWalkOptions): BarSeries {
  const [shock, step, busy] = Array.from({ length: STREAMS }, (_, k) => normalDraws(uniformStream(seed, k, STREAMS)));
  const made: Bar[] = [];
  let price = PRICE_START;
  let logSigma = 0;
  for (let k = 0; k < bars; k++) {
    logSigma = LOG_SIGMA_DECAY * logSigma + LOG_SIGMA_SHOCK * shock!();
    const sigma = SIGMA_BASE * Math.exp(logSigma);
    const open = price;
    let [high, low] = [open, open];
    for (let s = 0; s < STEPS_PER_BAR; s++) {
      price *= Math.exp((sigma / Math.sqrt(STEPS_PER_BAR)) * step!());
      high = Math.max(high, price);
      low = Math.min(low, price);
    }
    const volume = 1000 * Math.exp(logSigma + LOG_VOLUME_SPREAD * busy!());
    made.push({ tsEventNs: FIRST_CLOSE_NS + BigInt(k) * BAR_NS, open, high, low, close: price, volume });
  }
  return BarSeries.fromBars(made);
}
