import { BundleScorer, type ModelBundle } from '../model/bundle.js';
import { RegimeFilter } from '../regime/regime-filter.js';

/** What a bundle knows of one instrument; null for what it does not. */
export interface InstrumentContext {
  readonly regime: RegimeFilter | null;
  readonly toxicityQuantiles: Float64Array | null;
}

/** A published bundle, ready to score, with the generation that numbers its publication. */
export class ServedModel {
  readonly scorer: BundleScorer;
  /** The model id's digits as two words, as an answer carries them. */
  readonly modelIdHigh: number;
  readonly modelIdLow: number;
  private readonly contexts = new Map<string, InstrumentContext>();

  constructor(
    readonly generation: number,
    readonly bundle: ModelBundle,
  ) {
    this.scorer = new BundleScorer(bundle);
    this.modelIdHigh = Number.parseInt(bundle.modelId.slice(0, 8), 16) | 0;
    this.modelIdLow = Number.parseInt(bundle.modelId.slice(8), 16) | 0;
  }

  /** The same object at every call, since a regime filter remembers the densities of recent bars. */
  contextOf(instrumentId: string): InstrumentContext {
    const known = this.contexts.get(instrumentId);
    if (known !== undefined) return known;
    const { regime, toxicityQuantiles } = this.bundle;
    const context = {
      regime: regime === null ? null : RegimeFilter.of(regime, instrumentId),
      toxicityQuantiles: Object.hasOwn(toxicityQuantiles, instrumentId) ? toxicityQuantiles[instrumentId]! : null,
    };
    this.contexts.set(instrumentId, context);
    return context;
  }
}

/** {@link ServedModel.modelIdHigh} and {@link ServedModel.modelIdLow} as the id they came from. */
export function modelIdOf(high: number, low: number): string {
  return hexOf(high) + hexOf(low);
}

function hexOf(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
