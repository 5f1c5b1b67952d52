/** What became of one evaluation. */
export const EVALUATED = 0;
export const STALE_WINDOW = 1;
export const INSUFFICIENT_HISTORY = 2;
/** Nobody computed anything: the request said so. */
export const NOT_EVALUATED = 3;
export const WORKER_FAILED = 4;

export type EvaluationStatus =
  | typeof EVALUATED
  | typeof STALE_WINDOW
  | typeof INSUFFICIENT_HISTORY
  | typeof NOT_EVALUATED
  | typeof WORKER_FAILED;

/**
 * Everything one bundle says about one signal, as numbers, so that it can lie in shared memory. Filled anew for every signal; NaN for what is unknown.
 * Self-contained: who reads it needs no model.
 */
export class Evaluation {
  status: EvaluationStatus = NOT_EVALUATED;
  confidence = Number.NaN;
  regimeWeight = Number.NaN;
  toxicity = Number.NaN;
  size = 0;
  /** 1 + index into the reasons why a size is 0; 0 for none. */
  sizeReason = 0;
  /** 0 for no model. */
  generation = 0;
  /** The model id's 16 hexadecimal digits as two words. */
  modelIdHigh = 0;
  modelIdLow = 0;
  /** Time for everything but {@link predictionNs}: window, regime, feature row, size. */
  featureNs = 0;
  /** Time to score it. */
  predictionNs = 0;
  /** The row as the model saw it. */
  readonly row: Float32Array;

  constructor(columnCount: number) {
    this.row = new Float32Array(columnCount);
  }
}

/** What an evaluation depends on beside the bars and the bundle. */
export interface SignalRequest {
  readonly instrument: number;
  readonly asOf: number;
  readonly side: -1 | 0 | 1;
  readonly userValues: Float64Array;
}
