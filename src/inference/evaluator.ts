import type { Clock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import type { FeatureSet } from '../features/feature-set.js';
import { unreachable } from '../invariant.js';
import { toxicityShare } from '../orderflow/toxicity.js';
import {
  EVALUATED,
  type Evaluation,
  type EvaluationStatus,
  INSUFFICIENT_HISTORY,
  NOT_EVALUATED,
  type SignalRequest,
  STALE_WINDOW,
} from '../shared-memory/evaluation.js';
import type { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import { PositionSizer, SIZE_REASONS } from '../sizing/position-sizer.js';
import { InferenceLoop } from './inference-loop.js';
import type { InstrumentContext, ServedModel } from './served-model.js';

/** The part of the configuration an evaluation depends on. */
export type EvaluationConfig = Pick<
  OrchestratorConfig,
  'defaultConfidence' | 'defaultRegimeWeight' | 'defaultToxicity' | 'sizing' | 'labels'
>;

/**
 * Evaluates signals on any thread: the bars up to as-of, a side and one bundle in, the numbers of the answer out. The one function behind inline answers, the
 * pool, batches and replays. Keeps scratch memory, so an evaluator belongs to one thread.
 */
export class SignalEvaluator {
  private readonly loop: InferenceLoop;
  private readonly sizer: PositionSizer;
  private readonly cost: number;

  constructor(
    private readonly config: EvaluationConfig,
    private readonly store: FeatureStoreReader,
    featureSet: FeatureSet,
    private readonly clock: Clock,
  ) {
    this.loop = new InferenceLoop(featureSet, config.defaultConfidence, clock);
    this.sizer = new PositionSizer(config.sizing);
    this.cost = config.labels.costBps / 10_000;
  }

  /** `out` is filled whole; what is unknown in it is NaN. */
  evaluate(request: SignalRequest, served: ServedModel | null, out: Evaluation): void {
    const { instrument, asOf, side } = request;
    const startNs = this.clock.monotonicNs();
    if (side === 0) {
      leaveUnknown(out, NOT_EVALUATED, served);
      return;
    }
    const read = this.store.window(instrument, asOf);
    switch (read.kind) {
      case 'insufficient-history':
        leaveUnknown(out, INSUFFICIENT_HISTORY, served);
        return;
      case 'stale-window':
        leaveUnknown(out, STALE_WINDOW, served);
        return;
      case 'window':
        break;
      default:
        unreachable(read);
    }
    const { columns } = read;
    const context = served?.contextOf(this.store.nameOf(instrument)) ?? NO_CONTEXT;
    const regimeWeight = context.regime?.weightAt(columns, asOf) ?? Number.NaN;
    const vpin = columns.vpin[columns.base + (asOf & columns.mask)]!;
    const inference = this.loop.evaluate(columns, asOf, side, regimeWeight, request.userValues, served?.scorer ?? null);
    // Nothing that was read counts unless the writer has kept off the window: asked after the last read and before anything relies on a number.
    if (!this.store.isIntact(instrument, asOf)) {
      leaveUnknown(out, STALE_WINDOW, served);
      return;
    }
    const toxicity = toxicityOf(vpin, context, served !== null);
    const { config } = this;
    const { size, reason } = this.sizer.size({
      side,
      confidence: inference.confidence,
      regimeWeight: Number.isNaN(regimeWeight) ? config.defaultRegimeWeight : regimeWeight,
      toxicity: Number.isNaN(toxicity) ? config.defaultToxicity : toxicity,
      barrierUnit: inference.barrierUnit,
      cost: this.cost,
      model: served?.bundle ?? null,
    });
    identify(out, EVALUATED, served);
    out.confidence = inference.confidence;
    out.regimeWeight = regimeWeight;
    out.toxicity = toxicity;
    out.size = size;
    out.sizeReason = reason === undefined ? 0 : 1 + SIZE_REASONS.indexOf(reason);
    out.predictionNs = inference.predictionNs;
    out.featureNs = this.clock.monotonicNs() - startNs - inference.predictionNs;
    out.row.set(this.loop.encodedRow);
  }
}

const NO_CONTEXT: InstrumentContext = { regime: null, toxicityQuantiles: null };

/** Its place among the training interval's values; raw VPIN before any model; NaN where either is unknown. */
function toxicityOf(vpin: number, context: InstrumentContext, modelAvailable: boolean): number {
  if (!modelAvailable || Number.isNaN(vpin)) return vpin;
  return context.toxicityQuantiles === null ? Number.NaN : toxicityShare(context.toxicityQuantiles, vpin);
}

/** An evaluation without numbers. */
export function leaveUnknown(out: Evaluation, status: EvaluationStatus, served: ServedModel | null): void {
  identify(out, status, served);
  out.confidence = Number.NaN;
  out.regimeWeight = Number.NaN;
  out.toxicity = Number.NaN;
  out.size = 0;
  out.sizeReason = 0;
  out.featureNs = 0;
  out.predictionNs = 0;
  out.row.fill(Number.NaN);
}

function identify(out: Evaluation, status: EvaluationStatus, served: ServedModel | null): void {
  out.status = status;
  out.generation = served?.generation ?? 0;
  out.modelIdHigh = served?.modelIdHigh ?? 0;
  out.modelIdLow = served?.modelIdLow ?? 0;
}
