import { OrchestratorError } from '../errors.js';
import { HISTORY_BARS_MIN, logReturn, volatilityAt } from '../features/feature-columns.js';
import { type Bar, BarSeries, checkBarShape, checkBars, findBarFault } from '../market/bar.js';
import { INSTRUMENT_ID_BYTES_MAX, isInstrumentId } from '../market/instrument-id.js';
import { VpinIndicator, type VpinOptions } from '../orderflow/vpin.js';
import {
  type FeatureStoreViews,
  featureStoreBytes,
  publishedAt,
  type SharedFeatureStore,
  type StoredColumns,
  viewFeatureStore,
  writeName,
} from './feature-store-layout.js';

/** An age of this many median intervals makes the newest bar stale. */
const STALE_INTERVALS = 3;

export type WindowObstacle = 'insufficient-history' | 'stale-window' | 'stale-bars';

/** An instrument that is not in the store. */
export const UNKNOWN_INSTRUMENT = -1;

/**
 * The newest bars of every instrument, with the columns features are computed from, in shared memory. Per instrument an append-only ring; a bar's sequence
 * number counts from 0 and never repeats. The main thread alone owns a writer; other threads get `shared`.
 */
export class FeatureStoreWriter {
  readonly shared: SharedFeatureStore;
  private readonly views: FeatureStoreViews;
  private readonly rings: InstrumentRing[] = [];
  private readonly indices = new Map<string, number>();

  constructor(private readonly options: { instrumentsMax: number; barsPerInstrument: number; vpin: VpinOptions }) {
    const { instrumentsMax, barsPerInstrument } = options;
    const buffer = new SharedArrayBuffer(featureStoreBytes(instrumentsMax, barsPerInstrument));
    this.shared = { buffer, instrumentsMax, barsPerInstrument };
    this.views = viewFeatureStore(this.shared);
  }

  /** The instrument's index, given on first sight. Throws INSTRUMENTS_MAX beyond the bound, INVALID_INSTRUMENT for an id that is empty, too long or ill-formed. */
  register(instrumentId: string): number {
    const known = this.indices.get(instrumentId);
    if (known !== undefined) return known;
    const index = this.rings.length;
    if (index >= this.options.instrumentsMax) {
      throw new OrchestratorError('INSTRUMENTS_MAX', `the store holds ${index} instruments already`, {
        field: 'instrumentId',
      });
    }
    if (!isInstrumentId(instrumentId)) {
      throw new OrchestratorError(
        'INVALID_INSTRUMENT',
        `an instrument id is well-formed text of 1 to ${INSTRUMENT_ID_BYTES_MAX} bytes`,
        { field: 'instrumentId' },
      );
    }
    writeName(this.views.names, index, instrumentId);
    this.rings.push(new InstrumentRing(this.views, index, this.options));
    this.indices.set(instrumentId, index);
    return index;
  }

  /** {@link UNKNOWN_INSTRUMENT} for one that has no bars. */
  indexOf(instrumentId: string): number {
    return this.indices.get(instrumentId) ?? UNKNOWN_INSTRUMENT;
  }

  /** Adds one bar; an equal one that is known is skipped. Throws the bar's fault, BAR_CONFLICT, BAR_OUT_OF_ORDER or as {@link register}, leaving the store as it was. */
  append(instrumentId: string, bar: Bar): void {
    checkBarShape(bar, 'bar');
    const fault = findBarFault(bar.open, bar.high, bar.low, bar.close, bar.volume);
    if (fault) throw new OrchestratorError(fault.code, `bar: ${fault.reason}`, { field: `bar.${fault.column}` });
    const ring = this.rings[this.register(instrumentId)]!;
    if (ring.accepts(bar, 'bar')) ring.push(bar);
  }

  /** Adds the bars that are new, all of them or, if one is refused, none. Throws as {@link append} does, and TOO_FEW_BARS below 100. */
  merge(instrumentId: string, bars: BarSeries | readonly Bar[]): void {
    const series = bars instanceof BarSeries ? bars : toSeries(bars);
    if (series.length < HISTORY_BARS_MIN) {
      throw new OrchestratorError(
        'TOO_FEW_BARS',
        `${series.length} bars come with the signal; at least ${HISTORY_BARS_MIN}, or none`,
        {
          field: 'bars',
        },
      );
    }
    checkBars(series, 'bars');
    const ring = this.rings[this.register(instrumentId)]!;
    const fresh: Bar[] = [];
    for (let i = 0; i < series.length; i++) {
      const bar = series.at(i);
      if (ring.accepts(bar, `bars[${i}]`)) fresh.push(bar);
    }
    for (const bar of fresh) ring.push(bar);
  }

  /** Sequence of the newest stored bar that closed at or before the instant; −1 when there is none. */
  asOf(instrument: number, timestampNs: bigint): number {
    return this.rings[instrument]?.asOf(timestampNs) ?? -1;
  }

  /** When the bar closed; 0 for a bar that is not stored. */
  tsEventNs(instrument: number, sequence: number): bigint {
    return this.rings[instrument]?.tsEventNs(sequence) ?? 0n;
  }

  /**
   * Why a signal cannot be answered from the window that ends at `asOf`, a bar that closed `ageNs` before it; null when it can. Bars are stale beyond an age of
   * `barAgeMaxNs`, by default three median intervals of the bars up to this one.
   */
  obstacle(instrument: number, asOf: number, ageNs: bigint, barAgeMaxNs: bigint | null): WindowObstacle | null {
    const ring = this.rings[instrument];
    if (ring === undefined || asOf < HISTORY_BARS_MIN - 1) return 'insufficient-history';
    if (!ring.holds(asOf)) return 'stale-window';
    return ring.isStale(asOf, ageNs, barAgeMaxNs) ? 'stale-bars' : null;
  }

  /**
   * Whether a bar of the window that ends at `asOf` has been overwritten. The last word on an answer that another thread computed: this thread writes, so what it
   * has not yet overwritten when it takes the answer was whole when the answer was made.
   */
  hasLapped(instrument: number, asOf: number): boolean {
    return this.rings[instrument]?.hasLapped(asOf) ?? false;
  }
}

function toSeries(bars: readonly Bar[]): BarSeries {
  if (!Array.isArray(bars)) {
    throw new OrchestratorError('INVALID_BAR', 'bars must be a BarSeries or an array of bars', { field: 'bars' });
  }
  for (const [index, bar] of bars.entries()) checkBarShape(bar, `bars[${index}]`);
  return BarSeries.fromBars(bars);
}

class InstrumentRing {
  /** Sequence of the newest bar; −1 before the first. */
  private newest = -1;
  private readonly base: number;
  private readonly capacity: number;
  private readonly mask: number;
  private readonly columns: Omit<StoredColumns, 'base' | 'mask'>;
  private readonly vpin: VpinIndicator;
  /** Nanoseconds since the bar before; NaN for the first. */
  private readonly interval: Float64Array;

  constructor(
    private readonly views: FeatureStoreViews,
    private readonly instrument: number,
    options: { barsPerInstrument: number; vpin: VpinOptions },
  ) {
    this.capacity = options.barsPerInstrument;
    this.base = instrument * this.capacity;
    this.mask = this.capacity - 1;
    this.columns = views.columns;
    this.vpin = new VpinIndicator(options.vpin);
    this.interval = new Float64Array(this.capacity);
  }

  /** True for a bar to append, false for one that is known and equal. Throws BAR_CONFLICT, BAR_OUT_OF_ORDER. */
  accepts(bar: Bar, field: string): boolean {
    if (this.newest < 0 || bar.tsEventNs > this.tsEventNs(this.newest)) return true;
    const sequence = this.asOf(bar.tsEventNs);
    // Once the ring has wrapped, what lies before its oldest bar was known and is forgotten: it can no longer be compared.
    if (sequence < this.oldest && this.oldest > 0) return false;
    if (sequence < 0 || this.tsEventNs(sequence) !== bar.tsEventNs) {
      throw new OrchestratorError(
        'BAR_OUT_OF_ORDER',
        `${field} is older than the newest stored bar and was never stored`,
        { field },
      );
    }
    if (!this.equals(sequence, bar)) {
      throw new OrchestratorError('BAR_CONFLICT', `${field} differs from the stored bar of the same time`, { field });
    }
    return false;
  }

  push(bar: Bar): void {
    const { columns, base, mask, views } = this;
    const sequence = this.newest + 1;
    const at = base + (sequence & mask);
    const before = base + (this.newest & mask);
    views.tsEventNs[at] = bar.tsEventNs;
    views.open[at] = bar.open;
    columns.high[at] = bar.high;
    columns.low[at] = bar.low;
    columns.close[at] = bar.close;
    columns.volume[at] = bar.volume;
    columns.logReturn[at] = sequence === 0 ? Number.NaN : logReturn(bar.close, columns.close[before]!);
    columns.volatility[at] = volatilityAt(columns.logReturn, base, mask, sequence);
    this.interval[sequence & mask] = sequence === 0 ? Number.NaN : Number(bar.tsEventNs - this.tsEventNs(this.newest));
    this.vpin.update(bar);
    columns.vpin[at] = this.vpin.value ?? Number.NaN;
    this.newest = sequence;
    // The columns first, the count last: a reader that sees the count sees the bar.
    Atomics.store(views.published, publishedAt(this.instrument), sequence + 1);
  }

  asOf(timestampNs: bigint): number {
    if (this.newest < 0) return -1;
    if (this.tsEventNs(this.newest) <= timestampNs) return this.newest;
    let below = this.oldest - 1;
    let above = this.newest;
    while (above - below > 1) {
      const middle = (below + above) >> 1;
      if (this.tsEventNs(middle) <= timestampNs) below = middle;
      else above = middle;
    }
    return below;
  }

  tsEventNs(sequence: number): bigint {
    return sequence < 0 || sequence < this.oldest ? 0n : this.views.tsEventNs[this.base + (sequence & this.mask)]!;
  }

  /** Whether the window that ends at `asOf` can be read. */
  holds(asOf: number): boolean {
    return asOf - HISTORY_BARS_MIN + 1 >= this.oldest;
  }

  isStale(asOf: number, ageNs: bigint, barAgeMaxNs: bigint | null): boolean {
    if (ageNs <= 0n) return false;
    if (barAgeMaxNs !== null) return ageNs > barAgeMaxNs;
    // The median is below a third of the age iff more than half of the intervals are: no sorting.
    const limit = Number(ageNs) / STALE_INTERVALS;
    const first = Math.max(1, this.oldest + 1, asOf - HISTORY_BARS_MIN + 2);
    let shorter = 0;
    for (let sequence = first; sequence <= asOf; sequence++)
      if (this.interval[sequence & this.mask]! < limit) shorter++;
    return shorter > (asOf - first) >> 1 && asOf >= first;
  }

  hasLapped(asOf: number): boolean {
    return this.newest >= asOf - HISTORY_BARS_MIN + 1 + this.capacity;
  }

  /** The oldest bar that may be read: readers leave one slot out, which the next bar will be written to. */
  private get oldest(): number {
    return Math.max(0, this.newest + 2 - this.capacity);
  }

  private equals(sequence: number, bar: Bar): boolean {
    const at = this.base + (sequence & this.mask);
    const { high, low, close, volume } = this.columns;
    return (
      this.views.open[at] === bar.open &&
      high[at] === bar.high &&
      low[at] === bar.low &&
      close[at] === bar.close &&
      Object.is(volume[at], bar.volume)
    );
  }
}
