import { OrchestratorError } from '../errors.js';
import { invariant } from '../invariant.js';
import type { TripleBarrier } from '../labeling/barrier.js';
import { BarrierFollower } from '../labeling/barrier-follower.js';
import type { OutcomeEvent } from '../market/events.js';
import { RecentIds } from '../recent-ids.js';
import type { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import type { FollowedSignal, OpenSignal } from './followed-signal.js';
import { InstrumentBook } from './instrument-book.js';
import { OrderedQueue } from './ordered-queue.js';
import {
  barrierOutcome,
  readSuppliedOutcome,
  type SuppliedOutcome,
  suppliedOutcome,
  unlabelledOutcome,
  withUnitKnown,
} from './outcome-event.js';

/** Closed signals that are remembered, so that a late outcome is refused as such. */
export const CLOSED_IDS = 65_536;
/** Closed signals that may wait in the list of ordinals beside as many as are open. */
const CLOSED_ORDINALS_MAX = 1024;

export interface OutcomeLedgerOptions<P> {
  readonly reader: FeatureStoreReader;
  readonly barrier: TripleBarrier;
  /** Event time without a bar of its instrument after which a signal expires. */
  readonly expiryNs: bigint;
  /** Once for every signal: it has an outcome. */
  readonly onResolved: (signal: FollowedSignal<P>, outcome: OutcomeEvent) => void;
  /** Once for every signal, after `onResolved`: nothing can change any more, and `outcome` is what counts. With a label, its path began with bar `firstBar`. */
  readonly onClosed: (signal: FollowedSignal<P>, outcome: OutcomeEvent, firstBar: number) => void;
  /** A bar came after signals that should have seen it; they are censored. Once for every such bar. */
  readonly onLateBar: (instrument: number, sequence: number) => void;
}

/** A signal that was open when the process ended, with the outcome it had been told by then. */
export interface OpenRecord<P> {
  readonly signal: FollowedSignal<P>;
  readonly outcome: OutcomeEvent | null;
}

/**
 * Follows answered signals on the live bars to their triple-barrier outcomes (López de Prado 2018, ch. 3), with the code that labels the training data: the same bits.
 *
 * The path of a signal begins with the first bar that opens at or after its timestamp, and its horizon of H bars counts from there. A signal is *resolved* when its barriers are met, it times
 * out, or the user says how it ended. It is *closed* when the last bar of its horizon is stored, whenever it was resolved; signals of an instrument close in signal time. Statistics use closed signals alone. The latest resolved ones are a biased sample: with a stop nearer than the
 * profit, whatever resolves early is mostly stops, and what is still open is missing.
 *
 * Without a label, resolved and closed at once: *censored* signals, which had no volatility, whose as-of window or path is not in the ring (what is lost on the way closes in its turn), or
 * which should have seen a bar that came after them; *expired* ones, whose instrument has had no bar for `expiryNs` of event time, which is the newest bar close of any instrument. An expired
 * signal loses a label it may have been told, which without a closed horizon would be one of the early ones. Statistics skip what has no meta-label.
 *
 * Owned by the main thread, which also writes the bars. Listeners are called synchronously and may call back. One that throws interrupts the call it was told in; nothing
 * is told twice, and the rest is made up for with the next bar.
 */
export class OutcomeLedger<P> {
  private readonly signals = new Map<string, OpenSignal<P>>();
  private readonly closedIds = new RecentIds(CLOSED_IDS);
  private readonly books: (InstrumentBook<P> | undefined)[] = [];
  /** Signals by ordinal; closed ones stay until they come to the front or are too many. */
  private readonly ordinals = new OrderedQueue<OpenSignal<P>>((a, b) => a.signal.ordinal < b.signal.ordinal);
  /** Books with open signals, by when they may have gone quiet. */
  private readonly watched = new OrderedQueue<InstrumentBook<P>>((a, b) => a.lookAtNs! < b.lookAtNs!);
  private eventNs = 0n;

  constructor(private readonly options: OutcomeLedgerOptions<P>) {}

  get openCount(): number {
    return this.signals.size;
  }

  isOpen(signalId: string): boolean {
    return this.signals.has(signalId);
  }

  /** Of an open signal; null for any other. */
  ordinalOf(signalId: string): number | null {
    return this.signals.get(signalId)?.signal.ordinal ?? null;
  }

  /** Newest bar of an instrument that signals were followed to; −1 before the first. */
  followedTo(instrument: number): number {
    return this.books[instrument]?.followedTo ?? -1;
  }

  /** The smallest ordinal of an open signal; null when none is open. */
  floor(): number | null {
    while (this.ordinals.peek()?.isClosed) this.ordinals.shift();
    return this.ordinals.peek()?.signal.ordinal ?? null;
  }

  /**
   * Follows a signal from the first bar of its path on; bars that are stored already count at once, so it may be resolved and closed inside the call. False for a signal whose id
   * is open: ids name one signal at a time, and the first of them is followed. A closed signal's id may come again.
   */
  follow(signal: FollowedSignal<P>): boolean {
    if (this.signals.has(signal.signalId)) return false;
    const book = this.bookOf(signal.instrument);
    const open = this.take(signal, null, book);
    if (book === null || open.isClosed) return true;
    const { newest } = book;
    if (this.isQuiet(book) && !this.isOver(signal)) {
      this.finish(open, unlabelledOutcome(signal, 'expired'));
      return true;
    }
    this.enlist(open, book);
    if (book.followedTo < newest) this.advance(book, newest);
    else {
      this.step(open, book, newest, book.oldest);
      if (!book.isAdvancing) this.closeDue(book, newest);
    }
    return true;
  }

  /**
   * After a restart: takes up the signals that were open, in any order, and follows them again on the stored bars, silently: what was told stays as it was told, a user's
   * outcome above all, and is not told again. What the bars resolve or close beyond that is told here, in signal time instrument by instrument; usually nothing.
   * As-of counts in the sequence numbers of this store. A signal whose window is gone keeps an outcome it was told if its horizon has closed, else it is censored.
   */
  restore(records: Iterable<OpenRecord<P>>): void {
    const restored = new Set<InstrumentBook<P>>();
    for (const { signal, outcome } of records) {
      if (this.signals.has(signal.signalId)) continue;
      const book = this.bookOf(signal.instrument);
      const open = this.take(signal, outcome, book);
      if (book === null || open.isClosed) continue;
      this.enlist(open, book);
      restored.add(book);
    }
    for (const book of restored) {
      if (book.newestNs > this.eventNs) this.eventNs = book.newestNs;
      this.advance(book, book.newest);
    }
    this.expireQuiet();
  }

  /** To be called after a bar was published. Costs a step for every open signal of the instrument. */
  onBar(instrument: number, sequence: number): void {
    const book = this.bookOf(instrument);
    invariant(book !== null, 'a bar has an instrument');
    if (sequence > book.followedTo) this.advance(book, sequence);
    const { newestNs } = book;
    const isLater = newestNs > this.eventNs;
    if (isLater) this.eventNs = newestNs;
    book.quietSinceNs = this.eventNs;
    if (isLater) this.expireQuiet();
  }

  /**
   * Takes the user's word for how an open signal ended. It replaces what the barriers found or would have found, the kind of outcome and all returns: meta-label and net
   * return follow from the given gross return by the rule for labels, `grossR` is that return in the barriers' unit (null until the entry bar is stored; filled in by the
   * closing), there is no exit bar, and the source is 'user'. It changes neither when the signal closes nor any other signal. The signal is resolved by it unless it was
   * before; `onResolved` is not called a second time. Of several, the last before the horizon closes counts.
   * Throws UNKNOWN_SIGNAL for an id that is neither open nor among the last that this process closed, OUTCOME_FINAL for one that is closed, since statistics have used what it had,
   * and INVALID_OUTCOME with the field at fault.
   */
  recordOutcome(signalId: string, supplied: SuppliedOutcome): OutcomeEvent {
    const open = this.signals.get(signalId);
    if (open === undefined) {
      throw this.closedIds.has(signalId)
        ? new OrchestratorError('OUTCOME_FINAL', `signal ${signalId} is closed`, { field: 'signalId' })
        : new OrchestratorError('UNKNOWN_SIGNAL', `no signal ${signalId} is open`, { field: 'signalId' });
    }
    const { signal } = open;
    const read = readSuppliedOutcome(supplied, signal.side);
    const outcome = suppliedOutcome(signal, read, unitReturnOf(open), this.options.barrier);
    this.resolve(open, outcome);
    return outcome;
  }

  /** null for an instrument that is not in the store. */
  private bookOf(instrument: number): InstrumentBook<P> | null {
    const known = this.books[instrument];
    if (known !== undefined) return known;
    if (instrument < 0) return null;
    const book = new InstrumentBook<P>(this.options.reader, instrument);
    this.books[instrument] = book;
    return book;
  }

  /** Whether the stored bars reach to the end of a signal's horizon of so many bars, or say that it has no label. */
  isOver(signal: FollowedSignal<P>, maxHoldingBars = this.options.barrier.maxHoldingBars): boolean {
    const { instrument, asOf, timestampNs, isBarMissing } = signal;
    const book = this.bookOf(instrument);
    if (book === null) return false;
    const { newest } = book;
    if (asOf < book.oldest) return asOf + maxHoldingBars <= newest;
    const start = book.pathStart(timestampNs, asOf, newest, book.intervalAt(asOf));
    if (start.kind === 'bar') return isBarMissing ? start.bar <= newest : start.bar + maxHoldingBars - 1 <= newest;
    return start.kind === 'late';
  }

  /** The signal at its as-of bar; closed already when it cannot be followed. */
  private take(signal: FollowedSignal<P>, told: OutcomeEvent | null, book: InstrumentBook<P> | null): OpenSignal<P> {
    const { asOf, side } = signal;
    invariant(side === 1 || side === -1, 'a flat signal has no outcome');
    const unit = book === null ? Number.NaN : book.unitAt(asOf);
    const isFollowed = book !== null && unit > 0;
    const open: OpenSignal<P> = {
      signal,
      unit,
      intervalNs: !isFollowed || book.isAtClose(signal) ? null : book.intervalAt(asOf),
      lookedTo: asOf,
      // Without a unit nothing is followed, and only an outcome that was told may wait for the end of the horizon.
      closesAt: isFollowed ? Number.POSITIVE_INFINITY : asOf + this.options.barrier.maxHoldingBars,
      follower: null,
      outcome: told,
      isClosed: false,
    };
    if (told !== null && told.metaLabel === null) this.finish(open, told);
    else if (!isFollowed && !(told !== null && book !== null && open.closesAt <= book.newest)) {
      this.finish(open, unlabelledOutcome(signal, 'censored'));
    }
    return open;
  }

  /** Has the path of a signal begin, if a bar up to `sequence` is its first. */
  private begin(open: OpenSignal<P>, book: InstrumentBook<P>, sequence: number, oldest: number): void {
    const { signal, unit, lookedTo, intervalNs } = open;
    if (lookedTo < oldest) {
      open.closesAt = sequence;
      if (open.outcome === null || signal.isBarMissing) this.censor(open, sequence);
      return;
    }
    const start = book.pathStart(signal.timestampNs, lookedTo, sequence, intervalNs);
    open.lookedTo = Math.max(lookedTo, sequence);
    if (start.kind === 'open') return;
    if (start.kind === 'late') {
      book.late.push(open);
      this.censor(open, start.bar);
      if (start.bar <= book.lateTo) return;
      book.lateTo = start.bar;
      this.options.onLateBar(book.instrument, start.bar);
    } else if (!signal.isBarMissing) {
      open.closesAt = start.bar + this.options.barrier.maxHoldingBars - 1;
      open.follower = new BarrierFollower(this.options.barrier);
      open.follower.start(book.path, start.bar, signal.side, unit, book.isAtClose(signal));
    } else if (start.bar <= sequence) this.censor(open, start.bar);
  }

  /** It has no label, whatever was told, and closes in its turn, with bar `closesAt` at the earliest. */
  private censor(open: OpenSignal<P>, closesAt: number): void {
    open.closesAt = closesAt;
    open.follower = null;
    this.resolve(open, unlabelledOutcome(open.signal, 'censored'));
  }

  private enlist(open: OpenSignal<P>, book: InstrumentBook<P>): void {
    this.signals.set(open.signal.signalId, open);
    book.open.insert(open);
    this.ordinals.insert(open);
    if (this.ordinals.length > 2 * this.signals.size + CLOSED_ORDINALS_MAX) this.ordinals.keep((one) => !one.isClosed);
    if (book.lookAtNs === null) this.watch(book);
  }

  private advance(book: InstrumentBook<P>, sequence: number): void {
    book.followedTo = Math.max(book.followedTo, sequence);
    book.isAdvancing = true;
    const { oldest, open } = book;
    try {
      // A listener may follow another signal meanwhile: that moves signals back, and stepping one again to the same bar does nothing.
      for (let k = 0; k < open.length; k++) this.step(open.at(k)!, book, sequence, oldest);
      this.closeDue(book, sequence);
    } finally {
      book.isAdvancing = false;
    }
  }

  private step(open: OpenSignal<P>, book: InstrumentBook<P>, sequence: number, oldest: number): void {
    if (open.closesAt === Number.POSITIVE_INFINITY) this.begin(open, book, sequence, oldest);
    const { signal, follower } = open;
    const state = book.step(open, sequence, oldest);
    if (state === 'followed') return;
    if (state === 'lost') open.follower = null;
    if (open.outcome !== null) return;
    if (state === 'lost') this.resolve(open, unlabelledOutcome(signal, 'censored'));
    else this.resolve(open, barrierOutcome(signal, follower!, book.tsEventNs(follower!.bar)));
  }

  private resolve(open: OpenSignal<P>, outcome: OutcomeEvent): void {
    const isFirst = open.outcome === null;
    open.outcome = outcome;
    if (isFirst) this.options.onResolved(open.signal, outcome);
  }

  private closeDue(book: InstrumentBook<P>, sequence: number): void {
    for (let front = book.open.peek(); front !== undefined; front = book.open.peek()) {
      if (front.closesAt > sequence || front.outcome === null) break;
      book.open.shift();
      this.finish(front, withUnitKnown(front.outcome, unitReturnOf(front)));
    }
    for (let late = book.takeLate(); late !== undefined; late = book.takeLate()) {
      this.finish(late, unlabelledOutcome(late.signal, 'censored'));
    }
  }

  private finish(open: OpenSignal<P>, outcome: OutcomeEvent): void {
    const { signal } = open;
    open.isClosed = true;
    this.signals.delete(signal.signalId);
    this.closedIds.add(signal.signalId);
    try {
      this.resolve(open, outcome);
    } finally {
      this.options.onClosed(signal, outcome, open.closesAt - this.options.barrier.maxHoldingBars + 1);
    }
  }

  private isQuiet(book: InstrumentBook<P>): boolean {
    return book.quietSinceNs + this.options.expiryNs <= this.eventNs;
  }

  private watch(book: InstrumentBook<P>): void {
    book.lookAtNs = book.quietSinceNs + this.options.expiryNs;
    this.watched.insert(book);
  }

  /** Looks only at the books whose time has come; most have had bars since and are put back, once an `expiryNs`. */
  private expireQuiet(): void {
    for (let book = this.watched.peek(); book !== undefined; book = this.watched.peek()) {
      if (book.lookAtNs! > this.eventNs) return;
      this.watched.shift();
      book.lookAtNs = null;
      if (book.open.length === 0) continue;
      if (!this.isQuiet(book)) {
        this.watch(book);
        continue;
      }
      this.expire(book);
    }
  }

  private expire(book: InstrumentBook<P>): void {
    try {
      for (let open = book.open.shift(); open !== undefined; open = book.open.shift()) {
        this.finish(open, unlabelledOutcome(open.signal, 'expired'));
      }
    } finally {
      if (book.open.length > 0 && book.lookAtNs === null) this.watch(book);
    }
  }
}

function unitReturnOf<P>({ follower }: OpenSignal<P>): number {
  return follower?.unitReturn ?? Number.NaN;
}
