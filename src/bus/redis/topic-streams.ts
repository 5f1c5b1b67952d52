import { type Clock, NS_PER_MS } from '../../clock.js';
import { BARS } from '../nautilus-topics.js';
import { type EntryId, STREAM_START } from './entry-id.js';

/**
 * How soon it is looked again for streams after new ones were found, and how long at the most: each
 * time twice as long as before.
 */
const PAUSE_MS_MIN = 10;
const PAUSE_MS_MAX = 5000;
/** Instruments that are remembered; of more, none makes anybody look. */
const INSTRUMENTS_MAX = 4096;
/** Of every partition's keys. */
const OWN_PREFIX = 'ml4t:{';
const GLOB = /[*?[]/;

export interface TopicStreamsParts {
  /** Keys and patterns. */
  readonly configured: readonly string[];
  readonly signalTopics: readonly string[];
  readonly clock: Clock;
}

/**
 * Which streams of topics are read, and how far each has been. Those that are named are read from
 * the beginning, whether there are any or not; those that match a pattern when they are found. It
 * is looked for them every five seconds, in short steps after some were found, and before anything
 * is brought that may come of a stream nobody knows yet: the first entry of a stream that was
 * waited for, and the first signal of an instrument. So the number of looks is bounded by that of
 * streams and instruments. With the bars of a trader its signals are waited for, without a look.
 */
export class TopicStreams {
  readonly places = new Map<string, EntryId>();
  readonly patterns: readonly string[];
  /** That have had no entry. */
  private readonly awaited = new Set<string>();
  private readonly instruments = new Set<string>();
  private pauseMs = PAUSE_MS_MIN;
  private dueNs = 0;

  /** `gathered`: how far streams were gathered before. */
  constructor(
    private readonly parts: TopicStreamsParts,
    private readonly gathered: ReadonlyMap<string, EntryId>,
  ) {
    this.patterns = parts.configured.filter((name) => GLOB.test(name));
    for (const name of parts.configured) if (!GLOB.test(name)) this.await(name);
    this.dueNs = parts.clock.monotonicNs();
  }

  /**
   * Until it has to be looked for streams; negative when that is due, and no number at all where no
   * pattern is configured.
   */
  get dueMs(): number {
    if (this.patterns.length === 0) return Number.POSITIVE_INFINITY;
    return (this.dueNs - this.parts.clock.monotonicNs()) / NS_PER_MS;
  }

  /** What a look at the server has found. */
  found(names: Iterable<string>): void {
    let isNew = false;
    for (const name of names) {
      isNew = this.add(name) || isNew;
      this.awaited.delete(name);
    }
    for (const name of this.likely()) this.await(name);
    this.pauseMs = isNew ? PAUSE_MS_MIN : Math.min(2 * this.pauseMs, PAUSE_MS_MAX);
    this.dueNs = this.parts.clock.monotonicNs() + this.pauseMs * NS_PER_MS;
  }

  /**
   * Whether an entry may have come of, or after, one of a stream that is not known: true once for
   * the same news. `instrumentId`: of a signal.
   */
  isNews(stream: string, instrumentId: string | null): boolean {
    const isFirst = this.awaited.delete(stream);
    if (this.patterns.length === 0) return false;
    if (instrumentId === null || this.instruments.has(instrumentId)) return isFirst;
    if (this.instruments.size === INSTRUMENTS_MAX) return isFirst;
    this.instruments.add(instrumentId);
    return true;
  }

  private await(name: string): void {
    if (this.add(name)) this.awaited.add(name);
  }

  /** False for one that is known. What this system writes must not come back. */
  private add(name: string): boolean {
    if (this.places.has(name) || name.startsWith(OWN_PREFIX)) return false;
    this.places.set(name, this.gathered.get(name) ?? STREAM_START);
    return true;
  }

  /** Signals of those whose bars are known, as far as a pattern takes them. */
  private likely(): Set<string> {
    const prefixes = this.patterns.flatMap((pattern) => {
      const prefix = pattern.slice(0, -1);
      return pattern.endsWith('*') && !GLOB.test(prefix) ? [prefix] : [];
    });
    const stems = new Set(
      [...this.places.keys()].flatMap((name) => (name.includes(BARS) ? [name.slice(0, name.indexOf(BARS))] : [])),
    );
    const names = [...stems].flatMap((stem) => this.parts.signalTopics.map((topic) => stem + topic));
    return new Set(names.filter((name) => prefixes.some((prefix) => name.startsWith(prefix))));
  }
}
