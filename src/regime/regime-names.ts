import { seededUniform } from '../random.js';
import { BaumWelch, type HmmFit } from './baum-welch.js';
import { type FittedBars, withRandomSigns } from './fitted-bars.js';
import { stretchesByState } from './stretches.js';
import { type VarianceRatio, varianceRatio } from './variance-ratio.js';

/** How the market moves: in large moves, on and on, back and forth, or as a random walk does. */
export type RegimeName = 'volatile' | 'trending' | 'reverting' | 'ranging';

/** How far a signal is trusted in a regime, in [0, 1]. */
export const REGIME_WEIGHTS: Readonly<Record<RegimeName, number>> = {
  volatile: 0.3,
  ranging: 0.5,
  reverting: 0.5,
  trending: 1,
};

/** A state of the fitted model and the regime it stands for. */
export interface NamedState {
  /** Its index in the fitted model. */
  readonly state: number;
  readonly name: RegimeName;
  /** Standard deviation of its returns, weighted by posterior, in units of their instrument's own. */
  readonly deviation: number;
}

const VOLATILE_MULTIPLE = 1.5;
const RATIO_SPAN = 20;
const RATIO_Z_MIN = 2;
const RANDOM_WALKS = 16;
/** One for all, so that no name hangs on the seed of a training. */
const RANDOM_WALKS_SEED = 20;

/**
 * The states by rising standard deviation of their returns, named. The last one is volatile if its deviation is at least 1.5 times the share-weighted
 * median of all; the others go by the variance ratio over 20 bars of the stretches in which they are the most probable state: trending or reverting when it
 * lies more than two standard errors above or below that of random walks, else ranging. It is measured against random walks and not against 1 because
 * states are told apart by a 20-bar volatility, which is low where a 20-bar sum is large: being chosen already moves the ratio.
 */
export function nameStates(bars: FittedBars, fit: HmmFit): readonly NamedState[] {
  const { stateCount } = fit.model;
  const states = Array.from({ length: stateCount }, (_, state) => ({
    state,
    share: fit.occupancy[state]! / bars.returns.length,
    deviation: weightedDeviation(bars.returns, fit.posterior, stateCount, state),
  })).sort((a, b) => a.deviation - b.deviation);
  const calm = VOLATILE_MULTIPLE * medianDeviation(states);
  const ratios = ratiosByState(bars, fit.posterior, stateCount);
  const chance = ratiosByChance(bars, fit);
  return states.map(({ state, deviation }, rank) => {
    const isVolatile = stateCount > 1 && rank === stateCount - 1 && deviation >= calm;
    return { state, deviation, name: isVolatile ? 'volatile' : nameByRatio(ratios[state]!, chance[state]!) };
  });
}

function nameByRatio({ ratio, standardError }: VarianceRatio, chance: number): RegimeName {
  const z = (ratio - chance) / (standardError * Math.sqrt(1 + 1 / RANDOM_WALKS));
  if (z > RATIO_Z_MIN) return 'trending';
  return z < -RATIO_Z_MIN ? 'reverting' : 'ranging';
}

function ratiosByState(bars: FittedBars, posterior: Float64Array, stateCount: number): readonly VarianceRatio[] {
  return stretchesByState(bars.sequenceStarts, posterior, stateCount).map((stretches) =>
    varianceRatio(bars.returns, stretches, RATIO_SPAN),
  );
}

/** The ratio each state has on average when the same returns come with random signs, a random walk, and the fitted model finds its states in them; 1 where it finds none. */
function ratiosByChance(bars: FittedBars, { model }: HmmFit): readonly number[] {
  const { stateCount } = model;
  const random = seededUniform(RANDOM_WALKS_SEED);
  const sums = new Float64Array(stateCount);
  const counts = new Float64Array(stateCount);
  for (let walk = 0; walk < RANDOM_WALKS; walk++) {
    const walked = withRandomSigns(bars, random);
    const em = new BaumWelch(walked, stateCount);
    em.expect(model);
    for (const [state, { ratio }] of ratiosByState(walked, em.posterior, stateCount).entries()) {
      if (Number.isNaN(ratio)) continue;
      sums[state]! += ratio;
      counts[state]!++;
    }
  }
  return Array.from(sums, (sum, state) => (counts[state]! > 0 ? sum / counts[state]! : 1));
}

function weightedDeviation(returns: Float64Array, posterior: Float64Array, stateCount: number, state: number): number {
  let weight = 0;
  let sum = 0;
  for (let t = 0; t < returns.length; t++) {
    weight += posterior[t * stateCount + state]!;
    sum += posterior[t * stateCount + state]! * returns[t]!;
  }
  const mean = sum / weight;
  let squares = 0;
  for (let t = 0; t < returns.length; t++) squares += posterior[t * stateCount + state]! * (returns[t]! - mean) ** 2;
  return Math.sqrt(squares / weight);
}

/** The deviation of the state in which the cumulative share reaches one half, states rising. */
function medianDeviation(states: readonly { share: number; deviation: number }[]): number {
  let share = 0;
  for (const state of states) {
    share += state.share;
    if (share >= 0.5) return state.deviation;
  }
  return states.at(-1)!.deviation;
}
