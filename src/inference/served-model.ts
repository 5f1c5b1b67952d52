import { BundleScorer, type ModelBundle } from '../model/bundle.js';

/** A published bundle, ready to score, with the generation that numbers its publication. */
export interface ServedModel {
  readonly generation: number;
  readonly bundle: ModelBundle;
  readonly scorer: BundleScorer;
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
    const scorer = new BundleScorer(bundle);
    for (let turn = 0; turn < WARM_UP_TURNS; turn++) scorer.confidences(bundle.goldenRows);
    this.served = { generation: (this.served?.generation ?? 0) + 1, bundle, scorer };
    return this.served;
  }
}
