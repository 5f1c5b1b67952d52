import { completeTripleBarrier, type TripleBarrierOptions } from '../../src/labeling/triple-barrier.js';
import { type Bar, BarSeries } from '../../src/market/bar.js';
import type { OutcomeEvent } from '../../src/market/events.js';
import type { FollowedSignal } from '../../src/outcomes/followed-signal.js';
import { type OpenRecord, OutcomeLedger } from '../../src/outcomes/outcome-ledger.js';
import { seededUniform } from '../../src/random.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { FIRST_CLOSE_NS, MINUTE_NS } from '../support/market.js';

const VPIN = { barsPerBucket: 2, nBuckets: 5, volumeWindow: 20 };

/** One thing the ledger said. */
export interface Told {
  readonly what: 'resolved' | 'closed';
  readonly signal: Signal;
  readonly outcome: OutcomeEvent;
}

export type Signal = FollowedSignal<{ readonly note: string }>;

export interface LiveOptions extends TripleBarrierOptions {
  readonly capacity?: number;
  readonly expiryNs?: bigint;
  /** Called while the ledger tells. */
  readonly listen?: (told: Told) => void;
}

/** A feature store with a ledger on it, and a list of all that the ledger said. */
export class LiveRun {
  readonly told: Told[] = [];
  /** Sequences of the bars that came late. */
  readonly lateBars: number[] = [];
  readonly reader: FeatureStoreReader;
  ledger: OutcomeLedger<{ readonly note: string }>;
  private readonly store: FeatureStoreWriter;
  private ordinal = 0;

  constructor(private readonly options: LiveOptions = {}) {
    this.store = new FeatureStoreWriter({ instrumentsMax: 64, barsPerInstrument: options.capacity ?? 128, vpin: VPIN });
    this.reader = new FeatureStoreReader(this.store.shared);
    this.ledger = this.open();
  }

  /** Stores a bar and says so. */
  bar(bar: Bar, instrumentId = 'X'): void {
    const index = this.publish(bar, instrumentId);
    this.ledger.onBar(index, this.reader.newest(index));
  }

  /** Stores a bar and keeps quiet about it; the instrument's index. */
  publish(bar: Bar, instrumentId = 'X'): number {
    this.store.append(instrumentId, bar);
    return this.store.indexOf(instrumentId);
  }

  bars(series: BarSeries, instrumentId = 'X'): void {
    for (let i = 0; i < series.length; i++) this.bar(series.at(i), instrumentId);
  }

  /** By default a long on the newest bar of X. */
  signal(values: Partial<Signal> = {}): Signal {
    const instrumentId = values.instrumentId ?? 'X';
    const instrument = this.store.indexOf(instrumentId);
    const asOf = values.asOf ?? (instrument < 0 ? -1 : this.reader.newest(instrument));
    const ordinal = this.ordinal++;
    return {
      ordinal,
      signalId: `s${ordinal}`,
      instrumentId,
      instrument,
      side: 1,
      timestampNs: this.store.tsEventNs(instrument, asOf),
      asOf,
      isBarMissing: false,
      payload: { note: `of ${ordinal}` },
      ...values,
    };
  }

  follow(values: Partial<Signal> = {}): Signal {
    const signal = this.signal(values);
    this.ledger.follow(signal);
    return signal;
  }

  /** Goes on with a new ledger, which knows only what is written down. */
  restart(records: readonly OpenRecord<{ readonly note: string }>[]): void {
    this.ledger = this.open();
    this.ledger.restore(records);
  }

  /** What is open, with the last outcome of each. */
  openRecords(signals: readonly Signal[]): OpenRecord<{ readonly note: string }>[] {
    return signals
      .filter(({ signalId }) => this.ledger.isOpen(signalId))
      .map((signal) => ({ signal, outcome: this.lastOf(signal)?.outcome ?? null }));
  }

  lastOf(signal: Signal): Told | undefined {
    return this.told.findLast((told) => told.signal === signal);
  }

  /** In the order it was said: 'resolved s0', 'closed s0', … */
  get words(): string[] {
    return this.told.map(({ what, signal }) => `${what} ${signal.signalId}`);
  }

  private open(): OutcomeLedger<{ readonly note: string }> {
    const { capacity: _capacity, expiryNs = 1000n * MINUTE_NS, listen, ...barrier } = this.options;
    const tell =
      (what: Told['what']) =>
      (signal: Signal, outcome: OutcomeEvent): void => {
        const told = { what, signal, outcome };
        this.told.push(told);
        listen?.(told);
      };
    return new OutcomeLedger({
      reader: this.reader,
      barrier: completeTripleBarrier(barrier),
      expiryNs,
      onResolved: tell('resolved'),
      onClosed: tell('closed'),
      onLateBar: (_instrument, sequence) => this.lateBars.push(sequence),
    });
  }
}

/** A bar that closes so many minutes after the first. */
export function barAt(minute: number, [open, high, low, close]: readonly number[]): Bar {
  const tsEventNs = FIRST_CLOSE_NS + BigInt(minute) * MINUTE_NS;
  return { tsEventNs, open: open!, high: high!, low: low!, close: close!, volume: 1 };
}

/** Bars in eighths with gaps, doji, bars wide enough for both barriers, and stretches without any range, in which the ATR falls to 0. */
export function roughBars(count: number, seed: number): BarSeries {
  const random = seededUniform(seed);
  const eighths = (scale: number): number => Math.round((random() * 2 - 1) * scale * 8) / 8;
  const rows: number[][] = [];
  let close = 500;
  let still = 0;
  for (let i = 0; i < count; i++) {
    if (still === 0 && random() < 0.02) still = 18;
    if (still > 0) {
      still--;
      rows.push([close, close, close, close]);
      continue;
    }
    const kind = random();
    const open = kind < 0.1 ? close + eighths(12) : close;
    close = kind > 0.8 ? open : open + eighths(3);
    const wick = kind > 0.5 && kind < 0.6 ? 12 : 2;
    rows.push([
      open,
      Math.max(open, close) + Math.abs(eighths(wick)),
      Math.min(open, close) - Math.abs(eighths(wick)),
      close,
    ]);
  }
  return BarSeries.fromBars(rows.map((row, minute) => barAt(minute, row)));
}
