import { setImmediate as nextTurn } from 'node:timers/promises';
import { EventEmitter } from 'eventemitter3';
import { type Clock, systemClock } from './clock.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from './config.js';
import { OrchestratorError, toErrorRecord } from './errors.js';
import type { FeatureSet } from './features/feature-set.js';
import { Admission, type AdmittedSignal } from './inference/admission.js';
import { AnswerCounts, type AnswerTotals } from './inference/answer-counts.js';
import { DataPlane, type DispatchMetrics } from './inference/data-plane.js';
import { createLogger, type Logger } from './log.js';
import type { Bar } from './market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from './market/events.js';
import type { ModelBundle } from './model/bundle.js';
import { decodeBundle, encodeBundle } from './model/bundle-codec.js';
import { ModelPersistence } from './model/persistence.js';
import type { Verdict } from './retrain/promotion-gate.js';
import { FeatureStoreWriter } from './shared-memory/feature-store-writer.js';
import type { TrainingProgress } from './training/train-model.js';
import { TrainingAttempts } from './training/training-attempts.js';
import { TrainingLoop, type TrainOptions } from './training/training-loop.js';
import { featureSetOf, trainingPlanOf } from './training/training-plan.js';
import type { TrainingResult } from './training/training-result.js';
import type { TrainingSeries } from './training/training-set.js';

/** What the orchestrator tells those who listen. A listener that throws is logged; it keeps the event from those after it, and changes nothing else. */
export interface OrchestratorEvents {
  enriched: (answer: EnrichedSignalEvent) => void;
  trainingProgress: (progress: TrainingProgress) => void;
  verdict: (verdict: Verdict) => void;
  /** `from`: the model id served before, '' for none. */
  modelSwapped: (swap: { generation: number; modelId: string; from: string }) => void;
}

export interface OrchestratorDependencies {
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** The module an inference thread runs; tests put a faulty one here. */
  readonly inferenceWorkerUrl?: URL;
}

/** Signals of a batch that are admitted before other events have their turn: some milliseconds of work. */
const ADMITTED_PER_TURN = 1000;

type Lifecycle = 'new' | 'starting' | 'started' | 'stopped';

/** Enriches primary signals, trains the meta-model and swaps it. One instance a process; every method belongs to the main thread. */
export class ML4TOrchestrator {
  readonly config: OrchestratorConfig;
  readonly events = new EventEmitter<OrchestratorEvents>();
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly featureSet: FeatureSet;
  private readonly store: FeatureStoreWriter;
  private readonly admission: Admission;
  private readonly plane: DataPlane;
  private readonly counts: AnswerCounts;
  private readonly training: TrainingLoop;
  private readonly persistence: ModelPersistence | null;
  private readonly attempts = new TrainingAttempts();
  private lifecycle: Lifecycle = 'new';
  private warnedOfNoModel = false;
  private starting: Promise<void> | null = null;
  private stopping: Promise<void> | null = null;
  /** Publications happen one after the other, in the order they were asked for. */
  private publishing: Promise<unknown> = Promise.resolve();

  /** Throws CONFIG_INVALID with every invalid value. */
  constructor(config: OrchestratorConfigInput = {}, dependencies: OrchestratorDependencies = {}) {
    this.config = OrchestratorConfig.parse(config);
    this.clock = dependencies.clock ?? systemClock;
    this.logger = dependencies.logger ?? createLogger();
    const plan = trainingPlanOf(this.config);
    this.featureSet = featureSetOf(plan);
    this.store = new FeatureStoreWriter({ ...this.config.store, vpin: this.config.vpin });
    this.admission = new Admission(this.store, this.featureSet, this.config.barAgeMaxNs);
    this.counts = new AnswerCounts(this.config.latencyBudgetMs);
    this.plane = new DataPlane({
      config: this.config,
      store: this.store,
      featureSet: this.featureSet,
      clock: this.clock,
      logger: this.logger,
      workerUrl: dependencies.inferenceWorkerUrl,
      onAnswered: (answer) => this.answered(answer),
    });
    const { modelPath, training } = this.config;
    this.training = new TrainingLoop({ plan, clock: this.clock, logger: this.logger, queuedMax: training.queuedMax });
    this.persistence = modelPath === null ? null : new ModelPersistence(modelPath, this.logger);
  }

  /** Takes up the stored model, if there is a usable one, and brings up the inference workers. Idempotent; throws STOPPED after {@link stop}. */
  async start(): Promise<void> {
    if (this.lifecycle === 'stopped') throw stopped();
    if (this.lifecycle === 'new') this.lifecycle = 'starting';
    this.starting ??= this.bringUp();
    await this.starting;
  }

  /**
   * Cancels training, answers the signals on their way, for half a second at most, and refuses everything after; what is then left is rejected with STOPPED.
   * Idempotent.
   */
  async stop(): Promise<void> {
    this.lifecycle = 'stopped';
    this.stopping ??= this.shutDown();
    await this.stopping;
  }

  /** Adds a closed bar to an instrument's history; an equal known one is skipped. Throws the bar's fault, BAR_CONFLICT, BAR_OUT_OF_ORDER, INSTRUMENTS_MAX, INVALID_INSTRUMENT. */
  addBar(instrumentId: string, bar: Bar): void {
    this.checkStarted();
    this.store.append(instrumentId, bar);
  }

  /**
   * The answer to one signal, by its deadline. Rejects, before anything is stored of it, with INVALID_SIGNAL, MISSING_FEATURE or the fault of its bars; with
   * OVERLOADED while `outstandingMax` signals are on their way; with STOPPED if {@link stop} comes first. Answers of one instrument come in the order of their signals.
   */
  processSignal(event: SignalEvent): Promise<EnrichedSignalEvent> {
    const startNs = this.clock.monotonicNs();
    // Not an async function: its promise around the promise costs a third of a microsecond.
    try {
      this.checkRoom();
      return this.plane.submit(this.admit(event), startNs);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Answers to many signals, in their order and without a deadline, for replays. All are admitted before any is answered; if one is refused, none is answered and the
   * error's `field` begins with its place, `events[3]`. A batch too large for one turn of the event loop is admitted in several, each signal seeing the bars that are
   * stored by then. A live signal of the same instrument does not wait for the batch beyond its own deadline.
   */
  async processSignals(events: readonly SignalEvent[]): Promise<EnrichedSignalEvent[]> {
    if (!Array.isArray(events)) {
      throw new OrchestratorError('INVALID_SIGNAL', 'events must be an array', { field: 'events' });
    }
    const admitted: AdmittedSignal[] = [];
    for (const [index, event] of events.entries()) {
      if (index > 0 && index % ADMITTED_PER_TURN === 0) await nextTurn();
      admitted.push(this.admit(event, `events[${index}]`));
    }
    this.checkStarted();
    return this.plane.submitBatch(admitted);
  }

  /** As {@link processSignal}, at once and on the caller's stack: it overtakes signals of the same instrument that still wait. */
  processSignalSync(event: SignalEvent): EnrichedSignalEvent {
    const startNs = this.clock.monotonicNs();
    return this.plane.answerNow(this.admit(event), startNs);
  }

  /** Trains in the background on the series and publishes what the verdict installs. Rejects as {@link TrainingLoop.train} and {@link hotSwapModel} do. */
  async train(
    series: TrainingSeries | readonly TrainingSeries[],
    options: Omit<TrainOptions, 'incumbent' | 'attempt'> = {},
  ): Promise<TrainingResult> {
    this.checkStarted();
    const { model } = this;
    const result = await this.training.train(series, {
      ...options,
      attempt: this.attempts.next(series),
      ...(model === null ? {} : { incumbent: encodeBundle(model) }),
      onProgress: (progress) => {
        options.onProgress?.(progress);
        this.emit('trainingProgress', progress);
      },
    });
    this.attempts.count(series);
    this.emit('verdict', result.report.verdict);
    if (result.model !== null) await this.hotSwapModel(result.model);
    return result;
  }

  /** Validates, persists, then publishes a bundle: signals sent after it resolves are answered with it, none is delayed or lost. Rejects with MODEL_FEATURES_DIFFER, MODEL_NOT_SAVED or the bundle's fault; the old model then stays. */
  async hotSwapModel(bundle: ModelBundle | Uint8Array): Promise<void> {
    this.checkStarted();
    // A copy: the caller's bytes may change before their turn to be published comes.
    const bytes = bundle instanceof Uint8Array ? new Uint8Array(bundle) : encodeBundle(bundle);
    const valid = decodeBundle(bytes);
    this.checkFeatures(valid);
    const turn = this.publishing.then(async () => {
      await this.persistence?.save(bytes);
      const from = this.model?.modelId ?? '';
      await this.plane.publish(valid, bytes);
      this.announceSwap(from);
    });
    this.publishing = turn.catch(() => undefined);
    await turn;
  }

  /** The bundle in service, null before any. */
  get model(): ModelBundle | null {
    return this.plane.model;
  }

  get totals(): AnswerTotals {
    return this.counts.totals;
  }

  get dispatchMetrics(): DispatchMetrics {
    return this.plane.metrics;
  }

  private bringUp(): Promise<void> {
    const up = (async () => {
      const stored = await this.loadStored();
      await this.plane.start(stored);
      if (stored !== null) this.announceSwap('');
      if (this.lifecycle === 'starting') this.lifecycle = 'started';
    })();
    this.publishing = up.catch(() => undefined);
    return up;
  }

  private async shutDown(): Promise<void> {
    await Promise.all([this.plane.stop(stopped()), this.training.close(), this.publishing]);
    this.events.removeAllListeners();
  }

  private async loadStored(): Promise<ModelBundle | null> {
    const stored = (await this.persistence?.loadCurrent()) ?? null;
    try {
      if (stored !== null) this.checkFeatures(stored);
      return stored;
    } catch (error) {
      const { code, message } = toErrorRecord(error, 'MODEL_CORRUPT');
      this.logger.error({ code, reason: message }, 'the stored model cannot be used; starting without one');
      return null;
    }
  }

  private checkRoom(): void {
    this.checkStarted();
    if (!this.plane.isFull) return;
    this.counts.countRefusal('OVERLOADED');
    throw new OrchestratorError('OVERLOADED', 'as many signals are on their way as `outstandingMax` allows');
  }

  private admit(event: SignalEvent, place?: string): AdmittedSignal {
    this.checkStarted();
    try {
      return this.admission.admit(event);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      this.counts.countRefusal(error.code);
      throw place === undefined ? error : error.within(place);
    }
  }

  private answered(answer: EnrichedSignalEvent): void {
    this.counts.countAnswer(answer);
    if (!answer.modelAvailable) this.warnOfNoModel();
    this.emit('enriched', answer);
  }

  private announceSwap(from: string): void {
    const { generation } = this.plane;
    this.emit('modelSwapped', { generation, modelId: this.model?.modelId ?? '', from });
  }

  private checkFeatures(bundle: ModelBundle): void {
    if (bundle.featureFingerprint !== this.featureSet.fingerprint) {
      throw new OrchestratorError(
        'MODEL_FEATURES_DIFFER',
        'the model was trained on other features than the configuration asks for',
        {
          field: 'featureNames',
        },
      );
    }
  }

  private checkStarted(): void {
    if (this.lifecycle === 'stopped') throw stopped();
    if (this.lifecycle !== 'started') throw new OrchestratorError('NOT_STARTED', 'wait for start() first');
  }

  private warnOfNoModel(): void {
    if (this.warnedOfNoModel) return;
    this.warnedOfNoModel = true;
    this.logger.warn(
      { defaultConfidence: this.config.defaultConfidence },
      'no model yet: signals are answered with the default confidence',
    );
  }

  private emit<E extends keyof OrchestratorEvents>(event: E, ...parameters: Parameters<OrchestratorEvents[E]>): void {
    try {
      (this.events.emit as (event: E, ...parameters: unknown[]) => boolean).call(this.events, event, ...parameters);
    } catch (error) {
      this.logger.error({ event, reason: error instanceof Error ? error.message : typeof error }, 'a listener threw');
    }
  }
}

function stopped(): OrchestratorError {
  return new OrchestratorError('STOPPED', 'the orchestrator was stopped');
}
