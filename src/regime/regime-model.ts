import { invariant } from '../invariant.js';
import { seededUniform } from '../random.js';
import { fitFrom, type HmmFit, randomStart } from './baum-welch.js';
import { type FittedBars, newestBars, type RegimeSeries } from './fitted-bars.js';
import { INPUT_COUNT, stationaryDistribution } from './gaussian-hmm.js';
import { type RegimeScale, scaleOf } from './regime-inputs.js';
import { nameStates, REGIME_WEIGHTS, type RegimeName } from './regime-names.js';

export type { RegimeSeries } from './fitted-bars.js';

/** Most states a regime model has. */
export const STATES_MAX = 3;

const FITTED_BARS_MAX = 20_000;
const BARS_PER_STATE_MIN = 200;
const RESTARTS = 3;

/**
 * Market regimes as a Gaussian hidden Markov model of two inputs a bar: log return and log 20-bar volatility, standardised by instrument. Plain data, all
 * finite: it comes back from JSON with the same bits. States rise by the standard deviation of their returns.
 */
export interface RegimeModel {
  /** 1 to 3. */
  readonly stateCount: number;
  /** [state]; two states may share a name. */
  readonly names: readonly RegimeName[];
  /** How far a signal is trusted in the state, in [0, 1], [state]. */
  readonly weights: readonly number[];
  /** Stationary distribution of `transition`, [state]. */
  readonly stationary: readonly number[];
  /** [from][to], row-major, all positive. */
  readonly transition: readonly number[];
  /** [state][input], row-major, of the standardised inputs. */
  readonly mean: readonly number[];
  readonly variance: readonly number[];
  /** By instrument id, own properties only. */
  readonly scales: Readonly<Record<string, RegimeScale>>;
}

/**
 * A regime model of the newest 20,000 bars of all training windows together, every instrument a sequence of its own: Baum-Welch from three seeded starts, the
 * likeliest fit with at least 200 bars in every state, else one state fewer. Null when not even one state has as many. Reads no bar outside [start, end);
 * equal input and seed give an equal model. Instruments must differ.
 */
export function fitRegimeModel(series: readonly RegimeSeries[], seed: number): RegimeModel | null {
  const ids = new Set(series.map((one) => one.instrumentId));
  invariant(ids.size === series.length, 'a regime model is fitted to one series an instrument');
  const scaled = series.flatMap((one) => {
    const scale = scaleOf(one.logReturn, one.volatility, one.start, one.end);
    return scale === null ? [] : [{ ...one, scale }];
  });
  const bars = newestBars(scaled, FITTED_BARS_MAX);
  for (let stateCount = STATES_MAX; stateCount > 0; stateCount--) {
    const fit = bestFit(bars, stateCount, seed);
    if (fit === null) continue;
    const states = nameStates(bars, fit);
    const order = states.map(({ state }) => state);
    const names = states.map(({ name }) => name);
    const transition = order.flatMap((i) => order.map((j) => fit.model.transition[i * stateCount + j]!));
    return {
      stateCount,
      names,
      weights: names.map((name) => REGIME_WEIGHTS[name]),
      stationary: plain(stationaryDistribution(Float64Array.from(transition), stateCount)),
      transition: plain(transition),
      mean: plain(order.flatMap((k) => [...fit.model.mean.subarray(k * INPUT_COUNT, (k + 1) * INPUT_COUNT)])),
      variance: plain(order.flatMap((k) => [...fit.model.variance.subarray(k * INPUT_COUNT, (k + 1) * INPUT_COUNT)])),
      scales: Object.fromEntries(scaled.map(({ instrumentId, scale }) => [instrumentId, scale])),
    };
  }
  return null;
}

function bestFit(bars: FittedBars, stateCount: number, seed: number): HmmFit | null {
  if (bars.returns.length < stateCount * BARS_PER_STATE_MIN) return null;
  const random = seededUniform(seed);
  let best: HmmFit | null = null;
  for (let restart = 0; restart < RESTARTS; restart++) {
    const fit = fitFrom(randomStart(bars, stateCount, random), bars);
    if (fit.occupancy.some((count) => !(count >= BARS_PER_STATE_MIN))) continue;
    if (best === null || fit.logLikelihood > best.logLikelihood) best = fit;
  }
  return best;
}

/** JSON has no −0; adding 0 makes it 0 and changes nothing else. */
function plain(values: Iterable<number>): readonly number[] {
  return Array.from(values, (value) => value + 0);
}
