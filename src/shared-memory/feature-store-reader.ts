import { HISTORY_BARS_MIN } from '../features/feature-columns.js';
import {
  type FeatureStoreViews,
  publishedAt,
  readName,
  type SharedFeatureStore,
  type StoredColumns,
  viewFeatureStore,
} from './feature-store-layout.js';

/** The bars a signal may see, as columns to read in place: 'window' holds the last {@link HISTORY_BARS_MIN} bars up to `asOf`. */
export type WindowRead =
  | { readonly kind: 'window'; readonly asOf: number; readonly columns: StoredColumns }
  | { readonly kind: 'stale-window'; readonly asOf: number }
  | { readonly kind: 'insufficient-history'; readonly asOf: number; readonly have: number };

/** Reads the feature store from any thread, while main writes it. */
export class FeatureStoreReader {
  private readonly views: FeatureStoreViews;
  private readonly capacity: number;
  private readonly columns: (StoredColumns | undefined)[] = [];
  private readonly names: (string | undefined)[] = [];

  constructor(store: SharedFeatureStore) {
    this.views = viewFeatureStore(store);
    this.capacity = store.barsPerInstrument;
  }

  /** Sequence of the newest bar that can be read; −1 before the first. */
  newest(instrument: number): number {
    return Atomics.load(this.views.published, publishedAt(instrument)) - 1;
  }

  /** The window that ends at `asOf`, in place. What is read from it counts only if {@link isIntact} holds afterwards. */
  window(instrument: number, asOf: number): WindowRead {
    if (asOf < HISTORY_BARS_MIN - 1) return { kind: 'insufficient-history', asOf, have: asOf + 1 };
    if (!this.isIntact(instrument, asOf)) return { kind: 'stale-window', asOf };
    return { kind: 'window', asOf, columns: this.columnsOf(instrument) };
  }

  /**
   * Whether the writer has left alone every bar of the window that ends at `asOf`. With P published last, it may be filling bar P + 1, which lies where
   * bar P + 1 − C was: the window is whole only if it begins at P + 2 − C or later.
   */
  isIntact(instrument: number, asOf: number): boolean {
    return asOf - HISTORY_BARS_MIN + 1 >= this.newest(instrument) + 2 - this.capacity;
  }

  /** The oldest bar that the writer leaves alone while it writes the next one; 0 for an instrument without bars. */
  oldest(instrument: number): number {
    return Math.max(0, this.newest(instrument) + 2 - this.capacity);
  }

  /** Opening prices of all instruments, to be read by the base and mask of {@link columnsOf}. */
  get open(): Float64Array {
    return this.views.open;
  }

  /** Closing times of all instruments' bars, to be read as {@link open}. */
  get closeTimes(): BigInt64Array {
    return this.views.tsEventNs;
  }

  /** When a bar between {@link oldest} and {@link newest} closed. */
  tsEventNs(instrument: number, sequence: number): bigint {
    return this.views.tsEventNs[instrument * this.capacity + (sequence & (this.capacity - 1))]!;
  }

  columnsOf(instrument: number): StoredColumns {
    const known = this.columns[instrument];
    if (known !== undefined) return known;
    const columns = { base: instrument * this.capacity, mask: this.capacity - 1, ...this.views.columns };
    this.columns[instrument] = columns;
    return columns;
  }

  nameOf(instrument: number): string {
    const known = this.names[instrument];
    if (known !== undefined) return known;
    const name = readName(this.views.names, instrument);
    this.names[instrument] = name;
    return name;
  }
}
