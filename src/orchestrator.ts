import { EventEmitter } from 'eventemitter3';
import { type Clock, systemClock } from './clock.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from './config.js';
import { OrchestratorError, toErrorRecord } from './errors.js';
import type { FeatureSet } from './features/feature-set.js';
import { Admission } from './inference/admission.js';
import { AnswerCounts, type AnswerTotals } from './inference/answer-counts.js';
import { Enricher } from './inference/enricher.js';
import { ModelSlot } from './inference/served-model.js';
import { createLogger, type Logger } from './log.js';
import type { Bar } from './market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from './market/events.js';
import type { ModelBundle } from './model/bundle.js';
import { decodeBundle, encodeBundle } from './model/bundle-codec.js';
import { ModelPersistence } from './model/persistence.js';
import type { Verdict } from './retrain/promotion-gate.js';
import { BarStore } from './store/bar-store.js';
import type { TrainingProgress } from './training/train-model.js';
import { TrainingAttempts } from './training/training-attempts.js';
import { TrainingLoop, type TrainOptions } from './training/training-loop.js';
import { featureSetOf, trainingPlanOf } from './training/training-plan.js';
import type { TrainingResult } from './training/training-result.js';
import type { TrainingSeries } from './training/training-set.js';

/** What the orchestrator tells those who listen. A listener that throws is logged and changes nothing. */
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
}

type Lifecycle = 'new' | 'started' | 'stopped';

/** Enriches primary signals, trains the meta-model and swaps it. One instance a process; every method belongs to the main thread. */
export class ML4TOrchestrator {
  readonly config: OrchestratorConfig;
  readonly events = new EventEmitter<OrchestratorEvents>();
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly featureSet: FeatureSet;
  private readonly store: BarStore;
  private readonly admission: Admission;
  private readonly enricher: Enricher;
  private readonly counts: AnswerCounts;
  private readonly training: TrainingLoop;
  private readonly persistence: ModelPersistence | null;
  private readonly slot = new ModelSlot();
  private readonly attempts = new TrainingAttempts();
  private lifecycle: Lifecycle = 'new';
  private warnedOfNoModel = false;
  /** Publications happen one after the other, in the order they were asked for. */
  private publishing: Promise<unknown> = Promise.resolve();

  /** Throws CONFIG_INVALID with every invalid value. */
  constructor(config: OrchestratorConfigInput = {}, dependencies: OrchestratorDependencies = {}) {
    this.config = OrchestratorConfig.parse(config);
    this.clock = dependencies.clock ?? systemClock;
    this.logger = dependencies.logger ?? createLogger();
    const plan = trainingPlanOf(this.config);
    this.featureSet = featureSetOf(plan);
    this.store = new BarStore({ ...this.config.store, vpin: this.config.vpin });
    this.admission = new Admission(this.store, this.featureSet);
    this.enricher = new Enricher(this.config, this.store, this.featureSet, this.clock);
    this.counts = new AnswerCounts(this.config.latencyBudgetMs);
    const { modelPath, training } = this.config;
    this.training = new TrainingLoop({ plan, clock: this.clock, logger: this.logger, queuedMax: training.queuedMax });
    this.persistence = modelPath === null ? null : new ModelPersistence(modelPath, this.logger);
  }

  /** Takes up the stored model, if there is a usable one. Idempotent; throws STOPPED after {@link stop}. */
  async start(): Promise<void> {
    if (this.lifecycle === 'stopped') throw stopped();
    if (this.lifecycle === 'started') return;
    this.lifecycle = 'started';
    const stored = (await this.persistence?.loadCurrent()) ?? null;
    if (stored === null) return;
    try {
      this.checkFeatures(stored);
      this.publish(stored);
    } catch (error) {
      const { code, message } = toErrorRecord(error, 'MODEL_CORRUPT');
      this.logger.error({ code, reason: message }, 'the stored model cannot be used; starting without one');
    }
  }

  /** Cancels training, finishes publications and refuses everything after. Idempotent. */
  async stop(): Promise<void> {
    if (this.lifecycle === 'stopped') return;
    this.lifecycle = 'stopped';
    await this.training.close();
    await this.publishing;
    this.events.removeAllListeners();
  }

  /** Adds a closed bar to an instrument's history; an equal known one is skipped. Throws the bar's fault, BAR_CONFLICT, BAR_OUT_OF_ORDER, INSTRUMENTS_MAX. */
  addBar(instrumentId: string, bar: Bar): void {
    this.checkStarted();
    this.store.append(instrumentId, bar);
  }

  /** The answer to one signal. Rejects, before anything is stored of it, with INVALID_SIGNAL, MISSING_FEATURE or the fault of its bars. */
  async processSignal(event: SignalEvent): Promise<EnrichedSignalEvent> {
    return this.processSignalSync(event);
  }

  /** As {@link processSignal}, at once and on the caller's stack. */
  processSignalSync(event: SignalEvent): EnrichedSignalEvent {
    const startNs = this.clock.monotonicNs();
    this.checkStarted();
    const { current } = this.slot;
    try {
      const enrichment = this.enricher.enrich(this.admission.admit(event), current, startNs);
      this.counts.countAnswer(enrichment);
      if (current === null) this.warnOfNoModel();
      this.emit('enriched', enrichment.answer);
      return enrichment.answer;
    } catch (error) {
      if (error instanceof OrchestratorError) this.counts.countRefusal(error.code);
      throw error;
    }
  }

  /** Trains in the background on the series and publishes what the verdict installs. Rejects as {@link TrainingLoop.train} and {@link hotSwapModel} do. */
  async train(
    series: TrainingSeries | readonly TrainingSeries[],
    options: Omit<TrainOptions, 'incumbent' | 'attempt'> = {},
  ): Promise<TrainingResult> {
    this.checkStarted();
    const { current } = this.slot;
    const result = await this.training.train(series, {
      ...options,
      attempt: this.attempts.next(series),
      ...(current === null ? {} : { incumbent: encodeBundle(current.bundle) }),
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

  /** Validates, persists, then publishes a bundle; answers begun before keep the old one. Rejects with MODEL_FEATURES_DIFFER, MODEL_NOT_SAVED or the bundle's fault; the old model then stays. */
  async hotSwapModel(bundle: ModelBundle | Uint8Array): Promise<void> {
    this.checkStarted();
    const bytes = bundle instanceof Uint8Array ? bundle : encodeBundle(bundle);
    const valid = decodeBundle(bytes);
    this.checkFeatures(valid);
    const turn = this.publishing.then(async () => {
      await this.persistence?.save(bytes);
      this.publish(valid);
    });
    this.publishing = turn.catch(() => undefined);
    await turn;
  }

  /** The bundle in service, null before any. */
  get model(): ModelBundle | null {
    return this.slot.current?.bundle ?? null;
  }

  get totals(): AnswerTotals {
    return this.counts.totals;
  }

  private publish(bundle: ModelBundle): void {
    const from = this.model?.modelId ?? '';
    const { generation } = this.slot.publish(bundle);
    this.emit('modelSwapped', { generation, modelId: bundle.modelId, from });
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
    if (this.lifecycle === 'new') throw new OrchestratorError('NOT_STARTED', 'call start() first');
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
      this.logger.error({ event, reason: String(error) }, 'a listener threw');
    }
  }
}

function stopped(): OrchestratorError {
  return new OrchestratorError('STOPPED', 'the orchestrator was stopped');
}
