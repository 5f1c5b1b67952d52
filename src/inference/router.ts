import { type Clock, NS_PER_MS } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import type { OrchestratorError } from '../errors.js';
import type { DegradedReason, EnrichedSignalEvent } from '../market/events.js';
import { UNKNOWN_INSTRUMENT } from '../shared-memory/feature-store-writer.js';
import type { AdmittedSignal } from './admission.js';
import { obstacleOf } from './answer-desk.js';
import { BatchBacklog } from './batch-backlog.js';
import { CompletionPoller } from './completion-poller.js';
import { Deadlines } from './deadlines.js';
import type { DispatchCosts } from './dispatch-costs.js';
import type { InlineLane } from './inline-lane.js';
import type { Lane } from './lane.js';
import { NO_DEADLINE, PendingSignal } from './pending-signal.js';
import type { RingLane } from './ring-lane.js';

/** An instrument leaves its usual worker when that one has this many signals more to do than the least busy. */
const BACKLOG_TOLERATED = 64;

export interface RouterOptions {
  readonly config: Pick<OrchestratorConfig, 'dispatch' | 'inferenceTimeoutMs'>;
  readonly instrumentsMax: number;
  /** Signals in the lanes beyond which batches wait and {@link Router.isFull}. */
  readonly outstandingMax: number;
  readonly inlineLane: InlineLane;
  readonly ringLanes: readonly RingLane[];
  readonly costs: DispatchCosts;
  readonly clock: Clock;
  /** Makes the answer to a signal that is not evaluated; undefined for a flat one. */
  readonly answerWithout: (pending: PendingSignal, degraded: DegradedReason | undefined) => EnrichedSignalEvent;
}

/**
 * Brings every admitted signal to a lane. The signals of one turn are collected and sent together. While an instrument has unanswered signals, its next
 * ones follow them into the same lane, so the answers of one instrument leave in the order of admission.
 */
export class Router {
  private turn: PendingSignal[] = [];
  private readonly backlog: BatchBacklog;
  private readonly unanswered: Int32Array;
  private readonly laneOf: (Lane | undefined)[] = [];
  private readonly deadlines: Deadlines;
  private readonly poller: CompletionPoller;
  private unsettledCount = 0;
  private onDrained: (() => void) | null = null;

  constructor(private readonly options: RouterOptions) {
    const { clock } = options;
    this.unanswered = new Int32Array(options.instrumentsMax);
    this.deadlines = new Deadlines({
      now: () => clock.monotonicNs(),
      beforeExpiry: () => {
        for (const lane of options.ringLanes) lane.take(Number.POSITIVE_INFINITY);
      },
      onExpired: (pending) => this.expire(pending),
    });
    this.backlog = new BatchBacklog(
      options.outstandingMax,
      () => this.isFull,
      (pending) => {
        pending.startNs = clock.monotonicNs();
        this.enqueue(pending);
      },
    );
    this.poller = new CompletionPoller(options.ringLanes, () => this.deadlines.expire());
  }

  /** Whether admission must refuse: as many signals are on their way as may be. */
  get isFull(): boolean {
    return this.heldCount >= this.options.outstandingMax;
  }

  /** Signals on their way, those included that were answered already and still take up a slot. */
  get heldCount(): number {
    let count = this.turn.length + this.options.inlineLane.heldCount;
    for (const lane of this.options.ringLanes) count += lane.heldCount;
    return count;
  }

  /** Resolves with the answer, at the latest at the deadline. */
  submit(signal: AdmittedSignal, startNs: number): Promise<EnrichedSignalEvent> {
    return new Promise((resolve, reject) => {
      const deadlineNs = startNs + this.options.config.inferenceTimeoutMs * NS_PER_MS;
      const pending = new PendingSignal(signal, startNs, deadlineNs, resolve, reject);
      this.unsettledCount++;
      this.deadlines.add(pending);
      this.enqueue(pending);
    });
  }

  /** Answers in the order of the signals, without a deadline: they wait their turn outside the lanes, behind the batches before them. */
  submitBatch(signals: readonly AdmittedSignal[]): Promise<EnrichedSignalEvent[]> {
    return new Promise((resolve, reject) => {
      const answers = new Array<EnrichedSignalEvent>(signals.length);
      let missing = signals.length;
      if (missing === 0) resolve(answers);
      for (const [index, signal] of signals.entries()) {
        const onAnswer = (answer: EnrichedSignalEvent): void => {
          answers[index] = answer;
          if (--missing === 0) resolve(answers);
        };
        this.backlog.add(new PendingSignal(signal, 0, NO_DEADLINE, onAnswer, reject));
      }
      this.unsettledCount += signals.length;
      this.backlog.feed();
    });
  }

  /** A worker rang, died or came back: look for answers. */
  poll(): void {
    this.poller.resume();
  }

  /** Answers a signal from its lane. */
  settle(pending: PendingSignal, answer: EnrichedSignalEvent): void {
    this.release(pending);
    pending.settle(answer);
  }

  /** Resolves when every signal has its answer. */
  drained(): Promise<void> {
    if (this.unsettledCount === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onDrained = resolve;
    });
  }

  /** Rejects what has no answer yet. */
  rejectAll(error: OrchestratorError): void {
    const { inlineLane, ringLanes } = this.options;
    const waiting = [this.turn, this.backlog, inlineLane, ...ringLanes].flatMap((held) => [...held]);
    this.backlog.clear();
    for (const pending of waiting) {
      if (pending.isSettled) continue;
      this.release(pending);
      pending.reject(error);
    }
    this.deadlines.clear();
  }

  private enqueue(pending: PendingSignal): void {
    if (this.turn.push(pending) === 1) queueMicrotask(this.flush);
  }

  private readonly flush = (): void => {
    const nowNs = this.options.clock.monotonicNs();
    if (this.options.inlineLane.hasTimeLeft(nowNs)) this.sendTurn(nowNs);
    else setImmediate(() => this.sendTurn(this.options.clock.monotonicNs()));
  };

  private sendTurn(nowNs: number): void {
    const { config, costs, inlineLane, ringLanes } = this.options;
    const { turn } = this;
    this.turn = [];
    const inline =
      config.dispatch === 'inline' || (config.dispatch === 'auto' && costs.favoursInline(turn.length, nowNs));
    for (const pending of turn) if (!pending.isSettled) this.route(pending, inline);
    let submitted = false;
    for (const lane of ringLanes) submitted = lane.commit(nowNs) || submitted;
    if (submitted) this.poller.resume();
    inlineLane.commit(nowNs);
  }

  private route(pending: PendingSignal, inline: boolean): void {
    const { signal } = pending;
    const { instrument } = signal;
    const isKnown = instrument !== UNKNOWN_INSTRUMENT;
    if (!isKnown || (!signal.isOpen && this.unanswered[instrument] === 0)) {
      this.settle(pending, this.options.answerWithout(pending, obstacleOf(signal)));
      return;
    }
    const lane = this.unanswered[instrument]! > 0 ? this.laneOf[instrument]! : this.chooseLane(instrument, inline);
    this.laneOf[instrument] = lane;
    this.unanswered[instrument] = this.unanswered[instrument]! + 1;
    pending.lane = lane;
    lane.add(pending);
  }

  /** The instrument's usual worker, which remembers its regime densities, unless another has much less to do. */
  private chooseLane(instrument: number, inline: boolean): Lane {
    const { config, inlineLane, ringLanes } = this.options;
    if (inline || ringLanes.length === 0) return inlineLane;
    const usual = ringLanes[instrument % ringLanes.length]!;
    let best: RingLane | null = null;
    for (const lane of ringLanes) {
      if (lane.isServed && (best === null || lane.heldCount < best.heldCount)) best = lane;
    }
    if (best === null) return config.dispatch === 'pool' ? usual : inlineLane;
    return usual.isServed && usual.heldCount <= best.heldCount + BACKLOG_TOLERATED ? usual : best;
  }

  private expire(pending: PendingSignal): void {
    pending.lane?.pass(pending);
    this.settle(pending, this.options.answerWithout(pending, 'deadline'));
  }

  private release(pending: PendingSignal): void {
    if (pending.lane !== null) {
      const { instrument } = pending.signal;
      this.unanswered[instrument] = this.unanswered[instrument]! - 1;
    }
    this.backlog.released(pending);
    if (--this.unsettledCount === 0) this.onDrained?.();
  }
}
