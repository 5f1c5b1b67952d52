import type { BusTarget, SignalSight, Submission } from './bus/message-bus.js';
import type { Clock } from './clock.js';
import { OrchestratorError } from './errors.js';
import type { Admission, AdmittedSignal } from './inference/admission.js';
import type { AnswerCounts } from './inference/answer-counts.js';
import type { DataPlane } from './inference/data-plane.js';
import type { Bar } from './market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from './market/events.js';
import { wholeSecondNs } from './market/timestamp.js';
import type { FeatureStoreWriter } from './shared-memory/feature-store-writer.js';
import type { Journal } from './state/journal.js';

export interface EntranceParts {
  readonly store: FeatureStoreWriter;
  readonly admission: Admission;
  readonly plane: DataPlane;
  readonly counts: AnswerCounts;
  readonly clock: Clock;
  /** null where nothing is recorded. */
  readonly journal: () => Journal | null;
  /** Throws NOT_STARTED or STOPPED. */
  readonly checkStarted: () => void;
}

/** Where bars and signals come in, by a call or over a bus, while the orchestrator runs and has room for them. What is refused leaves nothing behind. */
export class Entrance implements BusTarget {
  constructor(private readonly parts: EntranceParts) {}

  addBar(instrumentId: string, bar: Bar): void {
    this.checkKeepsUp();
    this.parts.store.append(instrumentId, bar);
  }

  mergeBars(event: SignalEvent): void {
    this.checkKeepsUp();
    this.parts.admission.merge(event);
  }

  submit(event: SignalEvent, sight?: SignalSight): Submission {
    const startNs = this.parts.clock.monotonicNs();
    this.checkRoom();
    const signal = this.admit(event, undefined, sight);
    return { asOf: signal.asOf, answer: this.parts.plane.submit(signal, startNs) };
  }

  newestNs(instrumentId: string): bigint {
    const { store } = this.parts;
    const instrument = store.indexOf(instrumentId);
    return instrument < 0 ? 0n : store.tsEventNs(instrument, store.newest(instrument));
  }

  /** As {@link submit}, for callers who ask about nothing but the answer. */
  answer(event: SignalEvent): Promise<EnrichedSignalEvent> {
    const startNs = this.parts.clock.monotonicNs();
    // Not an async function: its promise around the promise costs a third of a microsecond.
    try {
      this.checkRoom();
      return this.parts.plane.submit(this.admit(event), startNs);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  asOf({ instrumentId, timestamp }: SignalEvent): number {
    const { store } = this.parts;
    return store.asOf(store.indexOf(instrumentId), wholeSecondNs(timestamp));
  }

  asOfNs(event: SignalEvent): bigint {
    const { store } = this.parts;
    return store.tsEventNs(store.indexOf(event.instrumentId), this.asOf(event));
  }

  dueNs({ instrumentId, timestamp }: SignalEvent): bigint | null {
    const { store } = this.parts;
    return store.dueNs(store.indexOf(instrumentId), wholeSecondNs(timestamp));
  }

  /** `place`: of the event in a batch. `sight`: what was fixed before. */
  admit(event: SignalEvent, place?: string, sight?: SignalSight): AdmittedSignal {
    this.checkKeepsUp();
    try {
      return this.parts.admission.admit(event, sight?.asOf, sight?.isBarMissing);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      this.parts.counts.countRefusal(error.code);
      throw place === undefined ? error : error.within(place);
    }
  }

  async durable(): Promise<void> {
    await this.parts.journal()?.flush();
  }

  private checkRoom(): void {
    const { plane, counts, checkStarted } = this.parts;
    checkStarted();
    if (!plane.isFull) return;
    counts.countRefusal('OVERLOADED');
    throw new OrchestratorError('OVERLOADED', 'as many signals are on their way as `outstandingMax` allows');
  }

  /** While the disk takes nothing, what is accepted waits in memory: only so much of it. */
  private checkKeepsUp(): void {
    this.parts.checkStarted();
    if (this.parts.journal()?.isBehind !== true) return;
    throw new OrchestratorError('STORE_BEHIND', 'too much waits to be written under dataDir', { field: 'dataDir' });
  }
}
