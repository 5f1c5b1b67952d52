/** What one evaluation of the meta-model gave, and what it took. */
export class InferenceResult {
  constructor(
    /** P(meta-label = 1); the configured default without a model. */
    readonly confidence: number,
    readonly modelAvailable: boolean,
    /** ATR over price: the unit of the barriers as a fraction. */
    readonly barrierUnit: number,
    /** Time to compute the feature row. */
    readonly featureNs: number,
    /** Time to score it. */
    readonly predictionNs: number,
    readonly totalNs: number,
  ) {}
}
