import { deriveFeatureColumns, type FeatureColumns, volatilityAt } from '../../src/features/feature-columns.js';
import type { RegimeSeries } from '../../src/regime/regime-model.js';
import { randomBars } from '../support/market.js';

/** A standard normal value (Box & Muller 1958). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** One market state: the deviation of its returns and how much of the last return each repeats. */
export interface PlantedState {
  readonly deviation: number;
  readonly repeats?: number;
}

/** Returns that visit the states at random, 300 bars each on average. */
export function plantedReturns(count: number, states: readonly PlantedState[], random: () => number): Float64Array {
  const returns = new Float64Array(count).fill(Number.NaN);
  let state = 0;
  let before = 0;
  for (let i = 1; i < count; i++) {
    if (states.length > 1 && random() < 1 / 300) {
      state = (state + 1 + Math.floor(random() * (states.length - 1))) % states.length;
    }
    const { deviation, repeats = 0 } = states[state]!;
    before = repeats * before + 0.001 * deviation * normal(random);
    returns[i] = before;
  }
  return returns;
}

export function seriesOf(logReturn: Float64Array, instrumentId = 'X'): RegimeSeries {
  return {
    instrumentId,
    tsEventNs: BigInt64Array.from(logReturn, (_, i) => BigInt(i)),
    logReturn,
    volatility: logReturn.map((_, i) => volatilityAt(logReturn, 0, -1, i)),
    start: 0,
    end: logReturn.length,
  };
}

export function randomColumns(count: number, seed: number): FeatureColumns {
  return deriveFeatureColumns(randomBars(count, seed));
}
