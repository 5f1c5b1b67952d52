import type { ModelBundle } from '../model/bundle.js';
import type { TrainingReport } from './training-report.js';

/** What a training brought: the bundle the verdict installs, and every honest figure behind the verdict. */
export class TrainingResult {
  constructor(
    /** null when the incumbent stays. */
    readonly model: ModelBundle | null,
    readonly report: TrainingReport,
  ) {}

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
