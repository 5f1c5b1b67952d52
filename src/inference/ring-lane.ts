import type { Clock } from '../clock.js';
import { EVALUATED, Evaluation, type SignalRequest } from '../shared-memory/evaluation.js';
import { EVALUATE, PASS, type SharedSignalRing } from '../shared-memory/signal-ring-layout.js';
import { SignalRingProducer } from '../shared-memory/signal-ring-producer.js';
import type { DispatchCosts } from './dispatch-costs.js';
import type { Lane } from './lane.js';
import type { PendingSignal } from './pending-signal.js';

/** Requests of a commit after which the way to the worker and back is measured. */
const MEASURED_COMMIT_MAX = 4;
const PROBE: SignalRequest = { instrument: 0, asOf: 0, side: 0, userValues: new Float64Array(0) };

/** One worker's ring as a lane: main's half of it, with the signals its slots stand for. */
export class RingLane implements Lane {
  readonly producer: SignalRingProducer;
  /** Whether a worker is there to serve it. */
  isServed = false;
  /** Signals the worker has evaluated. */
  evaluatedCount = 0;
  /** Answers of the worker that came after their signal had been answered otherwise. */
  lateCount = 0;
  private readonly pending: (PendingSignal | null)[];
  private readonly mask: number;
  private readonly evaluation: Evaluation;
  /** The oldest request that was written and not yet submitted. */
  private firstNew: number | null = null;
  /** The request that woke the worker, and when. */
  private wokenBy: { readonly sequence: number; readonly atNs: number } | null = null;

  constructor(
    ring: SharedSignalRing,
    private readonly costs: DispatchCosts,
    private readonly clock: Clock,
    /** The evaluation is the next one's after this returns. */
    private readonly onTaken: (pending: PendingSignal, evaluation: Evaluation) => void,
  ) {
    this.producer = new SignalRingProducer(ring);
    this.pending = new Array<PendingSignal | null>(ring.slotCount).fill(null);
    this.mask = ring.slotCount - 1;
    this.evaluation = new Evaluation(ring.columnCount);
  }

  get heldCount(): number {
    return this.producer.heldCount;
  }

  add(pending: PendingSignal): void {
    pending.sequence = this.producer.write(pending.signal.isOpen ? EVALUATE : PASS, pending.signal);
    this.pending[pending.sequence & this.mask] = pending;
    this.firstNew ??= pending.sequence;
  }

  /** Shows the worker what was added. True if that was anything. */
  commit(nowNs: number): boolean {
    const sequence = this.firstNew;
    if (sequence === null) return false;
    this.firstNew = null;
    // After a larger commit main is busy itself when the first answer comes: that would measure main.
    const isSmall = ((this.producer.nextSequence - sequence) | 0) <= MEASURED_COMMIT_MAX;
    if (this.producer.submit() && isSmall) this.wokenBy ??= { sequence, atNs: nowNs };
    return true;
  }

  /** Sends a request that stands for no signal through the empty lane, to measure the way to the worker and back. */
  probe(): void {
    if (this.heldCount > 0) return;
    this.firstNew ??= this.producer.write(PASS, PROBE);
    this.commit(this.clock.monotonicNs());
  }

  pass(pending: PendingSignal): void {
    this.producer.pass(pending.sequence);
  }

  /** Takes up to `countMax` answers in the order of their requests; returns how many. */
  take(countMax: number): number {
    const { producer, evaluation } = this;
    let count = 0;
    for (; count < countMax; count++) {
      const sequence = producer.next();
      if (sequence === null) break;
      producer.take(evaluation);
      const pending = this.pending[sequence & this.mask] ?? null;
      this.pending[sequence & this.mask] = null;
      if (this.wokenBy?.sequence === sequence) this.measureWakeUp(this.wokenBy.atNs);
      if (pending === null) continue;
      const isEvaluated = evaluation.status === EVALUATED;
      if (isEvaluated) this.countEvaluated();
      if (!pending.isSettled) this.onTaken(pending, evaluation);
      else if (isEvaluated) this.lateCount++;
    }
    return count;
  }

  *[Symbol.iterator](): Iterator<PendingSignal> {
    for (const pending of this.pending) if (pending !== null) yield pending;
  }

  /** Only after the worker's thread has exited: clears what it left behind. */
  bury(): void {
    this.producer.buryWorker();
    this.wokenBy = null;
  }

  private countEvaluated(): void {
    this.evaluatedCount++;
    this.costs.measuredEvaluation(this.evaluation.featureNs + this.evaluation.predictionNs);
  }

  private measureWakeUp(atNs: number): void {
    this.wokenBy = null;
    const { featureNs, predictionNs } = this.evaluation;
    this.costs.measuredWakeUp(this.clock.monotonicNs() - atNs - featureNs - predictionNs);
  }
}
