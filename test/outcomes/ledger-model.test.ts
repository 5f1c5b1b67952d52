import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { completeTripleBarrier, OUTCOMES, tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { averageTrueRange } from '../../src/market/atr.js';
import { type Bar, BarSeries } from '../../src/market/bar.js';
import { barIntervalNs } from '../../src/market/bar-interval.js';
import type { OutcomeEvent } from '../../src/market/events.js';
import type { SuppliedOutcome } from '../../src/outcomes/outcome-event.js';
import { FIRST_CLOSE_NS, MINUTE_NS } from '../support/market.js';
import { LEDGER_LIVES } from '../support/sizes.js';
import { LiveRun, roughBars, type Signal, type Told } from './live-run.js';

const INSTRUMENTS = ['X', 'Y', 'Z'];
const CAPACITY = 64;
const EXPIRY_MINUTES = 100;
const EXPIRY_NS = BigInt(EXPIRY_MINUTES) * MINUTE_NS;
const BARS_MAX = 1500;

const instrument = fc.nat({ max: INSTRUMENTS.length - 1 });
const operations = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('bar' as const), instrument, gap: fc.constantFrom(0, 1, 1, 2, 45) }),
  },
  // 63 bars at once are just not too many for the ring, 64 are.
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('burst' as const), instrument, count: fc.constantFrom(3, 63, 64) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('follow' as const),
      instrument,
      side: fc.constantFrom(-1 as const, 1 as const),
      back: fc.oneof(fc.constant(0), fc.nat({ max: 12 }), fc.nat({ max: 70 })),
      // Mostly at the bar's close, or so shortly after that nothing lies between; some between bars, and beyond the next.
      lateNs: fc.oneof(
        fc.constantFrom(0n, 0n, 0n, 1n, 3n),
        fc.constantFrom(50n, 70n, 190n).map((s) => s * 1_000_000_000n),
      ),
      isBarMissing: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      again: fc.option(fc.nat(), { freq: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('user' as const),
      which: fc.nat(),
      outcome: fc.constantFrom(...OUTCOMES),
      grossReturn: fc.double({ min: -0.5, max: 0.5, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);
type Operation = typeof operations extends fc.Arbitrary<infer O> ? O : never;

const barriers = fc.record({
  maxHoldingBars: fc.integer({ min: 1, max: 12 }),
  ptMultiplier: fc.constantFrom(1, 2),
  touch: fc.constantFrom('close' as const, 'high-low' as const),
  entry: fc.constantFrom('signal-close' as const, 'next-open' as const),
  costBps: fc.constant(5),
  labelCost: fc.constantFrom('gross' as const, 'net' as const),
});
type Barrier = typeof barriers extends fc.Arbitrary<infer O> ? O : never;

/** What the model knows of one signal. */
interface Expected {
  readonly signal: Signal;
  supplied: SuppliedOutcome | null;
  /** The position had been entered when the user spoke. */
  isEntered: boolean;
  /** The way from its as-of was overwritten before it could be followed. */
  isLost: boolean;
  /** The newest bar when it was lost before its path began. */
  lostAt: number | null;
  end: 'label' | 'censored' | 'expired' | null;
  /** Of its instrument's bars, as it could be told when the signal was taken up. */
  readonly intervalNs: bigint | null;
  /** Closed before the last restart, so that its id is forgotten. */
  isForgotten: boolean;
}

interface Market {
  readonly source: BarSeries;
  readonly bars: Bar[];
  quietSinceNs: bigint;
}

/** The ledger's promises in the plainest words: every question is answered from the whole history. */
class Model {
  readonly signals: Expected[] = [];
  readonly markets: Market[];
  eventNs = 0n;

  constructor(
    seed: number,
    private readonly barrier: Barrier,
  ) {
    this.markets = INSTRUMENTS.map((_, k) => ({
      source: roughBars(BARS_MAX, 3 * seed + k),
      bars: [],
      quietSinceNs: 0n,
    }));
  }

  get open(): Expected[] {
    return this.signals.filter(({ end }) => end === null);
  }

  openOf(market: number): Expected[] {
    return this.open.filter(({ signal }) => signal.instrument === market);
  }

  nextBar(market: number, tsEventNs: bigint): Bar {
    const { source, bars } = this.markets[market]!;
    const bar = { ...source.at(bars.length), tsEventNs };
    bars.push(bar);
    return bar;
  }

  /** Bars have come, and the ledger was told of the last. */
  barsCame(market: number, followedTo: number): void {
    const one = this.markets[market]!;
    const oldest = one.bars.length + 1 - CAPACITY;
    for (const expected of this.openOf(market)) {
      const hasBegun = this.startOf(expected, followedTo).kind === 'bar';
      if (!hasBegun && this.startOf(expected, followedTo).kind === 'late') continue;
      const from = hasBegun ? followedTo + 1 : followedTo;
      if (this.labelOf(expected, followedTo + 1) === null && from < oldest) {
        expected.isLost = true;
        if (!hasBegun) expected.lostAt = one.bars.length - 1;
      }
    }
    this.closeDue(market);
    const closeNs = one.bars.at(-1)!.tsEventNs;
    if (closeNs > this.eventNs) this.eventNs = closeNs;
    one.quietSinceNs = this.eventNs;
    this.expire();
  }

  follow(signal: Signal): void {
    if (this.open.some((open) => open.signal.signalId === signal.signalId)) return;
    const expected: Expected = {
      ...{ signal, supplied: null, isEntered: false, isLost: false, lostAt: null, end: null, isForgotten: false },
      intervalNs: this.intervalOf(signal),
    };
    this.signals.push(expected);
    const { bars, quietSinceNs } = this.markets[signal.instrument] ?? { bars: [], quietSinceNs: 0n };
    const isHeld = signal.asOf >= 0 && Math.max(signal.asOf - 14, 0) >= bars.length + 1 - CAPACITY;
    if (!isHeld || !(this.unitOf(signal) > 0)) expected.end = 'censored';
    else if (!this.isOver(expected) && this.eventNs - quietSinceNs >= EXPIRY_NS) expected.end = 'expired';
    else this.closeDue(signal.instrument);
  }

  restart(): void {
    for (const expected of this.signals) expected.isForgotten ||= expected.end !== null;
    for (const expected of this.open) {
      // What is known to have no label is not taken up again.
      if (expected.supplied === null && (expected.isLost || this.hasNoLabel(expected))) expected.end = 'censored';
    }
    this.eventNs = 0n;
    for (const [k, one] of this.markets.entries()) {
      one.quietSinceNs = one.bars.at(-1)?.tsEventNs ?? 0n;
      if (this.openOf(k).length > 0 && one.quietSinceNs > this.eventNs) this.eventNs = one.quietSinceNs;
    }
    this.expire();
  }

  isResolved(expected: Expected): boolean {
    const { supplied, isLost, end } = expected;
    return end !== null || supplied !== null || isLost || this.hasNoLabel(expected) || this.labelOf(expected) !== null;
  }

  /** The outcome that counts in the end. */
  outcomeOf(expected: Expected): OutcomeEvent {
    const { signal, supplied, isEntered, isLost, end } = expected;
    const names = { signalId: signal.signalId, instrumentId: signal.instrumentId };
    const nowhere = { ambiguous: false, exitSequence: -1, exitNs: 0n };
    if (end === 'label' && supplied !== null) {
      const { costBps, labelCost, entry } = this.barrier;
      const { bars } = this.markets[signal.instrument]!;
      const netReturn = supplied.grossReturn - costBps / 10_000;
      const metaLabel = (labelCost === 'net' ? netReturn : supplied.grossReturn) > 0 ? 1 : 0;
      const start = this.startOf(expected);
      const first = start.kind === 'bar' ? start.bar : Number.NaN;
      const isAtClose = entry === 'signal-close' && this.isAtClose(signal);
      const entryPrice = isAtClose ? bars[signal.asOf]!.close : bars[first]?.open;
      const isUnknown = entryPrice === undefined || (isLost && !isEntered);
      const grossR = isUnknown ? null : supplied.grossReturn / (this.unitOf(signal) / entryPrice);
      return { ...names, ...supplied, source: 'user', metaLabel, netReturn, grossR, ...nowhere };
    }
    const label = isLost || end !== 'label' ? null : this.labelOf(expected);
    if (label !== null) return { ...names, ...label };
    const outcome = end === 'expired' ? 'expired' : 'censored';
    const nothing = { metaLabel: null, grossReturn: null, netReturn: null, grossR: null };
    return { ...names, outcome, source: 'barriers', ...nothing, ...nowhere };
  }

  /** In signal time, and none before one that is earlier. */
  private closeDue(market: number): void {
    for (const expected of this.openOf(market)) if (this.isLate(expected)) expected.end = 'censored';
    const inTime = this.openOf(market).sort((a, b) => inOrder(timesOf(a.signal), timesOf(b.signal)));
    for (const expected of inTime) {
      if (!this.isOver(expected)) return;
      expected.end = this.hasNoLabel(expected) ? 'censored' : 'label';
    }
  }

  /** The path's first bar: it opened, by the interval, at the signal's time or later. Or the bar that came although the signal should have seen it. */
  startOf(
    { signal, intervalNs }: Expected,
    newest = this.markets[signal.instrument]!.bars.length - 1,
  ): { kind: 'bar' | 'late'; bar: number } | { kind: 'open' } {
    const { bars } = this.markets[signal.instrument]!;
    const closeOf = (bar: number): bigint => bars[bar]!.tsEventNs;
    for (let bar = signal.asOf + 1; bar <= newest; bar++) {
      const openNs = intervalNs === null ? 0n : closeOf(bar) - intervalNs;
      if (openNs >= signal.timestampNs || closeOf(bar - 1) >= signal.timestampNs) return { kind: 'bar', bar };
      if (closeOf(bar) <= signal.timestampNs) return { kind: 'late', bar };
    }
    return closeOf(newest) >= signal.timestampNs ? { kind: 'bar', bar: newest + 1 } : { kind: 'open' };
  }

  /** Nothing that is known of it will change: it waits for no turn. */
  isLate(expected: Expected): boolean {
    return expected.lostAt === null && expected.signal.asOf >= 0 && this.startOf(expected).kind === 'late';
  }

  isAtClose({ instrument, asOf, timestampNs }: Signal): boolean {
    return this.markets[instrument]!.bars[asOf]!.tsEventNs === timestampNs;
  }

  hasEntered(expected: Expected): boolean {
    const start = this.startOf(expected);
    if (start.kind !== 'bar' || expected.signal.isBarMissing) return false;
    if (this.barrier.entry === 'signal-close' && this.isAtClose(expected.signal)) return true;
    return start.bar < this.markets[expected.signal.instrument]!.bars.length;
  }

  private isOver(expected: Expected): boolean {
    const newest = this.markets[expected.signal.instrument]!.bars.length - 1;
    if (expected.lostAt !== null) return true;
    if (this.hasNoLabel(expected)) return true;
    const start = this.startOf(expected);
    return start.kind === 'bar' && start.bar + this.barrier.maxHoldingBars - 1 <= newest;
  }

  /** It did not see a bar that it should have seen, and that came or whose next one came. */
  private hasNoLabel(expected: Expected): boolean {
    const { signal } = expected;
    const start = this.startOf(expected);
    if (expected.lostAt !== null) return signal.isBarMissing;
    if (start.kind === 'late') return true;
    const newest = this.markets[signal.instrument]!.bars.length - 1;
    return signal.isBarMissing && start.kind === 'bar' && start.bar <= newest;
  }

  private intervalOf({ instrument, asOf }: Signal): bigint | null {
    const bars = this.markets[instrument]?.bars ?? [];
    const times = { base: 0, mask: -1, tsEventNs: BigInt64Array.from(bars, ({ tsEventNs }) => tsEventNs) };
    return asOf < 0 ? null : barIntervalNs(times, asOf, Math.max(0, bars.length + 1 - CAPACITY));
  }

  private expire(): void {
    for (const expected of this.open) {
      const { quietSinceNs } = this.markets[expected.signal.instrument]!;
      if (this.eventNs - quietSinceNs >= EXPIRY_NS) expected.end = 'expired';
    }
  }

  private unitOf({ instrument, asOf }: Signal): number {
    return averageTrueRange(BarSeries.fromBars(this.markets[instrument]!.bars.slice(0, asOf + 1)))[asOf]!;
  }

  /** The batch label on the first `count` bars; cut out with the bars that make up its ATR, which gives the same bits, and without those between the signal and its path. */
  private labelOf(
    expected: Expected,
    count = this.markets[expected.signal.instrument]!.bars.length,
  ): Omit<OutcomeEvent, 'signalId' | 'instrumentId'> | null {
    const { signal } = expected;
    const start = this.startOf(expected, Math.max(count - 1, signal.asOf));
    if (start.kind !== 'bar' || signal.isBarMissing || signal.asOf >= count) return null;
    const { bars: all } = this.markets[signal.instrument]!;
    const first = Math.max(0, signal.asOf - 14);
    const end = Math.min(start.bar + this.barrier.maxHoldingBars, count);
    const bars = BarSeries.fromBars([...all.slice(first, signal.asOf + 1), ...all.slice(start.bar, end)]);
    const sides = new Int8Array(bars.length);
    sides[signal.asOf - first] = signal.side;
    const entry = this.isAtClose(signal) ? this.barrier.entry : 'next-open';
    const labels = tripleBarrierLabels(bars, sides, completeTripleBarrier({ ...this.barrier, entry }));
    if (labels.signalBar.length === 0) return null;
    return {
      outcome: OUTCOMES[labels.outcome[0]!]!,
      source: 'barriers',
      metaLabel: labels.metaLabel[0] === 1 ? 1 : 0,
      grossReturn: labels.grossReturn[0]!,
      netReturn: labels.netReturn[0]!,
      grossR: labels.grossR[0]!,
      ambiguous: labels.ambiguous[0] === 1,
      exitSequence: first + labels.exitBar[0]! + start.bar - signal.asOf - 1,
      exitNs: bars.tsEventNs[labels.exitBar[0]!]!,
    };
  }
}

/** A ledger and the model side by side. */
class Life {
  readonly seen = new Set<string>();
  private readonly run: LiveRun;
  private readonly model: Model;
  private readonly latest = new Map<Signal, OutcomeEvent>();
  private readonly done = new Set<Expected>();
  private clockNs = FIRST_CLOSE_NS;
  private signals = 0;

  constructor(seed: number, barrier: Barrier) {
    this.run = new LiveRun({ ...barrier, capacity: CAPACITY, expiryNs: EXPIRY_NS });
    this.model = new Model(seed, barrier);
    for (let k = 0; k < 20 * INSTRUMENTS.length; k++) this.bars(k % INSTRUMENTS.length, 0, 1);
  }

  apply(operation: Operation): void {
    const before = this.run.told.length;
    if (operation.kind === 'bar') this.bars(operation.instrument, operation.gap, 1);
    else if (operation.kind === 'burst') this.bars(operation.instrument, 1, operation.count);
    else if (operation.kind === 'follow') this.follow(operation);
    else if (operation.kind === 'user') this.user(operation);
    else this.restart();
    this.compare(this.run.told.slice(before));
  }

  private bars(market: number, gap: number, count: number): void {
    const { bars } = this.model.markets[market]!;
    const followedTo = bars.length - 1;
    for (let k = 0; k < count; k++) {
      const next = this.clockNs + BigInt(k === 0 ? gap : 1) * MINUTE_NS;
      const earliest = (bars.at(-1)?.tsEventNs ?? 0n) + MINUTE_NS;
      this.clockNs = next > earliest ? next : earliest;
      this.run.publish(this.model.nextBar(market, this.clockNs), INSTRUMENTS[market]);
      // A long burst is told of when all of it is stored, as the bars that come with a signal are.
      if (count < 10) this.run.ledger.onBar(market, this.run.reader.newest(market));
    }
    if (count >= 10) this.run.ledger.onBar(market, this.run.reader.newest(market));
    this.model.barsCame(market, followedTo);
  }

  private follow({
    instrument: market,
    side,
    back,
    lateNs,
    isBarMissing,
    again,
  }: Operation & { kind: 'follow' }): void {
    const { bars } = this.model.markets[market]!;
    const asOf = Math.max(bars.length - 1 - back, 0);
    const earlier = this.model.signals;
    const signalId =
      again !== null && earlier.length > 0 ? earlier[again % earlier.length]!.signal.signalId : undefined;
    const signal = this.run.signal({
      instrumentId: INSTRUMENTS[market]!,
      side,
      asOf,
      timestampNs: bars[asOf]!.tsEventNs + lateNs,
      isBarMissing,
      // Distinct, and in no order.
      ordinal: (617 * this.signals++) % 1009,
      ...(signalId === undefined ? {} : { signalId }),
    });
    const isFollowed = !this.run.ledger.isOpen(signal.signalId);
    assert.is(this.run.ledger.follow(signal), isFollowed);
    this.seen.add(isFollowed ? 'followed' : 'refused');
    this.model.follow(signal);
  }

  private user({ which, outcome, grossReturn }: Operation & { kind: 'user' }): void {
    const { signals } = this.model;
    if (signals.length === 0) return;
    const { signal } = signals[which % signals.length]!;
    const ofId = signals.filter((one) => one.signal.signalId === signal.signalId);
    const open = ofId.find(({ end }) => end === null);
    const supplied = { outcome, grossReturn };
    try {
      const event = this.run.ledger.recordOutcome(signal.signalId, supplied);
      assert.ok(open !== undefined);
      open.supplied = supplied;
      open.isEntered = this.model.hasEntered(open);
      assert.is(event.grossR === null, !open.isEntered);
      this.latest.set(open.signal, event);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      assert.is(open, undefined);
      assert.is(error.code, ofId.some(({ isForgotten }) => !isForgotten) ? 'OUTCOME_FINAL' : 'UNKNOWN_SIGNAL');
      this.seen.add(error.code);
    }
  }

  private restart(): void {
    this.run.restart(this.model.open.map(({ signal }) => ({ signal, outcome: this.latest.get(signal) ?? null })));
    this.model.restart();
  }

  private compare(told: readonly Told[]): void {
    for (const { signal, what, outcome } of told) {
      // The user may have spoken meanwhile.
      if (what === 'closed' || !this.latest.has(signal)) this.latest.set(signal, outcome);
    }
    for (const expected of this.model.signals) {
      if (this.done.has(expected)) continue;
      const words = this.run.told.filter(({ signal }) => signal === expected.signal);
      const wanted = [...(this.model.isResolved(expected) ? ['resolved'] : []), ...(expected.end ? ['closed'] : [])];
      assert.equal(
        words.map(({ what }) => what),
        wanted,
      );
      if (expected.end === null) continue;
      const { outcome } = words[1]!;
      assert.equal(outcome, this.model.outcomeOf(expected));
      if (outcome.source === 'barriers' && outcome.metaLabel !== null) assert.equal(words[0]!.outcome, outcome);
      this.seen.add(`${outcome.source} ${outcome.outcome}`);
      this.done.add(expected);
    }
    assert.is(this.run.told.length, this.run.told.filter(({ signal }) => this.isExpected(signal)).length);
    const { ledger } = this.run;
    const { open } = this.model;
    assert.is(ledger.openCount, open.length);
    assert.ok(open.every(({ signal }) => ledger.isOpen(signal.signalId)));
    assert.is(ledger.floor(), open.length === 0 ? null : Math.min(...open.map(({ signal }) => signal.ordinal)));
    for (let k = 0; k < INSTRUMENTS.length; k++) {
      const inTurn = this.model.signals.filter((expected) => !this.model.isLate(expected)).map(({ signal }) => signal);
      const closed = told.filter(
        ({ what, signal }) => what === 'closed' && signal.instrument === k && inTurn.includes(signal),
      );
      const times = closed.map(({ signal }) => timesOf(signal));
      assert.equal(times, [...times].sort(inOrder), 'closed in signal time');
    }
  }

  private isExpected(signal: Signal): boolean {
    return this.model.signals.some((expected) => expected.signal === signal);
  }
}

function timesOf({ timestampNs, asOf, ordinal }: Signal): readonly bigint[] {
  return [timestampNs, BigInt(asOf), BigInt(ordinal)];
}

function inOrder(one: readonly bigint[], other: readonly bigint[]): number {
  const k = one.findIndex((value, index) => value !== other[index]);
  return k < 0 ? 0 : Number(one[k]! - other[k]!);
}

test('every signal is resolved once and closed once, in signal time, as the whole history says it ended', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.nat({ max: 1_000_000 }),
      barriers,
      fc.array(operations, { minLength: 20, maxLength: 90, size: 'max' }),
      (seed, barrier, list) => {
        const life = new Life(seed, barrier);
        for (const operation of list) life.apply(operation);
        for (const what of life.seen) seen.set(what, (seen.get(what) ?? 0) + 1);
      },
    ),
    { seed: 20_250_302, numRuns: LEDGER_LIVES },
  );
  const rare = [
    'refused',
    'OUTCOME_FINAL',
    'UNKNOWN_SIGNAL',
    'barriers censored',
    'barriers expired',
    ...OUTCOMES.flatMap((outcome) => [`barriers ${outcome}`, `user ${outcome}`]),
  ];
  for (const what of rare) assert.ok((seen.get(what) ?? 0) >= LEDGER_LIVES / 20, `${what} in ${seen.get(what)} lives`);
});

test.run();
