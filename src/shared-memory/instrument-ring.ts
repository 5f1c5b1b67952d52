import { OrchestratorError } from '../errors.js';
import { HISTORY_BARS_MIN, logReturn, volatilityAt } from '../features/feature-columns.js';
import { invariant } from '../invariant.js';
import type { Bar } from '../market/bar.js';
import { barIntervalNs } from '../market/bar-interval.js';
import type { RoundedTimes } from '../market/rounded-times.js';
import { wholeSecondNs } from '../market/timestamp.js';
import { VpinIndicator, type VpinOptions } from '../orderflow/vpin.js';
import { type FeatureStoreViews, publishedAt, type StoredColumns } from './feature-store-layout.js';
import { BAR_VALUES, type StoredBars } from './stored-bars.js';

/** An age of this many median intervals makes the newest bar stale. */
const STALE_INTERVALS = 3;

export interface FeatureStoreOptions {
  readonly instrumentsMax: number;
  /** A power of two. */
  readonly barsPerInstrument: number;
  readonly vpin: VpinOptions;
  /** A bar that closes later than this is refused: it would outdate everything else. Asked with every bar; absent: nothing is refused. */
  readonly latestNs?: () => bigint;
  /**
   * Counts the closes that are taken as the whole second they lie just before; absent: nobody asks
   * for the count.
   */
  readonly times?: RoundedTimes;
  /** Called after each bar that was added and published, not for restored ones. */
  readonly onAppended?: (instrument: number, sequence: number) => void;
}

/** One instrument's part of the feature store, as its writer sees it. */
export class InstrumentRing {
  /** Sequence of the newest bar; −1 before the first. */
  newest = -1;
  vpin: VpinIndicator;
  /** The first bar there ever was here: 0, or where the restored bars begin. */
  private first = 0;
  private readonly base: number;
  private readonly capacity: number;
  private readonly mask: number;
  private readonly columns: Omit<StoredColumns, 'base' | 'mask'>;
  /** Nanoseconds since the bar before; NaN for the first. */
  private readonly interval: Float64Array;
  /** What was worked out last, and up to which bar. */
  private knownInterval: { readonly bar: number; readonly ns: bigint | null } = { bar: -1, ns: null };
  private readonly onAppended: FeatureStoreOptions['onAppended'];

  constructor(
    private readonly views: FeatureStoreViews,
    private readonly instrument: number,
    options: FeatureStoreOptions,
  ) {
    this.capacity = options.barsPerInstrument;
    this.base = instrument * this.capacity;
    this.mask = this.capacity - 1;
    this.columns = views.columns;
    this.vpin = new VpinIndicator(options.vpin);
    this.onAppended = options.onAppended;
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
    this.onAppended?.(this.instrument, sequence);
  }

  restore({ firstSequence, count, columns }: StoredBars, vpin: VpinIndicator): void {
    this.vpin = vpin;
    const skipped = Math.max(0, count - this.capacity);
    this.first = firstSequence + skipped;
    for (let k = skipped; k < count; k++) {
      const slot = (firstSequence + k) & this.mask;
      const at = this.base + slot;
      // Another version may have stored closes as they came; sent again, such a bar has to be
      // known.
      const closeNs = wholeSecondNs(columns.tsEventNs[k]!);
      this.views.tsEventNs[at] = closeNs;
      this.views.open[at] = columns.open[k]!;
      const before = columns.tsEventNs[k - 1];
      this.interval[slot] = before === undefined ? Number.NaN : Number(closeNs - wholeSecondNs(before));
    }
    // As bytes: a number may lose which NaN it was.
    for (const name of BAR_VALUES) {
      const column = this.valuesOf(name);
      for (const [from, to, at] of this.stretches(firstSequence + skipped, count - skipped)) {
        const start = from - firstSequence;
        bytesOf(column, at, to - from).set(bytesOf(columns[name], start, to - from));
      }
    }
    this.newest = firstSequence + count - 1;
    Atomics.store(this.views.published, publishedAt(this.instrument), this.newest + 1);
  }

  copy(first: number, count: number, target: Uint8Array, targetAt: number): void {
    invariant(
      first > this.newest - this.capacity && first + count - 1 <= this.newest,
      'only bars of the ring are copied',
    );
    const { tsEventNs } = this.views;
    let end = targetAt;
    for (const column of [tsEventNs, ...BAR_VALUES.map((name) => this.valuesOf(name))]) {
      for (const [from, to, at] of this.stretches(first, count)) {
        target.set(bytesOf(column, at, to - from), end);
        end += 8 * (to - from);
      }
    }
  }

  private valuesOf(name: (typeof BAR_VALUES)[number]): Float64Array {
    return name === 'open' ? this.views.open : this.columns[name];
  }

  /** Where bars lie without a gap: first, end, index of the first in every column. */
  private stretches(first: number, count: number): [number, number, number][] {
    const whole = Math.min(count, this.capacity - (first & this.mask));
    const middle = first + whole;
    const stretches: [number, number, number][] = [[first, middle, this.base + (first & this.mask)]];
    if (whole < count) stretches.push([middle, first + count, this.base]);
    return stretches;
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

  dueNs(instantNs: bigint): bigint | null {
    if (this.newest < 0) return null;
    const newestNs = this.tsEventNs(this.newest);
    if (instantNs <= newestNs) return null;
    const intervalNs = this.intervalNs;
    if (intervalNs === null || instantNs < newestNs + intervalNs || instantNs >= newestNs + 2n * intervalNs)
      return null;
    return newestNs + intervalNs;
  }

  /** Of the bars up to the newest; null where they have none. */
  private get intervalNs(): bigint | null {
    if (this.newest !== this.knownInterval.bar) {
      const times = { base: this.base, mask: this.mask, tsEventNs: this.views.tsEventNs };
      this.knownInterval = { bar: this.newest, ns: barIntervalNs(times, this.newest, this.oldest) };
    }
    return this.knownInterval.ns;
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
    return Math.max(this.first, this.newest + 2 - this.capacity);
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

function bytesOf(column: Float64Array | BigInt64Array, first: number, count: number): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset + 8 * first, 8 * count);
}
