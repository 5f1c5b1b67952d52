import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OUTCOMES, type TripleBarrierLabels, tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { averageTrueRange } from '../../src/market/atr.js';
import type { BarSeries } from '../../src/market/bar.js';
import type { OutcomeEvent } from '../../src/market/events.js';
import { InstrumentBook } from '../../src/outcomes/instrument-book.js';
import { seededUniform } from '../../src/random.js';
import { OUTCOME_REPLAYS } from '../support/sizes.js';
import { assertSameBits } from '../support/vectors.js';
import { type LiveOptions, LiveRun, roughBars, type Signal } from './live-run.js';

const SEED = 20_250_301;
const BARS = 150;
const INSTRUMENTS = ['X', 'Y', 'Z'];
const DELAY_MAX = 25;

const touches = ['close', 'high-low'] as const;
const entries = ['signal-close', 'next-open'] as const;
const labelCosts = ['gross', 'net'] as const;

const configurations = fc.record({
  ptMultiplier: fc.constantFrom(0.5, 1, 2, 3),
  slMultiplier: fc.constantFrom(0.25, 1, 2),
  maxHoldingBars: fc.integer({ min: 1, max: 30 }),
  touch: fc.constantFrom(...touches),
  entry: fc.constantFrom(...entries),
  labelCost: fc.constantFrom(...labelCosts),
  costBps: fc.constantFrom(0, 7.5),
  minReturn: fc.constantFrom(-0.001, 0, 0.0005),
});

/** The outcome a batch gives to its k-th label, as the ledger would tell it. */
function labelled(labels: TripleBarrierLabels, k: number, bars: BarSeries, signal: Signal): OutcomeEvent {
  return {
    signalId: signal.signalId,
    instrumentId: signal.instrumentId,
    outcome: OUTCOMES[labels.outcome[k]!]!,
    source: 'barriers',
    metaLabel: labels.metaLabel[k] === 1 ? 1 : 0,
    grossReturn: labels.grossReturn[k]!,
    netReturn: labels.netReturn[k]!,
    grossR: labels.grossR[k]!,
    ambiguous: labels.ambiguous[k] === 1,
    exitSequence: labels.exitBar[k]!,
    exitNs: bars.tsEventNs[labels.exitBar[k]!]!,
  };
}

function assertSameOutcome(actual: OutcomeEvent | undefined, expected: OutcomeEvent): void {
  assert.equal(actual, expected);
  const bits = (outcome: OutcomeEvent): Float64Array =>
    Float64Array.of(outcome.grossReturn!, outcome.netReturn!, outcome.grossR!);
  assertSameBits(bits(actual!), bits(expected), 'returns');
}

interface Life {
  readonly run: LiveRun;
  readonly series: ReadonlyMap<string, BarSeries>;
  readonly sides: ReadonlyMap<string, Int8Array>;
  readonly signals: readonly Signal[];
}

/** Bars of three instruments in a random order; every signal is followed some bars late, and at a random moment the process starts anew. */
function liveThrough(options: LiveOptions, seed: number, delayMax: number, restarts: boolean): Life {
  const random = seededUniform(seed);
  const run = new LiveRun(options);
  const series = new Map(INSTRUMENTS.map((id, k) => [id, roughBars(BARS, 3 * seed + k)]));
  const sides = new Map(INSTRUMENTS.map((id) => [id, Int8Array.from({ length: BARS }, () => 3 * random() - 1.5)]));
  const due = new Map(INSTRUMENTS.map((id) => [id, new Map<number, Signal[]>()]));
  const signals: Signal[] = [];
  const restartAt = Math.floor(random() * 3 * BARS);
  const turns = INSTRUMENTS.flatMap((id) => new Array<string>(BARS).fill(id));
  for (let turn = 0; turns.length > 0; turn++) {
    const instrumentId = turns.splice(Math.floor(random() * turns.length), 1)[0]!;
    const bars = series.get(instrumentId)!;
    const bar = BARS - 1 - turns.filter((id) => id === instrumentId).length;
    run.bar(bars.at(bar), instrumentId);
    const side = sides.get(instrumentId)![bar]!;
    const answered = due.get(instrumentId)!;
    if (side === 1 || side === -1) {
      const signal = run.signal({ instrumentId, side });
      const at = Math.min(bar + Math.floor(random() * random() * (delayMax + 1)), BARS - 1);
      answered.set(at, [...(answered.get(at) ?? []), signal]);
      signals.push(signal);
    }
    for (const signal of answered.get(bar) ?? []) run.ledger.follow(signal);
    if (restarts && turn === restartAt) run.restart(run.openRecords(signals).sort(() => random() - 0.5));
  }
  return { run, series, sides, signals };
}

function assertLabelledAlike({ run, series, sides, signals }: Life, options: LiveOptions): void {
  for (const instrumentId of INSTRUMENTS) {
    const bars = series.get(instrumentId)!;
    const labels = tripleBarrierLabels(bars, sides.get(instrumentId)!, options);
    const own = signals.filter((signal) => signal.instrumentId === instrumentId);
    let [k, censored, noVolatility] = [0, 0, 0];
    for (const signal of own) {
      const told = run.told.filter((one) => one.signal === signal);
      if (labels.signalBar[k] === signal.asOf) {
        const expected = labelled(labels, k, bars, signal);
        assertSameOutcome(told[0]?.outcome, expected);
        assert.equal(
          told.map(({ what }) => what),
          labels.horizonClosed[k] === 1 ? ['resolved', 'closed'] : ['resolved'],
        );
        assertSameOutcome(told.at(-1)!.outcome, expected);
        k++;
      } else if (told.length === 0) censored++;
      else {
        noVolatility++;
        assert.equal(
          told.map(({ what, outcome }) => `${what} ${outcome.outcome} ${outcome.metaLabel}`),
          ['resolved censored null', 'closed censored null'],
        );
      }
      const isClosed = told.at(-1)?.what === 'closed';
      assert.is(run.ledger.isOpen(signal.signalId), !isClosed);
    }
    assert.is(k, labels.signalBar.length);
    assert.equal({ censored, noVolatility }, pick(labels.counts));
  }
  assert.is(run.told.filter(({ what }) => what === 'closed').length, signals.length - run.ledger.openCount);
}

function pick({ censored, noVolatility }: TripleBarrierLabels['counts']): { censored: number; noVolatility: number } {
  return { censored, noVolatility };
}

test('live outcomes are the bits of the batch labels in every configuration, however late followed and after a restart', () => {
  const seen = new Set<string>();
  const totals = { profit: 0, stop: 0, timeout: 0, ambiguous: 0, censored: 0, noVolatility: 0 };
  fc.assert(
    fc.property(configurations, fc.nat(), fc.boolean(), (options, seed, restarts) => {
      const life = liveThrough(options, seed, DELAY_MAX, restarts);
      assertLabelledAlike(life, options);
      seen.add(`${options.touch} ${options.entry} ${options.labelCost}`);
      const { counts } = tripleBarrierLabels(life.series.get('X')!, life.sides.get('X')!, options);
      for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += counts[name];
    }),
    { seed: SEED, numRuns: OUTCOME_REPLAYS },
  );
  assert.is(seen.size, touches.length * entries.length * labelCosts.length, 'every configuration was tried');
  for (const [name, count] of Object.entries(totals)) assert.ok(count > 100, `${name}: ${count} is no test`);
});

test('signals that are followed at once close in signal time, instrument by instrument', () => {
  fc.assert(
    fc.property(configurations, fc.nat(), fc.boolean(), (options, seed, restarts) => {
      const { run } = liveThrough(options, seed, 0, restarts);
      for (const instrumentId of INSTRUMENTS) {
        const closed = run.told.filter(
          ({ what, signal, outcome }) =>
            what === 'closed' && signal.instrumentId === instrumentId && outcome.metaLabel !== null,
        );
        const asOf = closed.map(({ signal }) => signal.asOf);
        assert.equal(
          asOf,
          [...asOf].sort((a, b) => a - b),
        );
      }
    }),
    { seed: SEED + 1, numRuns: Math.ceil(OUTCOME_REPLAYS / 5) },
  );
});

test('the unit of a signal is the ATR of the series to the bit, while the ring holds what it is made of', () => {
  const bars = roughBars(300, 8);
  const atr = averageTrueRange(bars);
  const run = new LiveRun({ capacity: 64 });
  for (let i = 0; i < bars.length; i++) {
    run.bar(bars.at(i));
    const book = new InstrumentBook(run.reader, 0);
    const oldest = Math.max(0, i + 2 - 64);
    const units = Float64Array.from({ length: i + 1 }, (_, asOf) => book.unitAt(asOf));
    const firstWhole = oldest === 0 ? 0 : oldest + 14;
    assert.ok(units.subarray(0, firstWhole).every(Number.isNaN), `before bar ${firstWhole} of ${i}`);
    assertSameBits(units.subarray(firstWhole), atr.subarray(firstWhole, i + 1), `units at bar ${i}`);
    assert.ok(Number.isNaN(book.unitAt(i + 1)) && Number.isNaN(book.unitAt(-1)));
  }
});

test.run();
