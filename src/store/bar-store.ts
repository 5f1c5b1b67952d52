import { OrchestratorError } from '../errors.js';
import { type FeatureColumns, HISTORY_BARS_MIN, logReturn, volatilityAt } from '../features/feature-columns.js';
import { type Bar, BarSeries, checkBars, findBarFault } from '../market/bar.js';
import { VpinIndicator, type VpinOptions } from '../orderflow/vpin.js';

/** The bars a signal may see, as columns to read in place: 'window' holds the last {@link HISTORY_BARS_MIN} bars up to `asOf`. */
export type WindowRead =
  | { readonly kind: 'window'; readonly asOf: number; readonly columns: StoredColumns }
  | { readonly kind: 'stale-window'; readonly asOf: number }
  | { readonly kind: 'insufficient-history'; readonly asOf: number; readonly have: number };

export interface StoredColumns extends FeatureColumns {
  /** Raw VPIN stored with each bar; NaN while unavailable. */
  readonly vpin: Float64Array;
}

/** An age of this many median intervals makes the newest bar stale. */
const STALE_INTERVALS = 3;

/**
 * The newest bars of every instrument, with the columns features are computed from. Per instrument an append-only ring; a bar's sequence number
 * counts from 0 and never repeats. The main thread alone writes and reads it.
 */
export class BarStore {
  private readonly rings: InstrumentRing[] = [];
  private readonly indices = new Map<string, number>();

  constructor(private readonly options: { instrumentsMax: number; barsPerInstrument: number; vpin: VpinOptions }) {}

  /** The instrument's index, given on first sight. Throws INSTRUMENTS_MAX beyond the bound. */
  register(instrumentId: string): number {
    const known = this.indices.get(instrumentId);
    if (known !== undefined) return known;
    if (this.rings.length >= this.options.instrumentsMax) {
      throw new OrchestratorError(
        'INSTRUMENTS_MAX',
        `the store holds ${this.options.instrumentsMax} instruments already`,
        {
          field: 'instrumentId',
        },
      );
    }
    const index =
      this.rings.push(new InstrumentRing(this.options.barsPerInstrument, new VpinIndicator(this.options.vpin))) - 1;
    this.indices.set(instrumentId, index);
    return index;
  }

  /** Adds one bar; an equal one that is known is skipped. Throws the bar's fault, BAR_CONFLICT or BAR_OUT_OF_ORDER, leaving the store as it was. */
  append(instrumentId: string, bar: Bar): void {
    const fault = findBarFault(bar.open, bar.high, bar.low, bar.close, bar.volume);
    if (fault) throw new OrchestratorError(fault.code, `bar: ${fault.reason}`, { field: `bar.${fault.column}` });
    const ring = this.rings[this.register(instrumentId)]!;
    if (ring.accepts(bar, 'bar')) ring.push(bar);
  }

  /** Adds the bars that are new, all of them or, if one is refused, none. Throws as {@link append} does, and TOO_FEW_BARS below 100. */
  merge(instrumentId: string, bars: BarSeries | readonly Bar[]): void {
    const series = bars instanceof BarSeries ? bars : BarSeries.fromBars(bars);
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
  asOf(instrumentId: string, timestampNs: bigint): number {
    return this.ring(instrumentId)?.asOf(timestampNs) ?? -1;
  }

  /** When the bar closed; 0 for a bar that is not stored. */
  tsEventNs(instrumentId: string, sequence: number): bigint {
    return this.ring(instrumentId)?.tsEventNs(sequence) ?? 0n;
  }

  read(instrumentId: string, asOf: number): WindowRead {
    return this.ring(instrumentId)?.read(asOf) ?? { kind: 'insufficient-history', asOf: -1, have: 0 };
  }

  /** Whether the as-of bar is older at `timestampNs` than `barAgeMaxNs`, by default three median intervals of the bars up to it. */
  isStale(instrumentId: string, asOf: number, timestampNs: bigint, barAgeMaxNs: bigint | null): boolean {
    return this.ring(instrumentId)?.isStale(asOf, timestampNs, barAgeMaxNs) ?? false;
  }

  private ring(instrumentId: string): InstrumentRing | undefined {
    const index = this.indices.get(instrumentId);
    return index === undefined ? undefined : this.rings[index];
  }
}

class InstrumentRing {
  /** Sequence of the newest bar; −1 before the first. */
  private newest = -1;
  private readonly mask: number;
  private readonly stamps: BigInt64Array;
  private readonly open: Float64Array;
  /** Nanoseconds since the bar before; NaN for the first. */
  private readonly interval: Float64Array;
  private readonly columns: StoredColumns;

  constructor(
    private readonly capacity: number,
    private readonly vpin: VpinIndicator,
  ) {
    const column = (): Float64Array => new Float64Array(capacity);
    this.mask = capacity - 1;
    this.stamps = new BigInt64Array(capacity);
    this.open = column();
    this.interval = column();
    this.columns = {
      base: 0,
      mask: this.mask,
      high: column(),
      low: column(),
      close: column(),
      volume: column(),
      logReturn: column(),
      volatility: column(),
      vpin: column(),
    };
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
    const { columns, mask } = this;
    const sequence = this.newest + 1;
    const at = sequence & mask;
    const before = this.newest & mask;
    this.stamps[at] = bar.tsEventNs;
    this.open[at] = bar.open;
    columns.high[at] = bar.high;
    columns.low[at] = bar.low;
    columns.close[at] = bar.close;
    columns.volume[at] = bar.volume;
    columns.logReturn[at] = sequence === 0 ? Number.NaN : logReturn(bar.close, columns.close[before]!);
    columns.volatility[at] = volatilityAt(columns.logReturn, 0, mask, sequence);
    this.interval[at] = sequence === 0 ? Number.NaN : Number(bar.tsEventNs - this.stamps[before]!);
    this.vpin.update(bar);
    columns.vpin[at] = this.vpin.value ?? Number.NaN;
    this.newest = sequence;
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
    return sequence < 0 || sequence < this.oldest ? 0n : this.stamps[sequence & this.mask]!;
  }

  read(asOf: number): WindowRead {
    const first = asOf - HISTORY_BARS_MIN + 1;
    if (first < 0) return { kind: 'insufficient-history', asOf, have: asOf + 1 };
    if (first < this.oldest) return { kind: 'stale-window', asOf };
    return { kind: 'window', asOf, columns: this.columns };
  }

  isStale(asOf: number, timestampNs: bigint, barAgeMaxNs: bigint | null): boolean {
    const ageNs = timestampNs - this.tsEventNs(asOf);
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

  /** The oldest bar that may be read. One slot is left out, as where a writer fills the next slot while others read. */
  private get oldest(): number {
    return Math.max(0, this.newest + 2 - this.capacity);
  }

  private equals(sequence: number, bar: Bar): boolean {
    const at = sequence & this.mask;
    const { high, low, close, volume } = this.columns;
    return (
      this.open[at] === bar.open &&
      high[at] === bar.high &&
      low[at] === bar.low &&
      close[at] === bar.close &&
      Object.is(volume[at], bar.volume)
    );
  }
}
