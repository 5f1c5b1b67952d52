import { type ErrorCode, OrchestratorError, toErrorRecord } from '../errors.js';
import type { Logger } from '../log.js';
import type { RetrainTrigger } from '../market/events.js';
import type { ModelBundle } from '../model/bundle.js';
import { labelsForTrial } from '../retrain/gate-power.js';
import type { Verdict } from '../retrain/verdict.js';
import type { TrainingProgress } from '../training/train-model.js';
import type { TrainingResult } from '../training/training-result.js';
import type { TrainingSeries } from '../training/training-series.js';
import type { ChampionWatch } from './champion-watch.js';
import type { Promotion } from './promotion.js';

export interface RetrainerParts {
  readonly watch: ChampionWatch;
  readonly promotion: Promotion;
  /** Series of everything recorded so far; null without a data directory. */
  readonly series: (() => Promise<TrainingSeries[]>) | null;
  /** Whether due retrains are run, not only told. */
  readonly isAutomatic: boolean;
  /** Error of one test. */
  readonly alphaPerTest: number;
  readonly logger: Logger;
  /** False before the first signal, since bars alone teach nothing, and while the champion is missing, which must not be replaced as if there had been none. */
  readonly canTrain: () => boolean;
  readonly onTriggered: (trigger: RetrainTrigger) => void;
  readonly onProgress: (progress: TrainingProgress) => void;
}

/** Runs what the watch asks for, in the background and one piece at a time: retrains, and trials of a provisional champion. */
export class Retrainer {
  private running: Promise<unknown> | null = null;
  private cancelling = new AbortController();

  constructor(
    private readonly parts: RetrainerParts,
    /** Labels at which the provisional champion is tried next; null when nothing is due. */
    private trialAt: number | null = null,
  ) {}

  get trialAtLabels(): number | null {
    return this.trialAt;
  }

  /** A provisional champion is tried when it has as many labels as its walk-forward gain promises to be enough. */
  adopt({ evidence, metrics, meanConcurrency }: ModelBundle): void {
    const gain = metrics.baseRateLogLoss - metrics.logLoss;
    const isDue = evidence === 'provisional' && gain > 0;
    // Half of the error goes into either direction.
    this.trialAt = isDue ? labelsForTrial(gain, this.parts.alphaPerTest / 2, meanConcurrency) : null;
  }

  /** Looks whether anything is due. Cheap: called with every bar. */
  check(): void {
    const { watch } = this.parts;
    if (!this.parts.canTrain()) return;
    if (this.running !== null && !this.parts.isAutomatic) return;
    // In manual mode a retrain left pending by an earlier process was announced there already.
    if (!this.parts.isAutomatic && watch.monitor.pending !== null) watch.monitor.retrainDone();
    const trigger = watch.monitor.checkRetrain();
    if (trigger !== null) {
      this.parts.onTriggered(trigger);
      if (this.parts.isAutomatic) this.runInBackground('retrain', () => this.retrain());
      else watch.monitor.retrainDone();
    }
    if (this.trialAt !== null && watch.labels >= this.trialAt && this.parts.isAutomatic) {
      this.runInBackground('trial', () => this.tryChampion());
    }
  }

  /** Retrains now because a person wants it. Rejects as {@link Promotion.train} does, and with NO_DATA_DIR. */
  async request(): Promise<TrainingResult> {
    const { watch, series } = this.parts;
    if (series === null)
      throw new OrchestratorError('NO_DATA_DIR', 'only what is recorded under dataDir can be trained on');
    while (this.running !== null) await this.running;
    watch.monitor.request();
    const trigger = watch.monitor.checkRetrain();
    if (trigger !== null) this.parts.onTriggered(trigger);
    const run = this.retrain();
    this.running = run
      .then(
        () => watch.monitor.retrainDone(),
        (error: unknown) => {
          if (toErrorRecord(error, 'TRAINING_FAILED').code !== 'STOPPED') watch.monitor.retrainFailed();
        },
      )
      .then(() => {
        this.running = null;
      });
    return run;
  }

  /** Tests a kept model on what neither it nor the champion has seen. Rejects as {@link Promotion.try} does, and with NO_DATA_DIR. */
  async tryCandidate(candidate: Uint8Array): Promise<Verdict> {
    if (this.parts.series === null) throw new OrchestratorError('NO_DATA_DIR', 'only recorded labels can decide');
    return this.parts.promotion.try(await this.recorded(), candidate, this.cancelling.signal);
  }

  /** Goes on with a retrain that waits: it was due while something else ran, or pending when the process ended. */
  resume(): void {
    const { pending } = this.parts.watch.monitor;
    if (pending !== null && this.parts.isAutomatic) this.runInBackground('retrain', () => this.retrain());
  }

  /** Stops what runs at the next boosting step. */
  cancel(): void {
    this.cancelling.abort();
    this.cancelling = new AbortController();
  }

  /** Resolves when nothing runs. */
  async settled(): Promise<void> {
    while (this.running !== null) await this.running;
  }

  private runInBackground(what: 'retrain' | 'trial', work: () => Promise<unknown>): void {
    if (this.parts.series === null) {
      this.parts.logger.warn(
        { code: 'NO_DATA_DIR' satisfies ErrorCode },
        `a ${what} is due, but nothing is recorded: set dataDir`,
      );
      this.finish(what, 'failed');
      return;
    }
    if (this.running !== null) return;
    const failed = (error: unknown): 'failed' | 'interrupted' => {
      const { code, message } = toErrorRecord(error, 'TRAINING_FAILED');
      if (code === 'STOPPED') return 'interrupted';
      this.parts.logger.warn({ code, reason: message }, `a ${what} in the background failed`);
      return 'failed';
    };
    this.running = work()
      .then(() => 'done' as const, failed)
      .then((end) => {
        this.running = null;
        // What the end of the process interrupts stays due.
        if (end === 'interrupted') return;
        this.finish(what, end);
        this.resume();
      });
  }

  private finish(what: 'retrain' | 'trial', end: 'done' | 'failed'): void {
    const { watch } = this.parts;
    if (what === 'retrain') {
      if (end === 'done') watch.monitor.retrainDone();
      else watch.monitor.retrainFailed();
    }
    // Half as many labels again, unless the verdict has said how many.
    else if (this.trialAt !== null && this.trialAt <= watch.labels) this.trialAt = Math.ceil(watch.labels * 1.5);
  }

  private async retrain(): Promise<TrainingResult> {
    const { promotion, onProgress } = this.parts;
    const { signal } = this.cancelling;
    return promotion.train(await this.recorded(), { signal, onProgress });
  }

  private async tryChampion(): Promise<void> {
    const { promotion, watch } = this.parts;
    const triedAt = this.trialAt;
    const verdict = await promotion.try(await this.recorded(), null, this.cancelling.signal);
    const needed = verdict.kind === 'strict' ? (verdict.gate?.neededLabels ?? null) : null;
    // Not if another champion has come meanwhile.
    if (verdict.installs === null && this.trialAt === triedAt && needed !== null && needed > 0)
      this.trialAt = watch.labels + needed;
  }

  private async recorded(): Promise<TrainingSeries[]> {
    const series = (await this.parts.series?.()) ?? [];
    if (series.length > 0) return series;
    throw new OrchestratorError('INSUFFICIENT_DATA', 'no recorded signals to train on', { field: 'series' });
  }
}
