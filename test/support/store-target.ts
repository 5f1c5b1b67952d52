import type { BusTarget, SignalSight, Submission } from '../../src/bus/message-bus.js';
import { OrchestratorError } from '../../src/errors.js';
import type { Bar } from '../../src/market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from '../../src/market/events.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { FIRST_CLOSE_NS, MINUTE_NS } from './market.js';
import { answerOf } from './scripted-target.js';

export const STORE_INSTRUMENTS = ['X', 'Y'];
/** Enough for every instrument to have an interval. */
export const HISTORY_BARS = 20;

/** A signal as the target was given it. */
export interface Given extends SignalSight {
  readonly signalId: string;
}

/** A feature store with the questions that a bus asks, with bars before minute 0. Signals are answered when the test says so. */
export class StoreTarget implements BusTarget {
  readonly given: Given[] = [];
  /** No signal is let in. */
  isFull = false;
  private readonly store = new FeatureStoreWriter({ instrumentsMax: 4, barsPerInstrument: 256, vpin: {} });
  private readonly open: (() => void)[] = [];

  constructor() {
    for (const instrumentId of STORE_INSTRUMENTS) {
      for (let minute = -HISTORY_BARS; minute < 0; minute++) this.store.append(instrumentId, barAt(minute));
    }
  }

  addBar(instrumentId: string, bar: Bar): void {
    this.store.append(instrumentId, bar);
  }

  mergeBars({ instrumentId, bars }: SignalEvent): void {
    if (bars !== undefined) this.store.merge(instrumentId, bars);
  }

  submit(event: SignalEvent, sight?: SignalSight): Submission {
    if (this.isFull) throw new OrchestratorError('OVERLOADED', 'as the test wants it');
    const asOf = Math.min(this.asOf(event), sight?.asOf ?? Number.POSITIVE_INFINITY);
    this.given.push({ signalId: event.signalId!, asOf, isBarMissing: sight?.isBarMissing ?? false });
    const answer = new Promise<EnrichedSignalEvent>((resolve) => {
      this.open.push(() => resolve(answerOf(event, asOf)));
    });
    return { asOf, answer };
  }

  asOf({ instrumentId, timestamp }: SignalEvent): number {
    return this.store.asOf(this.store.indexOf(instrumentId), timestamp);
  }

  asOfNs(event: SignalEvent): bigint {
    return this.store.tsEventNs(this.store.indexOf(event.instrumentId), this.asOf(event));
  }

  dueNs({ instrumentId, timestamp }: SignalEvent): bigint | null {
    return this.store.dueNs(this.store.indexOf(instrumentId), timestamp);
  }

  newestNs(instrumentId: string): bigint {
    const instrument = this.store.indexOf(instrumentId);
    return this.store.tsEventNs(instrument, this.store.newest(instrument));
  }

  async durable(): Promise<void> {}

  /** Answers what was let in and has no answer. */
  answerAll(): void {
    for (const give of this.open.splice(0)) give();
  }
}

export function barAt(minute: number): Bar {
  return { tsEventNs: FIRST_CLOSE_NS + BigInt(minute) * MINUTE_NS, open: 1, high: 1, low: 1, close: 1, volume: 1 };
}
