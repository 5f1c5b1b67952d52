import { BundleScorer, type ModelBundle } from '../model/bundle.js';
import { RegimeFilter } from '../regime/regime-filter.js';

/** What a bundle knows of one instrument; null for what it does not. */
export interface InstrumentContext {
  readonly regime: RegimeFilter | null;
  readonly toxicityQuantiles: readonly number[] | null;
}

/** A published bundle, ready to score, with the generation that numbers its publication. */
export class ServedModel {
  readonly scorer: BundleScorer;
  private readonly contexts = new Map<string, InstrumentContext>();

  constructor(
    readonly generation: number,
    readonly bundle: ModelBundle,
  ) {
    this.scorer = new BundleScorer(bundle);
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

/** Turns over the golden rows after which the engine has compiled a scorer for speed. */
const WARM_UP_TURNS = 40;

/** The model in service. Publishing replaces it as a whole, so an answer that took one keeps it to its end. */
export class ModelSlot {
  private served: ServedModel | null = null;

  get current(): ServedModel | null {
    return this.served;
  }

  /** Takes some milliseconds: the scorer's code is compiled for this bundle and warmed up before any signal meets it. */
  publish(bundle: ModelBundle): ServedModel {
    const served = new ServedModel((this.served?.generation ?? 0) + 1, bundle);
    for (let turn = 0; turn < WARM_UP_TURNS; turn++) served.scorer.confidences(bundle.goldenRows);
    this.served = served;
    return served;
  }
}
