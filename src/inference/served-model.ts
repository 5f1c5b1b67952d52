import { BundleScorer, type ModelBundle } from '../model/bundle.js';

/** A published bundle, ready to score, with the generation that numbers its publication. */
export interface ServedModel {
  readonly generation: number;
  readonly bundle: ModelBundle;
  readonly scorer: BundleScorer;
}

/** The model in service. Publishing replaces it as a whole, so an answer that took one keeps it to its end. */
export class ModelSlot {
  private served: ServedModel | null = null;

  get current(): ServedModel | null {
    return this.served;
  }

  publish(bundle: ModelBundle): ServedModel {
    this.served = { generation: (this.served?.generation ?? 0) + 1, bundle, scorer: new BundleScorer(bundle) };
    return this.served;
  }
}
