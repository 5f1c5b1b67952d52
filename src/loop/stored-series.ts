import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../clock.js';
import { BarSeries } from '../market/bar.js';
import { wholeSecondNs } from '../market/timestamp.js';
import { type PrimarySignalName, primarySides } from '../primary/primary-signal.js';
import type { StoredBars } from '../shared-memory/stored-bars.js';
import type { SignalRecord } from '../state/records.js';
import type { StoredState } from '../state/stored-state.js';
import type { TrainingSeries } from '../training/training-series.js';

/** What of the store a training reads. */
export type SeriesSource = Pick<StoredState<unknown>, 'instrument' | 'barsOf' | 'signal' | 'signals' | 'signalExtent'>;

export interface StoredSeriesOptions {
  /** Newest bars of each instrument. */
  readonly barsMax: number;
  readonly userFeatures: readonly string[];
  /** Names of the user's features as a signal was recorded; they may have been configured differently then. */
  readonly namesAt: (ordinal: number) => readonly string[];
  /** Fills in sides before the first recorded one of an instrument that has fewer than {@link SIDES_MIN}; null: nothing does. */
  readonly primarySignal: PrimarySignalName | null;
  readonly clock: Clock;
}

/** Recorded signals of an instrument, the others being few. */
const SIDES_MIN = 5000;
/** Time main reads before other events have their turn. */
const SLICE_NS = 1_000_000;
const DAY_NS = 86_400_000_000_000n;

/** Training series from what was recorded: bars with their toxicity as stored, and on each bar the side of the newest signal that saw it as its last, with the user's features. Instruments without a side are left out. */
export async function storedSeries(source: SeriesSource, options: StoredSeriesOptions): Promise<TrainingSeries[]> {
  const pause = breather(options.clock);
  const drafts = new Map<string, Draft>();
  let oldestNs: bigint | null = null;
  for (let index = 0; ; index++) {
    const instrument = source.instrument(index);
    if (instrument === null) break;
    const { instrumentId, firstSequence, newest } = instrument;
    const first = Math.max(firstSequence, newest + 1 - options.barsMax);
    const draft = new Draft(instrumentId, first, newest + 1 - first, options.userFeatures);
    for (const block of source.barsOf(instrument, first, newest)) {
      draft.take(block);
      await pause();
    }
    if (oldestNs === null || draft.firstNs < oldestNs) oldestNs = draft.firstNs;
    drafts.set(instrumentId, draft);
  }
  for (const signal of source.signals(oldestNs === null ? 0 : firstSince(source, oldestNs))) {
    drafts.get(signal.instrumentId)?.mark(signal, options.namesAt(signal.ordinal));
    await pause();
  }
  return [...drafts.values()].flatMap((draft) => draft.toSeries(options.primarySignal) ?? []);
}

/** An ordinal before which no signal came later than a day before the instant: answers are recorded nearly in the order of their signals. */
function firstSince(source: SeriesSource, instantNs: bigint): number {
  const extent = source.signalExtent();
  if (extent === null) return 0;
  let below = extent.first;
  let above = extent.newest + 1;
  while (above - below > 1) {
    const middle = (below + above) >> 1;
    if ((source.signal(middle)?.timestampNs ?? 0n) < instantNs - DAY_NS) below = middle;
    else above = middle;
  }
  return below;
}

/** Gives other events their turn whenever a slice of time is used up. */
function breather(clock: Clock): () => Promise<void> | undefined {
  let until = clock.monotonicNs() + SLICE_NS;
  return () => {
    if (clock.monotonicNs() < until) return undefined;
    return nextTurn().then(() => {
      until = clock.monotonicNs() + SLICE_NS;
    });
  };
}

/** One series in shared memory, as a training thread takes it without a copy. */
class Draft {
  private readonly tsEventNs: BigInt64Array;
  private readonly columns: Readonly<Record<(typeof COLUMNS)[number], Float64Array>>;
  private readonly sides: Int8Array;
  private readonly decidedNs: BigInt64Array;
  private readonly features: Readonly<Record<string, Float64Array>>;
  private sideCount = 0;
  private firstSide = Number.POSITIVE_INFINITY;

  constructor(
    private readonly instrumentId: string,
    private readonly first: number,
    count: number,
    private readonly userFeatures: readonly string[],
  ) {
    const column = (): Float64Array => new Float64Array(new SharedArrayBuffer(8 * count)).fill(Number.NaN);
    this.tsEventNs = new BigInt64Array(new SharedArrayBuffer(8 * count));
    this.columns = Object.fromEntries(COLUMNS.map((name) => [name, column()])) as typeof this.columns;
    this.sides = new Int8Array(new SharedArrayBuffer(count));
    this.decidedNs = new BigInt64Array(new SharedArrayBuffer(8 * count));
    this.features = Object.fromEntries(userFeatures.map((name) => [name, column()]));
  }

  take({ firstSequence, count, columns }: StoredBars): void {
    const skipped = Math.max(0, this.first - firstSequence);
    const at = firstSequence + skipped - this.first;
    const room = Math.min(count - skipped, this.sides.length - at);
    if (room <= 0) return;
    this.tsEventNs.set(columns.tsEventNs.subarray(skipped, skipped + room), at);
    for (const name of COLUMNS) this.columns[name].set(columns[name].subarray(skipped, skipped + room), at);
  }

  get firstNs(): bigint {
    return this.tsEventNs[0] ?? 0n;
  }

  /** `names`: of the user's values, in their order. What is not among them is unknown. */
  mark({ asOf, side, timestampNs, userValues, degraded }: SignalRecord, names: readonly string[]): void {
    const bar = asOf - this.first;
    if (bar < 0 || bar >= this.sides.length) return;
    // It should have seen a later bar, which came after it or never.
    const decidedNs = wholeSecondNs(timestampNs);
    if (degraded === 'bar-missing' || (bar + 1 < this.sides.length && this.tsEventNs[bar + 1]! <= decidedNs)) return;
    this.decidedNs[bar] = decidedNs;
    if (this.sides[bar] === 0) this.sideCount++;
    this.sides[bar] = side;
    this.firstSide = Math.min(this.firstSide, bar);
    for (const name of this.userFeatures) this.features[name]![bar] = userValues[names.indexOf(name)] ?? Number.NaN;
  }

  toSeries(primarySignal: PrimarySignalName | null): TrainingSeries | null {
    const { open, high, low, close, volume, vpin: toxicity } = this.columns;
    const bars = BarSeries.from({ tsEventNs: this.tsEventNs, open, high, low, close, volume });
    if (primarySignal !== null && this.sideCount < SIDES_MIN) {
      const until = Math.min(this.firstSide, bars.length);
      this.sides.set(primarySides(primarySignal, bars).subarray(0, until));
    } else if (this.sideCount === 0) return null;
    const { instrumentId, sides, decidedNs, features } = this;
    return { instrumentId, bars, sides, decidedNs, features, toxicity };
  }
}

const COLUMNS = ['open', 'high', 'low', 'close', 'volume', 'vpin'] as const;
