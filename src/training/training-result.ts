import type { ModelBundle } from '../model/bundle.js';
import type { TrainingReport } from './training-report.js';

/** What a training brought: the bundle, and every honest figure behind the verdict on it. */
export class TrainingResult {
  constructor(
    /** What was trained: a candidate where the verdict does not install it. */
    readonly trained: ModelBundle,
    readonly report: TrainingReport,
  ) {}

  /** What the verdict installs; null when the champion stays. */
  get model(): ModelBundle | null {
    return this.report.verdict.installs === null ? null : this.trained;
  }

  /** Out-of-sample share of right calls; means nothing without {@link majorityAccuracy}. */
  get accuracy(): number {
    return this.report.accuracy;
  }

  /** What always calling the training window's more frequent class scores on the same signals. */
  get majorityAccuracy(): number {
    return this.report.majorityAccuracy;
  }

  get auc(): number {
    return this.report.auc;
  }

  /** Share of the total gain by feature. */
  get featureImportance(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.report.importances.map(({ name, gain }) => [name, gain]));
  }

  get nSamples(): number {
    return this.report.nSamples;
  }

  get nFolds(): number {
    return this.report.nFolds;
  }

  meetsMinimumAccuracy(minimum = 0.55): boolean {
    return this.accuracy >= minimum;
  }
}
