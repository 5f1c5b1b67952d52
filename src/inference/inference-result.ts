const NS_PER_MS = 1_000_000;

/** What one evaluation of the meta-model gave, and what it took. */
export class InferenceResult {
  constructor(
    /** P(meta-label = 1); the configured default without a model. */
    readonly confidence: number,
    readonly modelAvailable: boolean,
    /** Time to compute the feature row. */
    readonly featureNs: number,
    /** Time to score it. */
    readonly predictionNs: number,
    readonly totalNs: number,
  ) {}

  exceedsLatencyBudget(budgetMs: number): boolean {
    return this.totalNs > budgetMs * NS_PER_MS;
  }
}
