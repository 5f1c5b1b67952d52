import type { Clock } from '../clock.js';
import { HISTORY_BARS_MIN } from '../features/feature-columns.js';
import type { FeatureSet } from '../features/feature-set.js';
import { isInstrumentId } from '../market/instrument-id.js';
import { Evaluation } from '../shared-memory/evaluation.js';
import { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import { type EvaluationConfig, SignalEvaluator } from './evaluator.js';
import type { ServedModel } from './served-model.js';

/** Full evaluations after which the engine has compiled the way from bars to answer. */
const REHEARSED_SIGNALS = 2000;
/** Rows after which it has compiled the scorer of one more model. */
export const WARM_UP_ROWS = 2560;
/** Rows and signals of one step: some tens of microseconds once warm, which is as long as a signal that comes meanwhile waits. */
const STEP_ROWS = 16;
const STEP_SIGNALS = 4;

const STAGE_BARS = 128;
const MINUTE_NS = 60_000_000_000n;
/** Known from the first window on. */
const VPIN = { barsPerBucket: 2, volumeWindow: 20, nBuckets: 10, sigmaWindow: 20 };

/**
 * Runs a thread's code until the engine has compiled it, on made-up bars in memory of its own: the first signals of a process, and the first after a swap,
 * would otherwise take milliseconds instead of microseconds. Answers nobody.
 */
export class Rehearsal {
  private readonly evaluation: Evaluation;
  private readonly userValues: Float64Array;
  private signalsLeft = REHEARSED_SIGNALS;
  private stage: { readonly instrumentId: string; readonly evaluator: SignalEvaluator } | null = null;

  constructor(
    private readonly config: EvaluationConfig,
    private readonly featureSet: FeatureSet,
    private readonly clock: Clock,
  ) {
    this.evaluation = new Evaluation(featureSet.columnCount);
    this.userValues = new Float64Array(featureSet.user.length);
  }

  /** Evaluates as if there were no model yet. */
  runWithoutModel(): void {
    this.evaluate(null, REHEARSED_SIGNALS / 2);
  }

  /** One step of getting used to a model; returns how many rows it scored. */
  step(model: ServedModel): number {
    if (this.signalsLeft > 0) {
      this.signalsLeft -= STEP_SIGNALS;
      this.evaluate(model, STEP_SIGNALS);
      return STEP_SIGNALS;
    }
    const { bundle, scorer } = model;
    const columnCount = bundle.forest.featureCount;
    for (let k = 0; k < STEP_ROWS; k++) scorer.confidence(bundle.goldenRows, k * columnCount);
    return STEP_ROWS;
  }

  private evaluate(model: ServedModel | null, count: number): void {
    const evaluator = this.evaluatorFor(model?.bundle.instrumentIds.find(isInstrumentId) ?? 'rehearsal');
    const { userValues } = this;
    for (let k = 0; k < count; k++) {
      const asOf = HISTORY_BARS_MIN - 1 + (k % (STAGE_BARS - HISTORY_BARS_MIN));
      evaluator.evaluate({ instrument: 0, asOf, side: k % 2 === 0 ? 1 : -1, userValues }, model, this.evaluation);
    }
  }

  /** The instrument is one that the model knows, so that its regime is part of the rehearsal. */
  private evaluatorFor(instrumentId: string): SignalEvaluator {
    if (this.stage?.instrumentId === instrumentId) return this.stage.evaluator;
    const store = new FeatureStoreWriter({ instrumentsMax: 1, barsPerInstrument: STAGE_BARS, vpin: VPIN });
    for (let k = 0; k < STAGE_BARS - 1; k++) {
      const close = 100 + Math.sin(k);
      const bar = { open: close, high: close + 1, low: close - 1, close, volume: 100 + (k % 7) };
      store.append(instrumentId, { tsEventNs: BigInt(k + 1) * MINUTE_NS, ...bar });
    }
    const reader = new FeatureStoreReader(store.shared);
    const evaluator = new SignalEvaluator(this.config, reader, this.featureSet, this.clock);
    this.stage = { instrumentId, evaluator };
    return evaluator;
  }
}
