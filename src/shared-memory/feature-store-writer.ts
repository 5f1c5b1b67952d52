import { OrchestratorError } from '../errors.js';
import { HISTORY_BARS_MIN } from '../features/feature-columns.js';
import { invariant } from '../invariant.js';
import { type Bar, BarSeries, checkBarShape, checkBars, findBarFault } from '../market/bar.js';
import { INSTRUMENT_ID_BYTES_MAX, isInstrumentId } from '../market/instrument-id.js';
import { RoundedTimes, roundCloses } from '../market/rounded-times.js';
import { VpinIndicator } from '../orderflow/vpin.js';
import {
  type FeatureStoreViews,
  featureStoreBytes,
  readName,
  type SharedFeatureStore,
  viewFeatureStore,
  writeName,
} from './feature-store-layout.js';
import { type FeatureStoreOptions, InstrumentRing } from './instrument-ring.js';
import type { StoredBars } from './stored-bars.js';

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
  private readonly times: RoundedTimes;

  constructor(private readonly options: FeatureStoreOptions) {
    const { instrumentsMax, barsPerInstrument, times = new RoundedTimes() } = options;
    this.times = times;
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

  /**
   * Adds one bar, its close as {@link RoundedTimes} takes it; an equal one that is known is
   * skipped. Throws the bar's fault, BAR_CONFLICT, BAR_OUT_OF_ORDER or as {@link register}, leaving
   * the store as it was.
   */
  append(instrumentId: string, given: Bar): void {
    checkBarShape(given, 'bar');
    const bar = this.rounded(given);
    this.checkTime(bar.tsEventNs, 'bar');
    const fault = findBarFault(bar.open, bar.high, bar.low, bar.close, bar.volume);
    if (fault) throw new OrchestratorError(fault.code, `bar: ${fault.reason}`, { field: `bar.${fault.column}` });
    const ring = this.rings[this.register(instrumentId)]!;
    if (ring.accepts(bar, 'bar')) ring.push(bar);
  }

  /** Adds the bars that are new, all of them or, if one is refused, none. Throws as {@link append} does, and TOO_FEW_BARS below 100. */
  merge(instrumentId: string, bars: BarSeries | readonly Bar[]): void {
    const given = bars instanceof BarSeries ? bars : toSeries(bars);
    const series = roundCloses(given, (closeNs) => this.times.round('bars', closeNs));
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
    this.checkTime(series.tsEventNs[series.length - 1]!, `bars[${series.length - 1}]`);
    const ring = this.rings[this.register(instrumentId)]!;
    const fresh: Bar[] = [];
    for (let i = 0; i < series.length; i++) {
      const bar = series.at(i);
      if (ring.accepts(bar, `bars[${i}]`)) fresh.push(bar);
    }
    for (const bar of fresh) ring.push(bar);
  }

  private rounded(bar: Bar): Bar {
    const tsEventNs = this.times.round('bars', bar.tsEventNs);
    if (tsEventNs === bar.tsEventNs) return bar;
    const { open, high, low, close, volume } = bar;
    return { tsEventNs, open, high, low, close, volume };
  }

  private checkTime(tsEventNs: bigint, field: string): void {
    const { latestNs } = this.options;
    if (latestNs === undefined || tsEventNs <= latestNs()) return;
    throw new OrchestratorError('BAD_TIMESTAMP', `${field} closes in the far future`, { field: `${field}.tsEventNs` });
  }

  /** Sequence of the newest stored bar that closed at or before the instant; −1 when there is none. */
  asOf(instrument: number, timestampNs: bigint): number {
    return this.rings[instrument]?.asOf(timestampNs) ?? -1;
  }

  /**
   * Close of the next bar, one interval after the newest, if the instant has reached it but not the
   * one after; null otherwise, also where the bars have no interval.
   */
  dueNs(instrument: number, instantNs: bigint): bigint | null {
    return this.rings[instrument]?.dueNs(instantNs) ?? null;
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

  /** Instruments that have an index, from 0 on. */
  get instrumentCount(): number {
    return this.rings.length;
  }

  idOf(instrument: number): string {
    return readName(this.views.names, instrument);
  }

  /** Sequence of the newest bar; −1 before the first. */
  newest(instrument: number): number {
    return this.ringOf(instrument).newest;
  }

  /**
   * Puts bars that another process added back where they were: same bits, same sequence numbers; `vpin` is the indicator as it was after the last of them, and
   * belongs to the store from then on. The instrument gets the next index and must be new. Of more bars than the ring holds the newest stay. Throws as {@link register}.
   */
  restore(instrumentId: string, bars: StoredBars, vpin: VpinIndicator): number {
    invariant(this.indexOf(instrumentId) === UNKNOWN_INSTRUMENT, 'only an instrument without bars is restored');
    const index = this.register(instrumentId);
    this.ringOf(index).restore(bars, vpin);
    return index;
  }

  /** An indicator with this store's parameters that has seen no bar. */
  createVpin(): VpinIndicator {
    return new VpinIndicator(this.options.vpin);
  }

  /** The instrument's VPIN after its newest bar, for {@link VpinIndicator.fromState}. */
  vpinState(instrument: number): Uint8Array {
    return this.ringOf(instrument).vpin.toState();
  }

  /** Copies `count` bars from `first` on into `target` at `at`, {@link BAR_BYTES} each, column after column as in `viewStoredBars`. They must lie in the ring. */
  copyBars(instrument: number, first: number, count: number, target: Uint8Array, at: number): void {
    this.ringOf(instrument).copy(first, count, target, at);
  }

  private ringOf(instrument: number): InstrumentRing {
    const ring = this.rings[instrument];
    invariant(ring !== undefined, 'an instrument is registered before it is used');
    return ring;
  }
}

function toSeries(bars: readonly Bar[]): BarSeries {
  if (!Array.isArray(bars)) {
    throw new OrchestratorError('INVALID_BAR', 'bars must be a BarSeries or an array of bars', { field: 'bars' });
  }
  for (const [index, bar] of bars.entries()) checkBarShape(bar, `bars[${index}]`);
  return BarSeries.fromBars(bars);
}
