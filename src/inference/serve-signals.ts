import { type Clock, systemClock } from '../clock.js';
import { unreachable } from '../invariant.js';
import { Evaluation, NOT_EVALUATED, WORKER_FAILED } from '../shared-memory/evaluation.js';
import { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import { ModelReader } from '../shared-memory/model-reader.js';
import { SignalRingConsumer } from '../shared-memory/signal-ring-consumer.js';
import { EVALUATE, PASS, POISONED } from '../shared-memory/signal-ring-layout.js';
import { SlotRequest } from '../shared-memory/signal-ring-slots.js';
import { featureSetOf, trainingPlanOf } from '../training/training-plan.js';
import { leaveUnknown, SignalEvaluator } from './evaluator.js';
import type { InferenceTask, InferenceThreadData, WorkerMessage } from './inference-messages.js';
import { ModelFollower } from './model-follower.js';
import { Rehearsal } from './rehearsal.js';
import type { ServedModel } from './served-model.js';

/** Signals answered with one model, and at most before main is called. */
const BATCH = 16;
/** How long an idle worker looks for work before it sleeps, while main is awake. */
const SPIN_NS = 200_000;

/** Where a test can hold or break a worker. */
export interface ServingHooks {
  beforeEvaluation?(request: SlotRequest): void;
  /** After the last look for work, before the wait. */
  beforeWait?(): void;
}

/**
 * Serves one ring until it is stopped: the whole life of an inference thread, which never returns to its event loop meanwhile. It throws only for a programmer's
 * error; main then gives the ring, with everything unanswered in it, to a new thread.
 */
export function serveSignals(data: InferenceThreadData, task: InferenceTask, hooks: ServingHooks = {}): void {
  new SignalServer(data, task, hooks, systemClock).serve();
}

class SignalServer {
  private readonly consumer: SignalRingConsumer;
  private readonly models: ModelFollower;
  private readonly evaluator: SignalEvaluator;
  private readonly rehearsal: Rehearsal;
  private readonly request: SlotRequest;
  private readonly evaluation: Evaluation;

  constructor(
    { store, models, config }: InferenceThreadData,
    private readonly task: InferenceTask,
    private readonly hooks: ServingHooks,
    private readonly clock: Clock,
  ) {
    const featureSet = featureSetOf(trainingPlanOf(config));
    this.rehearsal = new Rehearsal(config, featureSet, clock);
    this.models = new ModelFollower(new ModelReader(models, task.readerId), this.rehearsal);
    this.evaluator = new SignalEvaluator(config, new FeatureStoreReader(store), featureSet, clock);
    this.consumer = new SignalRingConsumer(task.ring);
    this.request = new SlotRequest(featureSet.user.length);
    this.evaluation = new Evaluation(featureSet.columnCount);
  }

  serve(): void {
    const { consumer } = this;
    this.rehearsal.runWithoutModel();
    while (this.models.step());
    this.tell('serving');
    while (!consumer.stopped) {
      if (!consumer.isEmpty) this.serveBatch();
      else if (!this.models.hasWork && !this.spin()) consumer.sleepUnless(this.isNeeded);
      if (this.models.hasWork && !this.models.step()) this.tell('prepared');
    }
  }

  private serveBatch(): void {
    const { consumer, request, evaluation } = this;
    // Counted before the model is looked at: a signal that is sent after a swap never joins a batch that began before it.
    const count = Math.min(BATCH, consumer.waitingCount);
    const served = this.models.current();
    for (let k = 0; k < count && !consumer.stopped; k++) {
      consumer.read(request);
      this.hooks.beforeEvaluation?.(request);
      this.evaluate(served);
      consumer.answer(evaluation);
    }
    if (consumer.takeBell()) this.tell('bell');
  }

  private evaluate(served: ServedModel | null): void {
    const { request, evaluation } = this;
    switch (request.operation) {
      case EVALUATE:
        this.evaluator.evaluate(request, served, evaluation);
        return;
      case PASS:
        leaveUnknown(evaluation, NOT_EVALUATED, served);
        return;
      case POISONED:
        leaveUnknown(evaluation, WORKER_FAILED, served);
        return;
      default:
        unreachable(request.operation);
    }
  }

  /** Looks for work without sleeping, only while main polls for answers and so may send more at any moment. True if there is some. */
  private spin(): boolean {
    const { consumer, clock } = this;
    const endNs = clock.monotonicNs() + SPIN_NS;
    while (consumer.mainIsAwake && clock.monotonicNs() < endNs) {
      if (!consumer.isEmpty || consumer.stopped || this.models.hasWork) return true;
    }
    return false;
  }

  /** The last look before a sleep. */
  private readonly isNeeded = (): boolean => {
    const { hasWork } = this.models;
    this.hooks.beforeWait?.();
    return hasWork;
  };

  private tell(message: WorkerMessage): void {
    this.task.bell.postMessage(message);
  }
}
