import { type FeatureColumns, LOOKBACK } from '../features/feature-columns.js';
import { invariant } from '../invariant.js';
import { ScaledDensities } from './gaussian-hmm.js';
import { type RegimeScale, standardReturn, standardVolatility } from './regime-inputs.js';
import { type RegimeModel, STATES_MAX } from './regime-model.js';

/** Bars the forward pass goes over. */
const STEPS = 64;
/** Bars, the asked one included, without which there is no regime weight: every step needs a 20-bar volatility. */
export const REGIME_BARS_MIN = LOOKBACK + STEPS + 1;

/** One memo slot is a cache line: the two inputs, then the densities. */
const SLOT = 8;
const DENSITIES = 2;
/** Steps between two rescalings: one step takes at most a factor of the smallest transition probability, 1e-6. */
const RESCALE_MASK = 15;

/**
 * Live regime weights of one instrument: the weight of every state times its filtered probability, from a forward pass over the last 64 bars that starts
 * in the stationary distribution (Rabiner 1989). A pure function of those bars, though it remembers their densities: a slot is used only for
 * the very values it was computed from. Belongs to one thread.
 */
export class RegimeFilter {
  private readonly densities: ScaledDensities;
  // Missing states have probability 0 throughout, so that three can be written out.
  private readonly stationary = new Float64Array(STATES_MAX);
  private readonly transition = new Float64Array(STATES_MAX * STATES_MAX);
  private readonly weights = new Float64Array(STATES_MAX);
  private readonly memo = new Float64Array(STEPS * SLOT);

  /** Null for an instrument the model was not trained on: its scale is unknown. */
  static of(model: RegimeModel, instrumentId: string): RegimeFilter | null {
    const scale = Object.hasOwn(model.scales, instrumentId) ? model.scales[instrumentId] : undefined;
    return scale === undefined ? null : new RegimeFilter(model, scale);
  }

  private constructor(
    model: RegimeModel,
    private readonly scale: RegimeScale,
  ) {
    const { stateCount, transition } = model;
    invariant(stateCount >= 1 && stateCount <= STATES_MAX, 'a regime model has one to three states');
    this.densities = new ScaledDensities(model.mean, model.variance);
    this.stationary.set(model.stationary);
    this.weights.set(model.weights);
    for (let i = 0; i < stateCount; i++) {
      this.transition.set(transition.slice(i * stateCount, (i + 1) * stateCount), i * STATES_MAX);
    }
    for (let slot = 0; slot < this.memo.length; slot += SLOT) this.memo[slot] = Number.NaN;
  }

  /** The regime weight of bar i, in [0, 1]; NaN before bar 84. Reads bars i − 63 to i and nothing else. */
  weightAt(columns: FeatureColumns, i: number): number {
    if (i < REGIME_BARS_MIN - 1) return Number.NaN;
    const { stationary, transition, weights, memo } = this;
    const t00 = transition[0]!;
    const t01 = transition[1]!;
    const t02 = transition[2]!;
    const t10 = transition[3]!;
    const t11 = transition[4]!;
    const t12 = transition[5]!;
    const t20 = transition[6]!;
    const t21 = transition[7]!;
    const t22 = transition[8]!;
    const first = this.densitiesOf(columns, i - STEPS + 1);
    let p0 = stationary[0]! * memo[first]!;
    let p1 = stationary[1]! * memo[first + 1]!;
    let p2 = stationary[2]! * memo[first + 2]!;
    for (let bar = i - STEPS + 2; bar <= i; bar++) {
      const at = this.densitiesOf(columns, bar);
      const q0 = (p0 * t00 + p1 * t10 + p2 * t20) * memo[at]!;
      const q1 = (p0 * t01 + p1 * t11 + p2 * t21) * memo[at + 1]!;
      const q2 = (p0 * t02 + p1 * t12 + p2 * t22) * memo[at + 2]!;
      p0 = q0;
      p1 = q1;
      p2 = q2;
      if (((i - bar) & RESCALE_MASK) === 0) {
        const scale = 1 / (p0 + p1 + p2);
        p0 *= scale;
        p1 *= scale;
        p2 *= scale;
      }
    }
    return (p0 * weights[0]! + p1 * weights[1]! + p2 * weights[2]!) / (p0 + p1 + p2);
  }

  /** Where the memo holds the bar's densities, computed unless they are there. */
  private densitiesOf({ base, mask, logReturn, volatility }: FeatureColumns, bar: number): number {
    const { memo } = this;
    const slot = (bar & (STEPS - 1)) * SLOT;
    const at = base + (bar & mask);
    const oneReturn = logReturn[at]!;
    const oneVolatility = volatility[at]!;
    if (memo[slot] !== oneReturn || memo[slot + 1] !== oneVolatility) {
      const { scale } = this;
      this.densities.write(
        standardReturn(oneReturn, scale),
        standardVolatility(oneVolatility, scale),
        memo,
        slot + DENSITIES,
      );
      memo[slot] = oneReturn;
      memo[slot + 1] = oneVolatility;
    }
    return slot + DENSITIES;
  }
}
