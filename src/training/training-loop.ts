import { MessageChannel, Worker } from 'node:worker_threads';
import { type Remote, releaseProxy, transfer, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { Clock } from '../clock.js';
import { fromErrorRecord, OrchestratorError } from '../errors.js';
import type { Logger } from '../log.js';
import { decodeBundle } from '../model/bundle-codec.js';
import type { TrainingProgress } from './train-model.js';
import type { TrainingPlan } from './training-plan.js';
import { TrainingResult } from './training-result.js';
import { atWholeSeconds, type TrainingSeries } from './training-series.js';
import { type Reply, type TrainingService, toSeriesMessage } from './training-service.js';
import type { TrialRequest, TrialResult } from './trial.js';

export interface TrainOptions {
  onProgress?: (progress: TrainingProgress) => void;
  /** Cancels between boosting rounds; the promise rejects with TRAINING_CANCELLED. */
  signal?: AbortSignal;
  /** Number of this training among those of the same instruments, default 1. */
  attempt?: number;
  /** File of the serving bundle, which defends its place if it has trees. */
  incumbent?: Uint8Array;
  /** Error the promotion gate may spend on a challenger; absent or null: none, so it stays a candidate. */
  alpha?: number | null;
  /** Newest bar of the last test that was taken; absent or null for none. */
  testedUntilNs?: bigint | null;
  /** Install what is trained, whatever the tests say; recorded as such. */
  force?: boolean;
}

/** What a caller may ask of a training; the rest follows from what serves and what was tested. */
export type TrainingWishes = Pick<TrainOptions, 'onProgress' | 'signal' | 'force'>;

export interface TrainingLoopOptions {
  readonly plan: TrainingPlan;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Trainings that may wait behind the running one. */
  readonly queuedMax: number;
  /** The thread to train on; tests put a faulty one here. */
  readonly workerUrl?: URL;
}

interface Thread {
  readonly worker: Worker;
  readonly service: Remote<TrainingService>;
  /** Rejects when the thread ends. */
  readonly ended: Promise<never>;
}

/** The models of a trial; see {@link runTrial}. */
export type TrialModels = Pick<TrialRequest, 'champion' | 'candidate'>;

/** What a trial may spend, and what was tested before it. */
export type TrialBudget = Pick<TrialRequest, 'alpha' | 'testedUntilNs'>;

/** The thread, to who has his turn. */
export interface TrainingTurn {
  train(series: TrainingSeries | readonly TrainingSeries[], options?: TrainOptions): Promise<TrainingResult>;
  /** Puts a model that is there already to the strict test, within the budget. */
  try(series: readonly TrainingSeries[], models: TrialModels, budget: TrialBudget): Promise<TrialResult>;
}

const WORKER_URL = new URL('../../workers/training.worker.js', import.meta.url);

/**
 * Trains in the training worker, one model at a time with a bounded queue behind it. The thread starts with the first training, is replaced when it dies or the
 * library in it fails, and ends when nothing is left to train, which gives its memory back.
 */
export class TrainingLoop {
  private readonly options: TrainingLoopOptions;
  private readonly closing = new AbortController();
  private thread: Thread | null = null;
  private tail: Promise<unknown> = Promise.resolve();
  private pendingCount = 0;

  constructor(options: TrainingLoopOptions) {
    this.options = options;
  }

  /**
   * Trains on the series, pooled in time. Rejects with the `code` of what went wrong: bad input or INSUFFICIENT_DATA, TRAINING_QUEUE_FULL, TRAINING_CANCELLED,
   * TRAINING_WORKER_DIED, BOOSTER_FAILED, or STOPPED after {@link close}.
   */
  train(series: TrainingSeries | readonly TrainingSeries[], options: TrainOptions = {}): Promise<TrainingResult> {
    return this.inTurn(options.signal, (turn) => turn.train(series, options));
  }

  /** Runs work on the thread when all work before it is done, and nothing else until it is done itself. Rejects as {@link train} does. */
  async inTurn<T>(cancel: AbortSignal | undefined, work: (turn: TrainingTurn) => Promise<T>): Promise<T> {
    if (this.closing.signal.aborted) throw stopped();
    if (this.pendingCount > this.options.queuedMax) {
      throw new OrchestratorError('TRAINING_QUEUE_FULL', `${this.options.queuedMax} trainings are waiting already`);
    }
    this.pendingCount++;
    const signal = AbortSignal.any([this.closing.signal, ...(cancel ? [cancel] : [])]);
    const before = this.tail;
    const turn = Promise.race([before, abortOf(signal)]).then(() =>
      work({
        train: (series, options = {}) => this.trainNow(this.rounded(listed(series)), options, signal),
        try: (series, models, budget) => this.tryNow(this.rounded(listed(series)), models, budget, signal),
      }),
    );
    this.tail = Promise.allSettled([before, turn]);
    try {
      return await turn;
    } finally {
      this.pendingCount--;
      if (this.pendingCount === 0) await this.endThread();
    }
  }

  /** Cancels what runs and what waits, and ends the thread. Idempotent. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.tail;
    await this.endThread();
  }

  private async trainNow(
    series: readonly TrainingSeries[],
    options: TrainOptions,
    signal: AbortSignal,
  ): Promise<TrainingResult> {
    const cancel = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const onAbort = (): void => void Atomics.store(new Int32Array(cancel), 0, 1);
    signal.addEventListener('abort', onAbort, { once: true });
    const { port1, port2 } = new MessageChannel();
    port1.on('message', (progress: TrainingProgress) => this.tell(options.onProgress, progress));
    const message = {
      series: series.map(toSeriesMessage),
      plan: this.options.plan,
      createdAtNs: this.options.clock.epochNs(),
      attempt: options.attempt ?? 1,
      incumbent: options.incumbent ?? null,
      alpha: options.alpha ?? null,
      testedUntilNs: options.testedUntilNs ?? null,
      force: options.force ?? false,
    };
    try {
      const ask = (service: Remote<TrainingService>) => service.train(message, cancel, transfer(port2, [port2]));
      const { bundle, report } = await this.ask(signal, ask, true);
      return new TrainingResult(decodeBundle(bundle), report);
    } finally {
      port1.close();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** With times as live bars and signals have them. */
  private rounded(series: readonly TrainingSeries[]): readonly TrainingSeries[] {
    return series.map((one) => {
      const rounded = atWholeSeconds(one);
      const { instrumentId } = one;
      if (rounded !== one)
        this.options.logger.warn({ instrumentId }, 'times just before a whole second count as that second');
      return rounded;
    });
  }

  private tryNow(
    series: readonly TrainingSeries[],
    models: TrialModels,
    budget: TrialBudget,
    signal: AbortSignal,
  ): Promise<TrialResult> {
    const message = { ...models, ...budget, series: series.map(toSeriesMessage), plan: this.options.plan };
    // A trial has no step between which it could look: its thread is ended under it.
    return this.ask(signal, (service) => service.try(message), false);
  }

  private async ask<T>(
    signal: AbortSignal,
    question: (service: Remote<TrainingService>) => Promise<Reply<T>>,
    isCooperative: boolean,
  ): Promise<T> {
    if (signal.aborted) throw this.cancellation();
    this.thread ??= this.startThread();
    const { service, ended } = this.thread;
    try {
      const reply = await Promise.race([question(service), ended, this.abortionOf(isCooperative ? null : signal)]);
      if (reply.kind === 'done') return reply.result;
      throw reply.error.code === 'TRAINING_CANCELLED' ? this.cancellation() : fromErrorRecord(reply.error);
    } catch (error) {
      // After a failure inside the library its memory is undefined: the next training gets a new thread.
      await this.endThread();
      throw error;
    }
  }

  private startThread(): Thread {
    const worker = new Worker(this.options.workerUrl ?? WORKER_URL, { stderr: true });
    worker.stderr.on('data', (text: Buffer) =>
      this.options.logger.debug({ text: text.toString().trim() }, 'training thread'),
    );
    const ended = new Promise<never>((_resolve, reject) => {
      worker.once('error', (error) => reject(workerDied(error.message, error)));
      worker.once('exit', (exitCode) => reject(workerDied(`it exited with ${exitCode}`)));
    });
    // Between trainings nobody waits for the end of the thread.
    ended.catch(() => undefined);
    return { worker, service: wrap<TrainingService>(nodeEndpoint(worker)), ended };
  }

  private async endThread(): Promise<void> {
    const thread = this.thread;
    if (thread === null) return;
    this.thread = null;
    thread.service[releaseProxy]();
    await thread.worker.terminate();
  }

  /** A listener that throws would end the process from inside the port's event: it is logged instead. */
  private tell(listener: TrainOptions['onProgress'], progress: TrainingProgress): void {
    try {
      listener?.(progress);
    } catch (error) {
      this.options.logger.error({ reason: String(error) }, 'a progress listener threw');
    }
  }

  private abortionOf(signal: AbortSignal | null): Promise<never> {
    return new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(this.cancellation()), { once: true });
    });
  }

  private cancellation(): OrchestratorError {
    return this.closing.signal.aborted
      ? stopped()
      : new OrchestratorError('TRAINING_CANCELLED', 'the training was cancelled');
  }
}

function listed(series: TrainingSeries | readonly TrainingSeries[]): readonly TrainingSeries[] {
  const all: readonly TrainingSeries[] = Array.isArray(series) ? series : [series as TrainingSeries];
  if (all.length > 0) return all;
  throw new OrchestratorError('INSUFFICIENT_DATA', 'training needs at least one series', { field: 'series' });
}

/** Resolves when the signal aborts, so that what waits in the queue need not wait for its turn. */
function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function workerDied(reason: string, cause?: unknown): OrchestratorError {
  return new OrchestratorError('TRAINING_WORKER_DIED', `the training thread died: ${reason}`, { cause });
}

function stopped(): OrchestratorError {
  return new OrchestratorError('STOPPED', 'the training loop is closed');
}
