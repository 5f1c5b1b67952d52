import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import {
  completeTripleBarrier,
  OUTCOMES,
  type Outcome,
  type TripleBarrierLabels,
  type TripleBarrierOptions,
  tripleBarrierLabels,
} from '../../src/labeling/triple-barrier.js';
import { BarSeries } from '../../src/market/bar.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import { randomBars, seededRandom } from '../support/market.js';
import { referenceVectors } from '../support/reference.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import {
  assertAbsolute,
  assertRelative,
  assertSameBits,
  barsOf,
  referenceSlice,
  vectorBars,
  vectors,
} from '../support/vectors.js';

const SEED = 20_240_107;
const TOLERANCE = 1e-12;

interface AlignedConfiguration extends TripleBarrierOptions {
  readonly counts: Readonly<
    Record<'signals' | 'profit' | 'stop' | 'timeout' | 'censored' | 'noVolatility' | 'ambiguous' | 'metaLabel1', number>
  >;
  readonly netReturnSum: number;
  /** One character a signal; x = not labelled. */
  readonly metaLabels: string;
  readonly exitOffsetSum: number;
  readonly sample: readonly (readonly [number, Outcome, number, number, number, number])[];
}

interface LongReference {
  readonly runs: readonly {
    readonly pt: number;
    readonly sl: number;
    readonly max_holding: number;
    readonly atr: 'simple' | 'wilder';
    readonly labels_signals_none: string;
    readonly exit_offset: readonly number[];
    readonly touch_derived: string;
  }[];
}

/** The values of one label by name. */
interface Label {
  readonly bar: number;
  readonly outcome: Outcome;
  readonly exitBar: number;
  readonly grossReturn: number;
  readonly netReturn: number;
  readonly grossR: number;
  readonly metaLabel: number;
  readonly ambiguous: number;
  readonly horizonClosed: number;
}

function labelAt(labels: TripleBarrierLabels, k: number): Label {
  return {
    bar: labels.signalBar[k]!,
    outcome: OUTCOMES[labels.outcome[k]!]!,
    exitBar: labels.exitBar[k]!,
    grossReturn: labels.grossReturn[k]!,
    netReturn: labels.netReturn[k]!,
    grossR: labels.grossR[k]!,
    metaLabel: labels.metaLabel[k]!,
    ambiguous: labels.ambiguous[k]!,
    horizonClosed: labels.horizonClosed[k]!,
  };
}

/**
 * Labels one signal at bar 0, whose close is 100 and whose ATR is 4. With the multipliers 2 and 1 a long entered at 100 has its profit at 108 and
 * its stop at 96, a short its profit at 92 and its stop at 104. `rows` are the bars after it: [open, high, low, close].
 */
function labelOne(
  rows: readonly (readonly number[])[],
  options: TripleBarrierOptions = {},
  side: -1 | 1 = 1,
): { label: Label | null; counts: TripleBarrierLabels['counts'] } {
  const bars = barsOf([[100, 102, 98, 100], ...rows]);
  const sides = new Int8Array(bars.length);
  sides[0] = side;
  const atr = new Float64Array(bars.length).fill(4);
  const complete = { maxHoldingBars: 2, entry: 'signal-close' as const, ...options };
  const labels = tripleBarrierLabels(bars, sides, complete, atr);
  assert.ok(labels.signalBar.length <= 1);
  return { label: labels.signalBar.length === 1 ? labelAt(labels, 0) : null, counts: labels.counts };
}

const QUIET = [100, 101, 99, 100];

function assertExit(label: Label | null, outcome: Outcome, exitBar: number, exitPrice: number, side = 1): void {
  assert.ok(label, 'the signal is labelled');
  assert.is(label.outcome, outcome);
  assert.is(label.exitBar, exitBar);
  assertRelative(label.grossReturn, side * (exitPrice / 100 - 1), TOLERANCE, 'gross return');
}

for (const slice of ['btc_0', 'gbpusd_0'] as const) {
  test(`every configuration labels ${slice} as the reference does, signal by signal`, async () => {
    const reference = referenceVectors<{ readonly configs: readonly AlignedConfiguration[] }>(
      `${slice}_aligned_labels`,
    );
    const bars = await referenceSlice(slice);
    if (reference === null || bars === null) return;
    assert.is(reference.configs.length, 24);
    const sides = primarySides('ema-cross', bars);
    for (const configuration of reference.configs) {
      const { counts, netReturnSum, metaLabels, exitOffsetSum, sample, ...options } = configuration;
      const what = JSON.stringify(options);
      const labels = tripleBarrierLabels(bars, sides, options);
      const { signals, metaLabel1, ...outcomes } = counts;
      assert.equal(labels.counts, outcomes, what);
      const labelled = new Map([...labels.signalBar].map((bar, k) => [bar, k]));
      const ours = [...sides.entries()]
        .filter(([, side]) => side !== 0)
        .map(([bar]) => (labelled.has(bar) ? String(labels.metaLabel[labelled.get(bar)!]) : 'x'));
      assert.is(ours.length, signals, what);
      assert.is(ours.join(''), metaLabels, what);
      assert.is(
        labels.metaLabel.reduce((sum, label) => sum + label, 0),
        metaLabel1,
        what,
      );
      const offsets = labels.exitBar.reduce((sum, exit, k) => sum + exit - labels.signalBar[k]!, 0);
      assert.is(offsets, exitOffsetSum, what);
      const sum = labels.netReturn.reduce((total, value) => total + value, 0);
      assertRelative(sum, netReturnSum, TOLERANCE, `net return sum of ${what}`);
      assert.ok(sample.length > 10);
      for (const [bar, outcome, exitBar, netReturn, metaLabel, ambiguous] of sample) {
        const k = labelled.get(bar);
        assert.ok(k !== undefined, `bar ${bar} of ${what} is labelled`);
        const label = labelAt(labels, k);
        const actual = [label.outcome, label.exitBar, label.metaLabel, label.ambiguous];
        assert.equal(actual, [outcome, exitBar, metaLabel, ambiguous], `bar ${bar} of ${what}`);
        assertRelative(label.netReturn, netReturn, TOLERANCE, `net return of bar ${bar} of ${what}`);
      }
    }
  });

  test(`on ${slice} a long judged by closes agrees with the original wherever it touched a barrier`, async () => {
    const reference = referenceVectors<LongReference>(`${slice}_labels`);
    const bars = await referenceSlice(slice);
    if (reference === null || bars === null) return;
    const sides = new Int8Array(bars.length).fill(1);
    let compared = 0;
    for (const run of reference.runs) {
      if (run.atr !== 'simple') continue;
      const labels = tripleBarrierLabels(bars, sides, {
        ptMultiplier: run.pt,
        slMultiplier: run.sl,
        maxHoldingBars: run.max_holding,
        touch: 'close',
        entry: 'signal-close',
      });
      const labelled = new Map([...labels.signalBar].map((bar, k) => [bar, k]));
      for (let bar = 0; bar < bars.length - run.max_holding; bar++) {
        const label = labelAt(labels, labelled.get(bar)!);
        const what = `bar ${bar} of ${run.pt}/${run.sl}/${run.max_holding}`;
        assert.is(label.outcome === 'timeout', run.touch_derived[bar] === 'V', what);
        assert.is(label.exitBar - bar, run.exit_offset[bar], what);
        if (label.outcome === 'timeout') continue;
        assert.is(label.outcome, run.labels_signals_none[bar] === '+' ? 'profit' : 'stop', what);
        compared++;
      }
    }
    assert.ok(compared > 2 * bars.length, `${compared} compared`);
  });
}

test('labels of both sides equal values worked in exact fractions', () => {
  const bars = vectorBars();
  const sides = Int8Array.from(vectors.labels.sides);
  for (const { censored, rows, ...options } of vectors.labels.cases) {
    const what = JSON.stringify(options);
    const labels = tripleBarrierLabels(bars, sides, options);
    assert.is(labels.counts.censored, censored, what);
    assert.is(labels.signalBar.length, rows.length, what);
    rows.forEach(([bar, outcome, exitBar, grossReturn, grossR, ambiguous, metaLabel, horizonClosed], k) => {
      const label = labelAt(labels, k);
      assert.equal(
        [label.bar, label.outcome, label.exitBar, label.ambiguous, label.metaLabel, label.horizonClosed],
        [bar, OUTCOMES[outcome!], exitBar, ambiguous, metaLabel, horizonClosed],
        `label ${k} of ${what}`,
      );
      assertAbsolute(label.grossReturn, grossReturn!, 1e-15, `gross return ${k} of ${what}`);
      assertAbsolute(label.grossR, grossR!, TOLERANCE, `gross R ${k} of ${what}`);
    });
  }
});

test('what is left out takes its default: 2 and 1 ATR, ten bars, high and low, the next open, no cost, gross', () => {
  assert.equal(completeTripleBarrier(), {
    ptMultiplier: 2,
    slMultiplier: 1,
    maxHoldingBars: 10,
    touch: 'high-low',
    entry: 'next-open',
    costBps: 0,
    minReturn: 0,
    labelCost: 'gross',
  });
});

test('a long leaves at its profit when the high reaches it, to the tick', () => {
  assertExit(labelOne([QUIET, [100, 108, 99, 101]]).label, 'profit', 2, 108);
  assertExit(labelOne([QUIET, [100, 107.99, 99, 101]]).label, 'timeout', 2, 101);
});

test('a long leaves at its stop when the low reaches it, to the tick', () => {
  assertExit(labelOne([QUIET, [100, 101, 96, 100]]).label, 'stop', 2, 96);
  assertExit(labelOne([QUIET, [100, 101, 96.01, 100]]).label, 'timeout', 2, 100);
});

test('a short has its profit below its entry and its stop above', () => {
  assertExit(labelOne([QUIET, [100, 101, 92, 99]], {}, -1).label, 'profit', 2, 92, -1);
  assertExit(labelOne([QUIET, [100, 104, 99, 100]], {}, -1).label, 'stop', 2, 104, -1);
  assertExit(labelOne([QUIET, [100, 103.99, 92.01, 100]], {}, -1).label, 'timeout', 2, 100, -1);
});

test('judged by closes, a high or low beyond a level is not a touch and the exit is the close itself', () => {
  const closes = { touch: 'close' } as const;
  assertExit(labelOne([[100, 120, 80, 100], QUIET], closes).label, 'timeout', 2, 100);
  assertExit(labelOne([QUIET, [100, 120, 80, 109]], closes).label, 'profit', 2, 109);
  assertExit(labelOne([QUIET, [100, 120, 80, 108]], closes).label, 'profit', 2, 108);
  assertExit(labelOne([QUIET, [100, 120, 80, 95]], closes).label, 'stop', 2, 95);
  assertExit(labelOne([QUIET, [100, 120, 80, 96]], closes).label, 'stop', 2, 96);
  assertExit(labelOne([QUIET, [100, 120, 80, 91]], closes, -1).label, 'profit', 2, 91, -1);
  assertExit(labelOne([QUIET, [100, 120, 80, 104]], closes, -1).label, 'stop', 2, 104, -1);
});

test('a bar that opens beyond a level leaves at its open, better or worse than the level', () => {
  assertExit(labelOne([QUIET, [110, 111, 90, 100]]).label, 'profit', 2, 110);
  assertExit(labelOne([QUIET, [94, 120, 93, 100]]).label, 'stop', 2, 94);
  assertExit(labelOne([QUIET, [108, 109, 107, 108]]).label, 'profit', 2, 108);
  assertExit(labelOne([QUIET, [90, 120, 85, 100]], {}, -1).label, 'profit', 2, 90, -1);
  assertExit(labelOne([QUIET, [106, 107, 80, 100]], {}, -1).label, 'stop', 2, 106, -1);
});

test('a gap beyond one level decides even when the bar reaches the other, and is not ambiguous', () => {
  const { label, counts } = labelOne([QUIET, [110, 111, 90, 100]]);
  assert.is(label?.ambiguous, 0);
  assert.is(counts.ambiguous, 0);
});

test('two levels inside one bar are counted as ambiguous and the stop is taken to be first', () => {
  const both = [100, 109, 95, 100];
  const long = labelOne([QUIET, both]);
  assertExit(long.label, 'stop', 2, 96);
  assert.is(long.label?.ambiguous, 1);
  assert.is(long.counts.ambiguous, 1);
  assert.is(long.counts.stop, 1);
  const short = labelOne([QUIET, [100, 105, 91, 100]], {}, -1);
  assertExit(short.label, 'stop', 2, 104, -1);
  assert.is(short.label?.ambiguous, 1);
  assert.is(labelOne([QUIET, [100, 107.9, 95, 100]]).label?.ambiguous, 0);
});

test('the first of several touches ends the position', () => {
  assertExit(
    labelOne([
      [100, 109, 99, 100],
      [100, 101, 90, 95],
    ]).label,
    'profit',
    1,
    108,
  );
  assertExit(
    labelOne([
      [100, 101, 90, 95],
      [100, 109, 99, 100],
    ]).label,
    'stop',
    1,
    96,
  );
});

test("the signal's own bar never touches", () => {
  const bars = barsOf([[100, 150, 50, 100], QUIET, QUIET]);
  const atr = new Float64Array(3).fill(4);
  const options = { maxHoldingBars: 2, entry: 'signal-close' } as const;
  const labels = tripleBarrierLabels(bars, Int8Array.of(1, 0, 0), options, atr);
  assert.is(labelAt(labels, 0).outcome, 'timeout');
});

test('entered at the next open, the levels are measured from that open with the ATR of the signal', () => {
  const bars = barsOf([
    [100, 102, 98, 100],
    [110, 111, 109, 110],
    [110, 118, 109, 112],
  ]);
  const atr = Float64Array.of(4, 400, 400);
  const labels = tripleBarrierLabels(bars, Int8Array.of(1, 0, 0), { maxHoldingBars: 2 }, atr);
  const label = labelAt(labels, 0);
  assert.is(label.outcome, 'profit');
  assert.is(label.exitBar, 2);
  assertRelative(label.grossReturn, 118 / 110 - 1, TOLERANCE, 'gross return');
  assertRelative(label.grossR, 2, TOLERANCE, 'gross R');
});

test('the bar entered at its open cannot gap away from that entry, but touches with the rest of its range', () => {
  // A gap from 100 to 120 is the entry price itself, not a profit: the levels lie at 128 and 116.
  const nextOpen = { entry: 'next-open', maxHoldingBars: 1 } as const;
  const first = labelOne([[120, 121, 119, 120]], nextOpen).label;
  assert.is(first?.outcome, 'timeout');
  assert.is(first?.grossReturn, 0);
  const touched = labelOne([[120, 128, 119, 120]], nextOpen).label;
  assert.is(touched?.outcome, 'profit');
  assert.is(touched?.exitBar, 1);
  assertRelative(touched!.grossReturn, 128 / 120 - 1, TOLERANCE, 'gross return');
  const both = labelOne([[120, 128, 116, 120]], nextOpen).label;
  assert.is(both?.outcome, 'stop');
  assert.is(both?.ambiguous, 1);
});

test('levels too near the entry to be told from it are still not passed by the entry itself', () => {
  const bars = barsOf([QUIET, [100, 101, 99, 100]]);
  const labels = tripleBarrierLabels(bars, Int8Array.of(1, 0), { maxHoldingBars: 1 }, Float64Array.of(1e-17, 1e-17));
  assert.is(labelAt(labels, 0).outcome, 'stop');
  assert.is(labelAt(labels, 0).ambiguous, 1);
});

test('a later bar of a position entered at the next open does leave at an open beyond a level', () => {
  const label = labelOne([QUIET, [112, 113, 111, 112]], { entry: 'next-open' }).label;
  assertExit(label, 'profit', 2, 112);
});

test('no touch by the horizon is a timeout at that close, and its sign decides the meta-label', () => {
  const up = labelOne([QUIET, [100, 102, 99, 101]]);
  assertExit(up.label, 'timeout', 2, 101);
  assert.is(up.label?.metaLabel, 1);
  assert.is(up.counts.timeout, 1);
  const down = labelOne([QUIET, [100, 102, 98, 99]]);
  assertExit(down.label, 'timeout', 2, 99);
  assert.is(down.label?.metaLabel, 0);
  const flat = labelOne([QUIET, [100, 102, 98, 100]]);
  assert.is(flat.label?.grossReturn, 0);
  assert.is(flat.label?.metaLabel, 0);
});

test('a touch on the last bar of the horizon counts, one bar later it is too late', () => {
  assertExit(labelOne([QUIET, [100, 109, 99, 100], QUIET]).label, 'profit', 2, 108);
  assertExit(labelOne([QUIET, QUIET, [100, 109, 99, 100]]).label, 'timeout', 2, 100);
});

test('a signal whose horizon leaves the data untouched is censored, not labelled', () => {
  for (const entry of ['signal-close', 'next-open'] as const) {
    const { label, counts } = labelOne([QUIET], { entry });
    assert.is(label, null);
    assert.equal(counts, { profit: 0, stop: 0, timeout: 0, ambiguous: 0, censored: 1, noVolatility: 0 });
    assert.is(labelOne([], { entry }).counts.censored, 1);
  }
});

test('a signal that touches before the data end is labelled, but its horizon is not closed', () => {
  const early = labelOne([[100, 109, 99, 100]]);
  assertExit(early.label, 'profit', 1, 108);
  assert.is(early.label?.horizonClosed, 0);
  const closed = labelOne([[100, 109, 99, 100], QUIET]);
  assertExit(closed.label, 'profit', 1, 108);
  assert.is(closed.label?.horizonClosed, 1);
});

test('a signal without a positive ATR is counted, not labelled', () => {
  const bars = randomBars(30, 1);
  for (const unit of [0, -1, Number.NaN]) {
    const atr = new Float64Array(30).fill(1);
    atr[3] = unit;
    const sides = new Int8Array(30);
    sides[3] = 1;
    sides[5] = -1;
    const labels = tripleBarrierLabels(bars, sides, {}, atr);
    assert.is(labels.counts.noVolatility, 1);
    assert.equal([...labels.signalBar], [5]);
  }
});

test('cost lowers the net return alone, and enters the meta-label only when asked to', () => {
  // Gross 1 % at a timeout; a round trip of 300 basis points turns it into a loss.
  const rows = [QUIET, [100, 102, 99, 101]];
  const gross = labelOne(rows, { costBps: 300 }).label;
  assertRelative(gross!.grossReturn, 0.01, TOLERANCE, 'gross return');
  assertRelative(gross!.netReturn, -0.02, TOLERANCE, 'net return');
  assert.is(gross!.metaLabel, 1);
  assertRelative(gross!.grossR, 0.25, TOLERANCE, 'gross R');
  assert.is(labelOne(rows, { costBps: 101, labelCost: 'net' }).label!.metaLabel, 0);
  assert.is(labelOne(rows, { costBps: 99, labelCost: 'net' }).label!.metaLabel, 1);
});

test('the meta-label asks for more than the minimum return, not for as much', () => {
  const rows = [QUIET, [100, 102, 99, 101.5625]];
  assert.is(labelOne(rows, { minReturn: 0.015625 }).label!.metaLabel, 0);
  assert.is(labelOne(rows, { minReturn: 0.015624 }).label!.metaLabel, 1);
  assert.is(labelOne(rows, { minReturn: -0.5 }).label!.metaLabel, 1);
});

test('a stop costs one unit of R and a profit earns its multiple, whatever the price', () => {
  assertRelative(labelOne([QUIET, [100, 101, 96, 100]]).label!.grossR, -1, TOLERANCE, 'stop');
  assertRelative(labelOne([QUIET, [100, 108, 99, 100]]).label!.grossR, 2, TOLERANCE, 'profit');
  assertRelative(labelOne([QUIET, [100, 101, 92, 99]], {}, -1).label!.grossR, 2, TOLERANCE, 'short profit');
});

/** Bars in eighths around 512 and their image in that price: what was a rise of x is a fall of x. */
function mirroredBars(seed: number): { bars: BarSeries; mirror: BarSeries; sides: Int8Array } {
  const source = randomBars(150, seed, { volatility: 0.01 });
  const eighths = (price: number): number => Math.round((price - 100) * 8) / 8;
  const column = (values: Float64Array, sign: 1 | -1): Float64Array =>
    values.map((price) => 512 + sign * eighths(price));
  const { tsEventNs, open, high, low, close } = source;
  const random = seededRandom(seed + 1);
  return {
    bars: BarSeries.from({
      tsEventNs,
      open: column(open, 1),
      high: column(high, 1),
      low: column(low, 1),
      close: column(close, 1),
    }),
    mirror: BarSeries.from({
      tsEventNs,
      open: column(open, -1),
      high: column(low, -1),
      low: column(high, -1),
      close: column(close, -1),
    }),
    sides: Int8Array.from({ length: 150 }, () => Math.floor(3 * random()) - 1),
  };
}

const barrierOptions = fc.record({
  ptMultiplier: fc.constantFrom(0.5, 1, 2, 3),
  slMultiplier: fc.constantFrom(0.25, 0.5, 1, 2),
  maxHoldingBars: fc.integer({ min: 1, max: 30 }),
  touch: fc.constantFrom('close' as const, 'high-low' as const),
  entry: fc.constantFrom('signal-close' as const, 'next-open' as const),
});

test('a short is a long in the mirror: same outcome, same exit, same profit in points', () => {
  const property = fc.property(fc.integer(), barrierOptions, (seed, options) => {
    const { bars, mirror, sides } = mirroredBars(seed);
    // Units in quarters keep every level exact, so that touches to the tick mirror too.
    const atr = new Float64Array(150).map((_, i) => 0.25 * (1 + (i % 7)));
    const one = tripleBarrierLabels(bars, sides, options, atr);
    const other = tripleBarrierLabels(
      mirror,
      sides.map((side) => -side),
      options,
      atr,
    );
    assert.equal(other.counts, one.counts);
    for (const name of ['signalBar', 'outcome', 'exitBar', 'ambiguous', 'horizonClosed'] as const)
      assert.equal([...other[name]], [...one[name]], name);
    one.grossR.forEach((value, k) => {
      assertAbsolute(other.grossR[k]!, value, 1e-9, `gross R of label ${k}`);
    });
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('a label is the same bits without the bars after its horizon', () => {
  const property = fc.property(
    fc.integer(),
    barrierOptions,
    fc.integer({ min: 40, max: 150 }),
    (seed, options, cut) => {
      const bars = randomBars(150, seed, { volatility: 0.005 });
      const sides = mirroredBars(seed).sides;
      const whole = tripleBarrierLabels(bars, sides, options);
      const part = tripleBarrierLabels(bars.slice(0, cut), sides.subarray(0, cut), options);
      const closed = part.horizonClosed.indexOf(0);
      const count = closed < 0 ? part.signalBar.length : closed;
      assert.equal([...part.signalBar.subarray(0, count)], [...whole.signalBar.subarray(0, count)]);
      assert.equal([...part.outcome.subarray(0, count)], [...whole.outcome.subarray(0, count)]);
      assertSameBits(part.grossReturn.slice(0, count), whole.grossReturn.slice(0, count), 'gross returns');
      assert.ok(count > 0, 'some horizons close');
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('every signal is labelled once or counted once, and exits within its horizon', () => {
  const property = fc.property(fc.integer(), barrierOptions, (seed, options) => {
    const { bars, sides } = mirroredBars(seed);
    const labels = tripleBarrierLabels(bars, sides, options);
    const { profit, stop, timeout, censored, noVolatility, ambiguous } = labels.counts;
    assert.is(profit + stop + timeout, labels.signalBar.length);
    assert.is(profit + stop + timeout + censored + noVolatility, sides.filter((side) => side !== 0).length);
    assert.is(
      ambiguous,
      labels.ambiguous.reduce((sum, flag) => sum + flag, 0),
    );
    labels.signalBar.forEach((bar, k) => {
      const label = labelAt(labels, k);
      assert.ok(label.exitBar > bar && label.exitBar <= bar + options.maxHoldingBars && label.exitBar < bars.length);
      assert.is(label.horizonClosed, bar + options.maxHoldingBars < bars.length ? 1 : 0);
      assert.is(label.metaLabel, label.grossReturn > 0 ? 1 : 0);
      assert.ok(label.ambiguous === 0 || label.outcome === 'stop');
    });
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('an option outside its range is refused by its name', () => {
  const cases = [
    { ptMultiplier: 0 },
    { ptMultiplier: Number.POSITIVE_INFINITY },
    { slMultiplier: -1 },
    { slMultiplier: Number.NaN },
    { maxHoldingBars: 0 },
    { maxHoldingBars: 1.5 },
    { costBps: -1 },
    { costBps: Number.NaN },
    { minReturn: Number.NaN },
  ];
  for (const options of cases) {
    const field = Object.keys(options)[0];
    assert.throws(
      () => completeTripleBarrier(options),
      (error: unknown) => error instanceof OrchestratorError && error.code === 'OUT_OF_RANGE' && error.field === field,
      field,
    );
  }
});

test('sides or ATR of another length and a side that is no side are refused', () => {
  const bars = randomBars(20, 3);
  const refused =
    (code: string, field: string) =>
    (error: unknown): boolean =>
      error instanceof OrchestratorError && error.code === code && error.field === field;
  assert.throws(() => tripleBarrierLabels(bars, new Int8Array(19)), refused('LENGTH_MISMATCH', 'sides'));
  const short = new Float64Array(21);
  assert.throws(() => tripleBarrierLabels(bars, new Int8Array(20), {}, short), refused('LENGTH_MISMATCH', 'atr'));
  assert.throws(() => tripleBarrierLabels(bars, new Int8Array(20).fill(2)), refused('OUT_OF_RANGE', 'sides'));
});

test.run();
