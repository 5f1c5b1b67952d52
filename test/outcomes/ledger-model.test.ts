import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { completeTripleBarrier, OUTCOMES, tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { averageTrueRange } from '../../src/market/atr.js';
import { type Bar, BarSeries } from '../../src/market/bar.js';
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
      lateNs: fc.bigInt({ min: 0n, max: 3n }),
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
  end: 'label' | 'censored' | 'expired' | null;
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
      if (this.labelOf(expected.signal, followedTo + 1) === null && followedTo + 1 < oldest) expected.isLost = true;
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
      signal,
      supplied: null,
      isEntered: false,
      isLost: false,
      end: null,
      isForgotten: false,
    };
    this.signals.push(expected);
    const { bars, quietSinceNs } = this.markets[signal.instrument] ?? { bars: [], quietSinceNs: 0n };
    const isHeld = signal.asOf >= 0 && Math.max(signal.asOf - 14, 0) >= bars.length + 1 - CAPACITY;
    if (!isHeld || !(this.unitOf(signal) > 0)) expected.end = 'censored';
    else if (signal.asOf + this.barrier.maxHoldingBars < bars.length) expected.end = 'label';
    else if (this.eventNs - quietSinceNs >= EXPIRY_NS) expected.end = 'expired';
  }

  restart(): void {
    for (const expected of this.signals) expected.isForgotten ||= expected.end !== null;
    this.eventNs = 0n;
    for (const [k, one] of this.markets.entries()) {
      one.quietSinceNs = one.bars.at(-1)?.tsEventNs ?? 0n;
      if (this.openOf(k).length > 0 && one.quietSinceNs > this.eventNs) this.eventNs = one.quietSinceNs;
    }
    this.expire();
  }

  isResolved({ signal, supplied, isLost, end }: Expected): boolean {
    return end !== null || supplied !== null || isLost || this.labelOf(signal) !== null;
  }

  /** The outcome that counts in the end. */
  outcomeOf({ signal, supplied, isEntered, isLost, end }: Expected): OutcomeEvent {
    const names = { signalId: signal.signalId, instrumentId: signal.instrumentId };
    const nowhere = { ambiguous: false, exitSequence: -1, exitNs: 0n };
    if (end === 'label' && supplied !== null) {
      const { costBps, labelCost, entry } = this.barrier;
      const { bars } = this.markets[signal.instrument]!;
      const netReturn = supplied.grossReturn - costBps / 10_000;
      const metaLabel = (labelCost === 'net' ? netReturn : supplied.grossReturn) > 0 ? 1 : 0;
      const entryPrice = entry === 'next-open' ? bars[signal.asOf + 1]!.open : bars[signal.asOf]!.close;
      const grossR = isLost && !isEntered ? null : supplied.grossReturn / (this.unitOf(signal) / entryPrice);
      return { ...names, ...supplied, source: 'user', metaLabel, netReturn, grossR, ...nowhere };
    }
    const label = isLost || end !== 'label' ? null : this.labelOf(signal);
    if (label !== null) return { ...names, ...label };
    const outcome = end === 'expired' ? 'expired' : 'censored';
    const nothing = { metaLabel: null, grossReturn: null, netReturn: null, grossR: null };
    return { ...names, outcome, source: 'barriers', ...nothing, ...nowhere };
  }

  private closeDue(market: number): void {
    const newest = this.markets[market]!.bars.length - 1;
    for (const expected of this.openOf(market)) {
      if (expected.signal.asOf + this.barrier.maxHoldingBars <= newest) expected.end = 'label';
    }
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

  /** The batch label on the first `count` bars; cut out with the bars that make up its ATR, which gives the same bits. */
  private labelOf(
    signal: Signal,
    count = Number.POSITIVE_INFINITY,
  ): Omit<OutcomeEvent, 'signalId' | 'instrumentId'> | null {
    const first = Math.max(0, signal.asOf - 14);
    const end = Math.min(signal.asOf + this.barrier.maxHoldingBars + 1, count);
    const bars = BarSeries.fromBars(this.markets[signal.instrument]!.bars.slice(first, end));
    if (signal.asOf - first >= bars.length) return null;
    const sides = new Int8Array(bars.length);
    sides[signal.asOf - first] = signal.side;
    const labels = tripleBarrierLabels(bars, sides, completeTripleBarrier(this.barrier));
    if (labels.signalBar.length === 0) return null;
    return {
      outcome: OUTCOMES[labels.outcome[0]!]!,
      source: 'barriers',
      metaLabel: labels.metaLabel[0] === 1 ? 1 : 0,
      grossReturn: labels.grossReturn[0]!,
      netReturn: labels.netReturn[0]!,
      grossR: labels.grossR[0]!,
      ambiguous: labels.ambiguous[0] === 1,
      exitSequence: first + labels.exitBar[0]!,
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

  constructor(
    seed: number,
    private readonly barrier: Barrier,
  ) {
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

  private follow({ instrument: market, side, back, lateNs, again }: Operation & { kind: 'follow' }): void {
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
      const { bars } = this.model.markets[open.signal.instrument]!;
      open.isEntered = this.barrier.entry === 'signal-close' || open.signal.asOf + 1 < bars.length;
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
      const closed = told.filter(({ what, signal }) => what === 'closed' && signal.instrument === k);
      const times = closed.map(({ signal }) => [BigInt(signal.asOf), signal.timestampNs, BigInt(signal.ordinal)]);
      assert.equal(times, [...times].sort(inOrder), 'closed in signal time');
    }
  }

  private isExpected(signal: Signal): boolean {
    return this.model.signals.some((expected) => expected.signal === signal);
  }
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
