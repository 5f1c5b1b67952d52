import { OrchestratorError } from '../errors.js';
import { BarSeries } from '../market/bar.js';
import { normalDraws, uniformStream } from './random-streams.js';

export interface SimulatedMarketOptions {
  /** How many minute bars. */
  bars: number;
  /** Strength of what can be predicted, by bar where it changes; 0 is a martingale in log price, 1 a market that is easy to read. */
  edge: number | ((bar: number) => number);
  /** Any integer; the same seed repeats the market bit for bit. */
  seed: number;
}

/** A simulated market with the hidden state behind it, one value a bar in every array. */
export interface SimulatedMarket {
  readonly bars: BarSeries;
  /** 1 where the price follows its trend, 0 where it returns to its mean. */
  readonly regime: Uint8Array;
  /** Standard deviation of the bar's log return. */
  readonly sigma: Float64Array;
  /** Variance the bar's log return was drawn with: sigma² times a heavy-tailed factor of mean 1. */
  readonly variance: Float64Array;
  /** Drift of the log price in units of edge × sigma, known before the bar opens: what the price does next is this alone. */
  readonly pull: Float64Array;
}

/** When the first bar of every simulated market opens, in ns since the epoch. */
export const SIMULATION_START_NS = 1_700_000_040_000_000_000n;
const BAR_NS = 60_000_000_000n;
const PRICE_START = 100;

const SWITCH_PROBABILITY = 1 / 300;
const SIGMA_BASE = 5e-4;
const SIGMA_CALM = 0.8;
const SIGMA_TREND = 1.6;
const LOG_SIGMA_DECAY = 0.985;
const LOG_SIGMA_SHOCK = 0.1;
const TAIL_DEGREES = 5;
const TREND_PULL = 0.35;
const REVERSION_PULL = 0.45;
const LOOKBACK = 20;

/** Every source of chance has a stream of its own: another edge moves the price, but no draw. */
const STREAMS = ['regime', 'volatility', 'tail', 'price', 'extremes', 'volume'] as const;

/** The bars of {@link simulateMarketPath}. */
export function simulateMarket(options: SimulatedMarketOptions): BarSeries {
  return simulateMarketPath(options).bars;
}

/**
 * Minute bars of a market whose predictability is known. Its log price p drifts by edge × sigma × pull and diffuses with heavy tails and clustered volatility:
 * sigma = 5e-4 · (trending ? 1.6 : 0.8) · e^h with h a first-order autoregression (Taylor 1986), the return of a bar Student t with 5 degrees of freedom and unit
 * variance times sigma. A hidden regime switches with probability 1/300 a bar (Hamilton 1989) between following the 20-bar change (pull up to 0.35) and returning
 * to the 20-bar mean (pull up to 0.45). The first 21 bars have no drift.
 *
 * High and low are drawn as the extremes of the Brownian bridge between open and close (Karatzas & Shreve 1991, 4.3.40), since the extremes of a coarser path would let
 * barriers be reached at prices nobody could have traded through. Given the close, high and low are drawn independently of each other.
 *
 * Every bar opens at the close before it, the first at 100 and {@link SIMULATION_START_NS}; prices and volumes pass `checkBars`. Regime and volatility start in their
 * stationary distributions. A longer market begins with the bars of a shorter one, and a change of edge changes neither regime, sigma, variance nor the noise of volume.
 * Throws OUT_OF_RANGE, naming the option.
 */
export function simulateMarketPath(options: SimulatedMarketOptions): SimulatedMarket {
  checkOptions(options);
  const { bars: count, seed } = options;
  const edgeAt = edgeByBar(options.edge);
  const [regimeDraw, volatilityDraw, tailDraw, priceDraw, extremeDraw, volumeDraw] = streamsOf(seed);
  const regime = new Uint8Array(count);
  const sigma = new Float64Array(count);
  const variance = new Float64Array(count);
  const pull = new Float64Array(count);
  const columns = allocate(count);
  const logPrice = new Float64Array(count);
  let trending = regimeDraw() < 0.5;
  let logSigma = (LOG_SIGMA_SHOCK / Math.sqrt(1 - LOG_SIGMA_DECAY ** 2)) * volatilityDraw();
  for (let i = 0; i < count; i++) {
    if (regimeDraw() < SWITCH_PROBABILITY) trending = !trending;
    logSigma = LOG_SIGMA_DECAY * logSigma + LOG_SIGMA_SHOCK * volatilityDraw();
    regime[i] = trending ? 1 : 0;
    sigma[i] = SIGMA_BASE * (trending ? SIGMA_TREND : SIGMA_CALM) * Math.exp(logSigma);
    variance[i] = sigma[i]! ** 2 * ((TAIL_DEGREES - 2) / chiSquare(tailDraw, TAIL_DEGREES));
    pull[i] = pullAt(logPrice, i, trending, sigma[i]!);

    const before = i > 0 ? logPrice[i - 1]! : Math.log(PRICE_START);
    const diffusion = Math.sqrt(variance[i]!) * priceDraw();
    const change = edgeAt(i) * sigma[i]! * pull[i]! + diffusion;
    logPrice[i] = before + change;

    const open = i > 0 ? columns.close[i - 1]! : PRICE_START;
    const close = Math.exp(logPrice[i]!);
    const above = bridgeMaximum(change, variance[i]!, extremeDraw());
    const below = bridgeMaximum(-change, variance[i]!, extremeDraw());
    columns.tsEventNs[i] = SIMULATION_START_NS + BigInt(i + 1) * BAR_NS;
    columns.open[i] = open;
    // An extreme at an end of the bar may come out beside it by a rounding.
    columns.high[i] = Math.max(Math.exp(before + above), open, close);
    columns.low[i] = Math.min(Math.exp(before - below), open, close);
    columns.close[i] = close;
    const activity = (sigma[i]! / SIGMA_BASE) * (0.5 + Math.abs(change) / sigma[i]!);
    columns.volume[i] = Math.exp(0.5 * volumeDraw()) * activity;
  }
  return { bars: BarSeries.from(columns), regime, sigma, variance, pull };
}

function pullAt(logPrice: Float64Array, i: number, trending: boolean, sigma: number): number {
  if (i <= LOOKBACK) return 0;
  const last = logPrice[i - 1]!;
  const spread = sigma * Math.sqrt(LOOKBACK);
  if (trending) return TREND_PULL * Math.tanh((last - logPrice[i - 1 - LOOKBACK]!) / spread);
  let sum = 0;
  for (let j = i - LOOKBACK; j < i; j++) sum += logPrice[j]!;
  return -REVERSION_PULL * Math.tanh((last - sum / LOOKBACK) / (spread / 2));
}

/** Maximum above its start of a Brownian bridge that ends at `change`, by inverting P(maximum > c) = exp(−2c(c − change)/variance) at `uniform`. */
function bridgeMaximum(change: number, variance: number, uniform: number): number {
  return (change + Math.sqrt(change ** 2 - 2 * variance * Math.log(1 - uniform))) / 2;
}

function chiSquare(normal: () => number, degrees: number): number {
  let sum = 0;
  for (let k = 0; k < degrees; k++) sum += normal() ** 2;
  return sum;
}

function streamsOf(seed: number) {
  const [regime, volatility, tail, price, extremes, volume] = STREAMS.map((_, stream) =>
    uniformStream(seed, stream, STREAMS.length),
  );
  return [
    regime!,
    normalDraws(volatility!),
    normalDraws(tail!),
    normalDraws(price!),
    extremes!,
    normalDraws(volume!),
  ] as const;
}

function allocate(count: number) {
  return {
    tsEventNs: new BigInt64Array(count),
    open: new Float64Array(count),
    high: new Float64Array(count),
    low: new Float64Array(count),
    close: new Float64Array(count),
    volume: new Float64Array(count),
  };
}

function checkOptions({ bars, seed }: SimulatedMarketOptions): void {
  if (!(Number.isInteger(bars) && bars > 0)) refuse('bars', `bars ${bars} is not a positive integer`);
  if (!Number.isSafeInteger(seed)) refuse('seed', `seed ${seed} is not an integer`);
}

function edgeByBar(edge: SimulatedMarketOptions['edge']): (bar: number) => number {
  const at = typeof edge === 'number' ? () => edge : edge;
  return (bar) => {
    const value = at(bar);
    if (!Number.isFinite(value)) refuse('edge', `edge ${value} at bar ${bar} is not a finite number`);
    return value;
  };
}

function refuse(field: keyof SimulatedMarketOptions, message: string): never {
  throw new OrchestratorError('OUT_OF_RANGE', message, { field });
}
