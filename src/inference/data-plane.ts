import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../clock.js';
import { type OrchestratorConfig, outstandingMaxOf, workerCountOf } from '../config.js';
import type { OrchestratorError } from '../errors.js';
import type { FeatureSet } from '../features/feature-set.js';
import type { Logger } from '../log.js';
import type { EnrichedSignalEvent } from '../market/events.js';
import type { ModelBundle } from '../model/bundle.js';
import { encodeBundle, MODEL_BYTES_MAX } from '../model/bundle-codec.js';
import { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import { ModelPublisher } from '../shared-memory/model-publisher.js';
import { ModelReader } from '../shared-memory/model-reader.js';
import { createModelSlots } from '../shared-memory/model-slots-layout.js';
import { createSignalRing } from '../shared-memory/signal-ring-layout.js';
import type { AdmittedSignal } from './admission.js';
import { AnswerDesk, type AnswerListener } from './answer-desk.js';
import { DispatchCosts } from './dispatch-costs.js';
import { SignalEvaluator } from './evaluator.js';
import { InferencePool } from './inference-pool.js';
import type { WorkerMetrics } from './inference-worker.js';
import { InlineEvaluation } from './inline-evaluation.js';
import { InlineLane } from './inline-lane.js';
import { ModelFollower } from './model-follower.js';
import { Rehearsal } from './rehearsal.js';
import { RingLane } from './ring-lane.js';
import { Router } from './router.js';

/** Time the workers get to warm up for a model before it is published all the same. */
const PREPARE_MS = 250;
/** Time signals on their way get to be answered when the data plane stops. */
const DRAIN_MS = 500;
const WAKE_UP_PROBES = 16;
/** After this a worker has answered its probe and sleeps. */
const PROBE_PAUSE_MS = 1;

/** Where signals were evaluated, and what that costs here. */
export interface DispatchMetrics {
  /** Signals evaluated on the main thread and by the workers; `processSignalSync` is not among them. */
  readonly inline: number;
  readonly pool: number;
  /** Signals on their way. */
  readonly held: number;
  /** Workers' answers that came after the signal's deadline, and were discarded. */
  readonly late: number;
  /** What an evaluation takes, exponentially weighted, and the way to a sleeping worker and back, its running median. */
  readonly evaluationNs: number;
  readonly wakeUpNs: number;
  /** Share of main's time that went into evaluating, over the last 10 ms. */
  readonly inlineShare: number;
  readonly workers: readonly WorkerMetrics[];
}

export interface DataPlaneParts {
  readonly config: OrchestratorConfig;
  readonly store: FeatureStoreWriter;
  readonly featureSet: FeatureSet;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly workerUrl?: URL | undefined;
  readonly listener: AnswerListener;
}

/** The parts between an admitted signal and its answer, joined: models, lanes, workers and the router over them. */
export class DataPlane {
  private readonly publisher: ModelPublisher;
  private readonly models: ModelFollower;
  private readonly inline: InlineEvaluation;
  private readonly inlineLane: InlineLane;
  private readonly ringLanes: readonly RingLane[];
  private readonly router: Router;
  private readonly costs: DispatchCosts;
  private readonly rehearsal: Rehearsal;
  private pool: InferencePool | null = null;
  private isStopped = false;
  private generationBefore = 0;

  constructor(private readonly parts: DataPlaneParts) {
    const { config, store, featureSet, clock } = parts;
    const workerCount = workerCountOf(config);
    const outstandingMax = outstandingMaxOf(config);
    const { columnCount } = featureSet;
    this.costs = new DispatchCosts(config);
    this.rehearsal = new Rehearsal(config, featureSet, clock);
    this.publisher = new ModelPublisher(createModelSlots(workerCount + 1, MODEL_BYTES_MAX));
    // Main reads models under the last reader id.
    this.models = new ModelFollower(new ModelReader(this.publisher.shared, workerCount), this.rehearsal);
    const desk = new AnswerDesk(config, store, clock, parts.listener);
    const evaluator = new SignalEvaluator(config, new FeatureStoreReader(store.shared), featureSet, clock);
    this.inline = new InlineEvaluation(this.models, evaluator, desk, parts.logger, columnCount);
    this.inlineLane = new InlineLane(this.inline, this.costs, clock, (pending, answer) =>
      this.router.settle(pending, answer),
    );
    this.ringLanes = Array.from({ length: workerCount }, () => {
      const ring = createSignalRing(outstandingMax, featureSet.user.length, columnCount);
      return new RingLane(ring, this.costs, clock, (pending, evaluation) =>
        this.router.settle(pending, desk.answer(pending.signal, evaluation, pending.startNs)),
      );
    });
    this.router = new Router({
      config,
      instrumentsMax: config.store.instrumentsMax,
      outstandingMax,
      inlineLane: this.inlineLane,
      ringLanes: this.ringLanes,
      costs: this.costs,
      clock,
      answerWithout: ({ signal, startNs }, degraded) =>
        desk.answerWithout(signal, this.models.current(), startNs, degraded),
    });
  }

  /** Warms up the main thread and brings up the workers, with the stored model if there is one; its generation is the one after `generationBefore`. */
  async start(stored: ModelBundle | null, generationBefore = 0): Promise<void> {
    this.generationBefore = generationBefore;
    const { config, store, clock, logger, workerUrl } = this.parts;
    this.rehearsal.runWithoutModel();
    if (stored !== null) await this.publish(stored, encodeBundle(stored));
    if (this.ringLanes.length === 0 || this.isStopped) return;
    this.pool = new InferencePool({
      config,
      data: { store: store.shared, models: this.publisher.shared, config },
      lanes: this.ringLanes,
      publisher: this.publisher,
      clock,
      logger,
      workerUrl,
      onBell: () => this.router.poll(),
    });
    await this.pool.start();
    await this.measureWakeUp();
  }

  /** Publishes a bundle, `bytes` being its file: every signal submitted after this resolves is answered with it or a newer one. One at a time. */
  async publish(bundle: ModelBundle, bytes: Uint8Array): Promise<void> {
    const generation = Math.max(this.generation, this.generationBefore) + 1;
    this.models.expect(generation, bundle);
    this.publisher.stage(bytes, generation);
    const prepared = this.pool?.prepare(PREPARE_MS);
    try {
      while (this.models.step()) await nextTurn();
      await prepared;
    } finally {
      // Getting used to a model is a courtesy: what goes wrong there does not keep the model out of service.
      this.publisher.switchToStaged();
    }
  }

  get model(): ModelBundle | null {
    return this.models.current()?.bundle ?? null;
  }

  /** Of the published bundle; 0 before any. */
  get generation(): number {
    return this.models.current()?.generation ?? 0;
  }

  get isFull(): boolean {
    return this.router.isFull;
  }

  submit(signal: AdmittedSignal, startNs: number): Promise<EnrichedSignalEvent> {
    return this.router.submit(signal, startNs);
  }

  submitBatch(signals: readonly AdmittedSignal[]): Promise<EnrichedSignalEvent[]> {
    return this.router.submitBatch(signals);
  }

  /** At once, before signals that wait. */
  answerNow(signal: AdmittedSignal, startNs: number): EnrichedSignalEvent {
    return this.inline.answer(signal, startNs);
  }

  /** Answers what is on its way, for a while; rejects the rest with the error; ends the threads. */
  async stop(error: OrchestratorError): Promise<void> {
    this.isStopped = true;
    let timer: NodeJS.Timeout | undefined;
    const overdue = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, DRAIN_MS);
    });
    await Promise.race([this.router.drained(), overdue]);
    clearTimeout(timer);
    this.router.rejectAll(error);
    await this.pool?.stop();
  }

  /** Sends empty requests to workers that sleep, so that routing begins with what waking one costs here. */
  private async measureWakeUp(): Promise<void> {
    for (let k = 0; k < WAKE_UP_PROBES && !this.isStopped; k++) {
      for (const lane of this.ringLanes) if (lane.isServed) lane.probe();
      this.router.poll();
      await pause(PROBE_PAUSE_MS);
    }
  }

  get metrics(): DispatchMetrics {
    const { costs } = this;
    return {
      inline: this.inlineLane.evaluatedCount,
      pool: this.ringLanes.reduce((sum, lane) => sum + lane.evaluatedCount, 0),
      held: this.router.heldCount,
      late: this.ringLanes.reduce((sum, lane) => sum + lane.lateCount, 0),
      evaluationNs: costs.evaluationNs,
      wakeUpNs: costs.wakeUpNs,
      inlineShare: costs.inlineShare(this.parts.clock.monotonicNs()),
      workers: this.pool?.metrics ?? [],
    };
  }
}
