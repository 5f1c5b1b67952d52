import jstat from 'jstat';
import type { CalibrationLabels } from '../../src/drift/detector-calibration.js';
import { seededUniform } from '../../src/random.js';
import { normalDraws } from '../../src/simulation/random-streams.js';

/** 'edge': an AUC of 0.60. 'base-rate': the bundle that is installed when no edge was found; its confidence never differs from the base rate. */
export type ChampionKind = 'edge' | 'base-rate';

/** P(y = 1) while nothing drifts. An edge says p = logistic(INTERCEPT + SPREAD·z), z standard normal, which has this mean and an AUC of 0.60. */
export const BASE_RATE = 0.35;
const INTERCEPT = -0.638307;
const SPREAD = 0.363522;

/** What has become of a market in which the confidence was right: profits rarer or more frequent by so much, or labels that no longer depend on the confidence. */
export interface Drift {
  readonly rateShift: number;
  readonly skillIsGone: boolean;
}

export const NO_DRIFT: Drift = { rateShift: 0, skillIsGone: false };

/**
 * Labels y of P(y = 1) = p with the confidence p that a model gives them, one after another. With overlap L, label t is 1 iff the sum of the shocks t − L + 1 … t is among the p highest: as labels that
 * share bars do, it depends on its L − 1 predecessors, while each alone keeps its probability. The confidences' own shocks overlap alike.
 */
export class SimulatedLabels {
  readonly #normal: () => number;
  readonly #labelShocks: Float64Array;
  readonly #confidenceShocks: Float64Array;
  #next = 0;
  drift = NO_DRIFT;
  metaLabel: 0 | 1 = 0;
  confidence = BASE_RATE;

  constructor(
    private readonly champion: ChampionKind,
    private readonly overlap: number,
    seed: number,
  ) {
    this.#normal = normalDraws(seededUniform(seed));
    this.#labelShocks = Float64Array.from({ length: overlap }, this.#normal);
    this.#confidenceShocks = Float64Array.from({ length: overlap }, this.#normal);
  }

  step(): void {
    this.#labelShocks[this.#next] = this.#normal();
    this.#confidenceShocks[this.#next] = this.#normal();
    this.#next = (this.#next + 1) % this.overlap;
    const share = jstat.jStat.normal.cdf(sumOf(this.#labelShocks) / Math.sqrt(this.overlap), 0, 1);
    const z = sumOf(this.#confidenceShocks) / Math.sqrt(this.overlap);
    this.confidence = this.champion === 'edge' ? 1 / (1 + Math.exp(-(INTERCEPT + SPREAD * z))) : BASE_RATE;
    const { rateShift, skillIsGone } = this.drift;
    this.metaLabel = share < (skillIsGone ? BASE_RATE : this.confidence) + rateShift ? 1 : 0;
  }

  history(length: number): CalibrationLabels {
    const metaLabel = new Uint8Array(length);
    const confidence = new Float64Array(length);
    for (let k = 0; k < length; k++) {
      this.step();
      metaLabel[k] = this.metaLabel;
      confidence[k] = this.confidence;
    }
    return { metaLabel, confidence, baseRate: new Float64Array(length).fill(BASE_RATE) };
  }
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < values.length; k++) sum += values[k]!;
  return sum;
}
