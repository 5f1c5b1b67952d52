import type { BarPath } from '../labeling/barrier-follower.js';
import { type PathStart, pathStart } from '../labeling/path-start.js';
import { ATR_PERIOD, averageTrueRangeAt } from '../market/atr.js';
import { type BarTimes, barIntervalNs } from '../market/bar-interval.js';
import type { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import { type FollowedSignal, isEarlier, type OpenSignal } from './followed-signal.js';
import { OrderedQueue } from './ordered-queue.js';

/** The open signals of one instrument, in signal time, and the bars they are followed on. */
export class InstrumentBook<P> {
  readonly open = new OrderedQueue<OpenSignal<P>>(isEarlier);
  /** The bar up to which all of them were followed. */
  followedTo: number;
  /** Event time when its last bar came; for bars from before the process started, the last one's close. */
  quietSinceNs: bigint;
  /** When to look next whether it went quiet; null while nobody has to look. */
  lookAtNs: bigint | null = null;
  /** The newest bar that came after a signal that should have seen it. */
  lateTo = -1;
  /** Signals that should have seen a bar that came after them, and were not closed yet. */
  readonly late: OpenSignal<P>[] = [];
  /** Set while its signals are stepped and closed. */
  isAdvancing = false;
  /** The bars its signals are followed on. */
  readonly path: BarPath;
  private readonly times: BarTimes;
  /** The unit that was worked out last, and of which bar: signals of one instrument come many to a bar. */
  private unit = Number.NaN;
  private unitBar = -1;
  private interval: bigint | null = null;
  private intervalBar = -1;

  constructor(
    private readonly reader: FeatureStoreReader,
    readonly instrument: number,
  ) {
    const { base, mask, high, low, close } = reader.columnsOf(instrument);
    this.path = { base, mask, open: reader.open, high, low, close };
    this.times = { base, mask, tsEventNs: reader.closeTimes };
    this.followedTo = this.newest;
    this.quietSinceNs = this.newestNs;
  }

  /** Out of the open ones, before its turn: its time may lie so far ahead that this never comes. */
  takeLate(): OpenSignal<P> | undefined {
    for (let late = this.late.shift(); late !== undefined; late = this.late.shift()) {
      const found = late;
      if (found.isClosed) continue;
      this.open.keep((one) => one !== found);
      return found;
    }
    return undefined;
  }

  get newest(): number {
    return this.reader.newest(this.instrument);
  }

  /** Close of the newest bar; 0 without any. */
  get newestNs(): bigint {
    const { newest } = this;
    return newest < 0 ? 0n : this.reader.tsEventNs(this.instrument, newest);
  }

  /** ATR(14, simple) of a bar, the same bits as of the whole series; NaN where the bars that make it up are not in the ring. */
  unitAt(asOf: number): number {
    const isStored = asOf >= 0 && asOf <= this.newest && Math.max(asOf - ATR_PERIOD, 0) >= this.oldest;
    if (!isStored) return Number.NaN;
    if (asOf !== this.unitBar) {
      this.unit = averageTrueRangeAt(this.path, asOf);
      this.unitBar = asOf;
    }
    return this.unit;
  }

  tsEventNs(sequence: number): bigint {
    return this.reader.tsEventNs(this.instrument, sequence);
  }

  get oldest(): number {
    return this.reader.oldest(this.instrument);
  }

  /** Whether a signal was decided at the close of its as-of bar. */
  isAtClose({ asOf, timestampNs }: Pick<FollowedSignal<P>, 'asOf' | 'timestampNs'>): boolean {
    return asOf >= this.oldest && this.tsEventNs(asOf) === timestampNs;
  }

  /** Of the bars up to `asOf`; null where they have none. */
  intervalAt(asOf: number): bigint | null {
    if (asOf !== this.intervalBar) {
      this.interval = barIntervalNs(this.times, asOf, this.oldest);
      this.intervalBar = asOf;
    }
    return this.interval;
  }

  /**
   * Where the path of a signal begins, looked for after bar `from`, up to which nothing was found
   * and which lies in the ring.
   */
  pathStart(decidedNs: bigint, from: number, newest: number, intervalNs: bigint | null): PathStart {
    return pathStart(this.times, from, newest, decidedNs, intervalNs);
  }

  /** Follows a signal up to a bar. 'left' when that ends its position, 'lost' when a bar on its way is older than `oldest`, the first that can be read. */
  step({ follower }: OpenSignal<P>, sequence: number, oldest: number): 'followed' | 'left' | 'lost' {
    if (follower === null || follower.outcome !== null || follower.bar >= sequence) return 'followed';
    if (follower.bar + 1 < oldest) return 'lost';
    follower.follow(this.path, sequence);
    return follower.outcome === null ? 'followed' : 'left';
  }
}
