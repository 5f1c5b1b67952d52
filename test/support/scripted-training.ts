import type { ModelBundle } from '../../src/model/bundle.js';
import type { GateVerdict } from '../../src/retrain/strict-gate.js';
import type { StrictVerdict, Verdict } from '../../src/retrain/verdict.js';
import type { TrainingLoop, TrainOptions, TrialModels } from '../../src/training/training-loop.js';
import type { TrainingReport } from '../../src/training/training-report.js';
import { TrainingResult } from '../../src/training/training-result.js';
import type { TrainingSeries } from '../../src/training/training-series.js';
import type { TrialResult } from '../../src/training/trial.js';

/** A training thread that brings what the test wrote down for it, when the test says so. */
export class ScriptedTraining {
  readonly trainings: TrainOptions[] = [];
  readonly trials: (TrialModels & { readonly alpha: number | null })[] = [];
  /** What the next training or trial ends in. */
  next: () => { readonly verdict: Verdict; readonly trained: ModelBundle; readonly bundle?: Uint8Array | null } =
    () => {
      throw new Error('nothing was written down for this');
    };
  isHeld = false;
  private waiting: (() => void)[] = [];
  private tail: Promise<unknown> = Promise.resolve();

  get asLoop(): TrainingLoop {
    return this as unknown as TrainingLoop;
  }

  inTurn<T>(_cancel: AbortSignal | undefined, work: (turn: unknown) => Promise<T>): Promise<T> {
    const turn = this.tail.then(() =>
      work({
        train: async (_series: TrainingSeries | readonly TrainingSeries[], options: TrainOptions) => {
          this.trainings.push(options);
          await this.held();
          const { verdict, trained } = this.next();
          return new TrainingResult(trained, { verdict } as TrainingReport);
        },
        try: async (
          _series: readonly TrainingSeries[],
          models: TrialModels,
          alpha: number | null,
        ): Promise<TrialResult> => {
          this.trials.push({ ...models, alpha });
          await this.held();
          const { verdict, bundle = null } = this.next();
          return { verdict: verdict as StrictVerdict, bundle };
        },
      }),
    );
    this.tail = turn.catch(() => undefined);
    return turn;
  }

  release(): void {
    this.isHeld = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private async held(): Promise<void> {
    if (this.isHeld) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }
}

/** A verdict of the gate as far as it is carried out: whether it was taken, and what it installs. */
export function gateSaid(
  verdict: StrictVerdict['verdict'],
  options: {
    readonly spends?: boolean;
    readonly installs?: StrictVerdict['installs'];
    readonly neededLabels?: number;
  } = {},
): StrictVerdict {
  const { spends = true, installs = verdict === 'promote' ? 'trees' : null, neededLabels = null } = options;
  const gate = { verdict: 'reject', spends, neededLabels, n: 1 } as Partial<GateVerdict> as GateVerdict;
  return { kind: 'strict', verdict, installs, gate, sentence: `It is ${verdict}.` };
}
