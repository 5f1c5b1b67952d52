import { setImmediate as nextTurn } from 'node:timers/promises';
import { EventEmitter } from 'eventemitter3';
import { answerSink } from './answer-sink.js';
import type { BusMetrics, MessageBus } from './bus/message-bus.js';
import { openBus } from './bus/open-bus.js';
import { type Clock, systemClock } from './clock.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from './config.js';
import { Entrance } from './entrance.js';
import { OrchestratorError } from './errors.js';
import type { FeatureSet } from './features/feature-set.js';
import { Admission, type AdmittedSignal } from './inference/admission.js';
import { AnswerCounts, type AnswerTotals } from './inference/answer-counts.js';
import { DataPlane, type DispatchMetrics } from './inference/data-plane.js';
import { createLogger, type Logger } from './log.js';
import { checkFeatures } from './loop/check-features.js';
import type { ClosedLoop } from './loop/closed-loop.js';
import type { RestoredState } from './loop/loop-events.js';
import { type OpenedLoop, openLoop } from './loop/open-loop.js';
import type { Bar } from './market/bar.js';
import type { EnrichedSignalEvent, OutcomeEvent, SignalEvent } from './market/events.js';
import { type RoundedTimeCounts, RoundedTimes } from './market/rounded-times.js';
import type { ModelBundle } from './model/bundle.js';
import { decodeBundle, encodeBundle } from './model/bundle-codec.js';
import type { OrchestratorEvents } from './orchestrator-events.js';
import type { SuppliedOutcome } from './outcomes/outcome-event.js';
import type { RetrainMonitorStatus } from './retrain/retrain-monitor.js';
import type { Verdict } from './retrain/verdict.js';
import { FeatureStoreWriter } from './shared-memory/feature-store-writer.js';
import type { ModelRecord } from './state/records.js';
import type { StateMetrics } from './state/state-store.js';
import { TrainingLoop, type TrainingWishes } from './training/training-loop.js';
import { featureSetOf, trainingPlanOf } from './training/training-plan.js';
import type { TrainingResult } from './training/training-result.js';
import type { TrainingSeries } from './training/training-series.js';
import type { LookAheadFigures } from './validation/look-ahead.js';

export interface OrchestratorDependencies {
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** The module an inference thread runs; tests put a faulty one here. */
  readonly inferenceWorkerUrl?: URL;
}

/** Signals of a batch that are admitted before other events have their turn: some milliseconds of work. */
const ADMITTED_PER_TURN = 1000;
/** Clocks differ and replays may use another one, but a bar that is a year ahead has its time in another unit. */
export const FUTURE_NS_MAX = 365n * 86_400_000_000_000n;

type Lifecycle = 'new' | 'starting' | 'started' | 'stopped';

/** Enriches primary signals, trains the meta-model and swaps it. One instance a process; every method belongs to the main thread. */
export class ML4TOrchestrator {
  readonly config: OrchestratorConfig;
  readonly events = new EventEmitter<OrchestratorEvents>();
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly featureSet: FeatureSet;
  private readonly times: RoundedTimes;
  private readonly store: FeatureStoreWriter;
  private readonly entrance: Entrance;
  private readonly plane: DataPlane;
  private readonly counts: AnswerCounts;
  private readonly training: TrainingLoop;
  /** From the middle of {@link start} on. */
  private opened: OpenedLoop | null = null;
  private bus: MessageBus | null = null;
  private lifecycle: Lifecycle = 'new';
  private starting: Promise<void> | null = null;
  private stopping: Promise<void> | null = null;

  /** Throws CONFIG_INVALID with every invalid value. */
  constructor(config: OrchestratorConfigInput = {}, dependencies: OrchestratorDependencies = {}) {
    this.config = OrchestratorConfig.parse(config);
    this.clock = dependencies.clock ?? systemClock;
    this.logger = dependencies.logger ?? createLogger();
    const plan = trainingPlanOf(this.config);
    this.featureSet = featureSetOf(plan);
    this.times = new RoundedTimes((kind, givenNs) =>
      this.logger.warn({ kind, given: String(givenNs) }, 'times just before a whole second count as that second'),
    );
    this.store = new FeatureStoreWriter({
      ...this.config.store,
      times: this.times,
      vpin: this.config.vpin,
      latestNs: () => this.clock.epochNs() + FUTURE_NS_MAX,
      onAppended: (instrument, sequence) => this.opened?.loop.barAppended(instrument, sequence),
    });
    this.counts = new AnswerCounts(this.config.latencyBudgetMs);
    this.plane = new DataPlane({
      config: this.config,
      store: this.store,
      featureSet: this.featureSet,
      clock: this.clock,
      logger: this.logger,
      workerUrl: dependencies.inferenceWorkerUrl,
      listener: answerSink({
        config: this.config,
        counts: this.counts,
        logger: this.logger,
        book: () => this.opened!.loop.book,
        announce: (answer) => this.emit('enriched', answer),
      }),
    });
    this.entrance = new Entrance({
      store: this.store,
      admission: new Admission(this.store, this.featureSet, this.config.barAgeMaxNs, this.times),
      plane: this.plane,
      counts: this.counts,
      clock: this.clock,
      journal: () => this.opened?.state?.journal ?? null,
      checkStarted: () => this.checkStarted(),
    });
    const { queuedMax } = this.config.training;
    this.training = new TrainingLoop({ plan, clock: this.clock, logger: this.logger, queuedMax });
  }

  /**
   * Takes up what was recorded under `dataDir`, or the model under `modelPath`, and brings up the inference workers. Idempotent. Throws STOPPED after {@link stop}, and
   * DATA_DIR_IN_USE, DATA_DIR_UNUSABLE, STORE_DAMAGED or STORE_VERSION_UNKNOWN for a data directory that cannot be had.
   */
  async start(): Promise<void> {
    if (this.lifecycle === 'stopped') throw stopped();
    if (this.lifecycle === 'new') this.lifecycle = 'starting';
    this.starting ??= this.bringUp();
    await this.starting;
  }

  /**
   * Cancels training, answers the signals on their way, for half a second at most, and refuses everything after; what is then left is rejected with STOPPED.
   * Waits until what was accepted is durable; throws STORE_WRITE_FAILED when that cannot be. Idempotent.
   */
  async stop(): Promise<void> {
    this.lifecycle = 'stopped';
    this.stopping ??= this.shutDown();
    await this.stopping;
  }

  /** Adds a closed bar to an instrument's history; an equal known one is skipped. Throws the bar's fault, BAR_CONFLICT, BAR_OUT_OF_ORDER, INSTRUMENTS_MAX, INVALID_INSTRUMENT, STORE_BEHIND. */
  addBar(instrumentId: string, bar: Bar): void {
    this.entrance.addBar(instrumentId, bar);
  }

  /**
   * The answer to one signal, by its deadline, from the bars that are stored by now: one that
   * closes at its time has to be added before. Rejects, before anything is stored of it, with
   * INVALID_SIGNAL, MISSING_FEATURE or the fault of its bars; with OVERLOADED while
   * `outstandingMax` signals are on their way; with STOPPED if {@link stop} comes first. Answers of
   * one instrument come in the order of their signals.
   */
  processSignal(event: SignalEvent): Promise<EnrichedSignalEvent> {
    return this.entrance.answer(event);
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
      admitted.push(this.entrance.admit(event, `events[${index}]`));
    }
    this.checkStarted();
    return this.plane.submitBatch(admitted);
  }

  /** As {@link processSignal}, at once and on the caller's stack: it overtakes signals of the same instrument that still wait. */
  processSignalSync(event: SignalEvent): EnrichedSignalEvent {
    const startNs = this.clock.monotonicNs();
    return this.plane.answerNow(this.entrance.admit(event), startNs);
  }

  /**
   * Trains in the background on the series and publishes what the verdict installs. While a model with trees serves, what is trained has to pass the promotion gate on the
   * newest bars of the series, which it is not trained on; else it is kept as a candidate. Rejects as {@link TrainingLoop.train} and {@link hotSwapModel} do.
   */
  async train(
    series: TrainingSeries | readonly TrainingSeries[],
    options: TrainingWishes = {},
  ): Promise<TrainingResult> {
    return this.running().promotion.train(series, {
      ...options,
      onProgress: (progress) => {
        options.onProgress?.(progress);
        this.emit('trainingProgress', progress);
      },
    });
  }

  /** Validates, persists, then publishes a bundle: signals sent after it resolves are answered with it, none is delayed or lost. Rejects with MODEL_FEATURES_DIFFER, MODEL_NOT_SAVED or the bundle's fault; the old model then stays. */
  async hotSwapModel(bundle: ModelBundle | Uint8Array): Promise<void> {
    const { keeper } = this.running();
    // A copy: the caller's bytes may change before their turn to be published comes.
    const bytes = bundle instanceof Uint8Array ? new Uint8Array(bundle) : encodeBundle(bundle);
    checkFeatures(decodeBundle(bytes), this.featureSet);
    await keeper.install(bytes, 'swapped');
  }

  /** Retrains now on what is recorded, as a due retrain would. Rejects as {@link train} does, and with NO_DATA_DIR. */
  async retrain(): Promise<TrainingResult> {
    return this.running().retrainer.request();
  }

  /** Resolves when nothing is trained, tried or swapped in the background. */
  async idle(): Promise<void> {
    await this.running().idle();
  }

  /** Stops a retrain or trial that runs in the background at its next step; the champion stays. */
  cancelRetrain(): void {
    this.running().retrainer.cancel();
  }

  /** Puts a kept model to the strict test on what neither it nor the champion has seen, or with `force` installs it untested, recorded as such. Rejects with NO_SUCH_MODEL, NO_DATA_DIR or as {@link train} does. */
  async promote(modelId: string, options: { force?: boolean } = {}): Promise<Verdict> {
    const { keeper, promotion, retrainer } = this.running();
    const bytes = await keeper.bytesOf(modelId);
    checkFeatures(decodeBundle(bytes), this.featureSet);
    return options.force === true ? promotion.force(bytes) : retrainer.tryCandidate(bytes);
  }

  /** Puts the champion before back in service. Rejects with NO_PREVIOUS_MODEL. */
  async rollback(): Promise<void> {
    await this.running().rollback('manual');
  }

  /** How a signal truly ended, while its horizon is open; see {@link OutcomeLedger.recordOutcome}. */
  recordOutcome(signalId: string, outcome: SuppliedOutcome): OutcomeEvent {
    return this.running().recordOutcome(signalId, outcome);
  }

  /** Models that are known, newest first. */
  get models(): readonly ModelRecord[] {
    return this.running().keeper.models;
  }

  /** What the monitor of the champion shows. */
  get monitorStatus(): RetrainMonitorStatus {
    return this.running().watch.monitor.status;
  }

  /**
   * Whether live sides seem to know the bar that their outcomes begin with: of the newest closed
   * signals; null before enough have closed.
   */
  get lookAhead(): LookAheadFigures | null {
    return this.running().lookAhead.figures;
  }

  /** What {@link start} found under `dataDir`; null without one. */
  get restored(): RestoredState | null {
    return this.opened?.restored ?? null;
  }

  /** Sizes and health of the durable state; null without one. */
  get stateMetrics(): StateMetrics | null {
    return this.opened?.state?.metrics() ?? null;
  }

  /** The bundle in service, null before any. */
  get model(): ModelBundle | null {
    return this.plane.model;
  }

  get totals(): AnswerTotals {
    return this.counts.totals;
  }

  /** Live closes and signal times within 1 ms before a whole second, which count as that second. */
  get roundedTimes(): RoundedTimeCounts {
    return this.times.counts;
  }

  get dispatchMetrics(): DispatchMetrics {
    return this.plane.metrics;
  }

  /** What the message bus has brought and taken; null without one. */
  get busMetrics(): BusMetrics | null {
    return this.bus?.metrics ?? null;
  }

  private async bringUp(): Promise<void> {
    const { config, clock, logger, store, featureSet, training } = this;
    const opened = await openLoop({
      ...{ config, clock, logger, store, featureSet, training },
      publish: (bundle, bytes) => this.plane.publish(bundle, bytes),
      generation: () => this.plane.generation,
      busPosition: () => this.bus?.position ?? null,
      onLateBar: () => this.counts.countLateBar(),
      emit: (event, ...parameters) => this.emit(event, ...parameters),
      onPublished: (from) => this.announceSwap(from),
    });
    this.opened = opened;
    const { keeper, generationBefore } = opened.loop;
    await this.plane.start(keeper.champion, generationBefore);
    if (keeper.champion !== null) this.announceSwap('');
    if (this.lifecycle === 'starting') this.lifecycle = 'started';
    opened.loop.resume();
    const position = opened.state?.snapshot?.bus ?? null;
    this.bus = openBus({ config, clock, logger, position, target: this.entrance, emit: this.emit.bind(this) });
    if (this.lifecycle === 'started') this.bus?.start();
  }

  private async shutDown(): Promise<void> {
    await this.starting?.catch(() => undefined);
    await this.bus?.stop();
    // A decision may wait for a disk that takes nothing: only the closed store lets go of it.
    const trained = this.training.close();
    await this.plane.stop(stopped());
    await this.opened?.loop.stop();
    this.events.removeAllListeners();
    await Promise.all([this.opened?.state?.close(), trained]);
  }

  private announceSwap(from: string): void {
    const { generation } = this.plane;
    this.emit('modelSwapped', { generation, modelId: this.model?.modelId ?? '', from });
  }

  private running(): ClosedLoop {
    this.checkStarted();
    return this.opened!.loop;
  }

  private checkStarted(): void {
    if (this.lifecycle === 'stopped') throw stopped();
    if (this.lifecycle !== 'started') throw new OrchestratorError('NOT_STARTED', 'wait for start() first');
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
