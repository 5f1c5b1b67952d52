import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deriveFeatureColumns } from '../../src/features/feature-columns.js';
import { featureMatrix } from '../../src/features/feature-row.js';
import { FeatureSet } from '../../src/features/feature-set.js';
import { completeTripleBarrier, tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { BarSeries } from '../../src/market/bar.js';
import { VpinIndicator } from '../../src/orderflow/vpin.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import type { TrainingSeries } from '../../src/training/training-series.js';
import { buildTrainingSet } from '../../src/training/training-set.js';
import { FIRST_CLOSE_NS, MINUTE_NS, randomBars, seededRandom } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';
import { assertSameBits } from '../support/vectors.js';

const VPIN = { barsPerBucket: 5, volumeWindow: 50, nBuckets: 10, sigmaWindow: 20 };
const BUILT_IN = new FeatureSet();

/** 130 bars that open and close at 100 and range from 99 to 101, so that the ATR is 2, but for four of them. */
function handmadeSeries(): TrainingSeries {
  const bars = Array.from({ length: 130 }, (_, i) => ({
    tsEventNs: FIRST_CLOSE_NS + BigInt(i) * MINUTE_NS,
    open: 100,
    high: 101,
    low: 99,
    close: 100,
    volume: 10,
  }));
  bars[0] = { ...bars[0]!, high: 100, low: 100 }; // no range yet: no volatility to place barriers by
  bars[102] = { ...bars[102]!, high: 106 }; // profit for longs of the bars before
  bars[106] = { ...bars[106]!, high: 105, low: 97 }; // both barriers of a long from bar 105
  bars[128] = { ...bars[128]!, low: 97 }; // stop of a long from bar 127
  const sides = new Int8Array(130);
  for (const bar of [0, 50, 98, 99, 100, 105, 127, 129]) sides[bar] = 1;
  for (const bar of [124, 125]) sides[bar] = -1;
  return { instrumentId: 'HANDMADE', bars: BarSeries.fromBars(bars), sides };
}

/** Bars to 130 − 1 close within five of the bar 124, so of all that touched or timed out only bar 127's horizon is open. */
test('the signals of a hand-worked series are counted by what became of them', () => {
  const { counts } = buildTrainingSet([handmadeSeries()], BUILT_IN, completeTripleBarrier({ maxHoldingBars: 5 }), VPIN);
  assert.equal(counts, {
    signals: 10,
    profit: 3, // 98, 99, 100
    stop: 2, // 105, 127
    timeout: 2, // 50, 124
    ambiguous: 1, // 105
    censored: 2, // 125, 129
    noVolatility: 1, // 0
    horizonOpen: 1, // 127
    insufficientHistory: 2, // 50, 98
    targetBelowCost: 0,
    trained: 4,
  });
});

test('the signals of a hand-worked series that are trained on have these labels and horizons', () => {
  const set = buildTrainingSet([handmadeSeries()], BUILT_IN, completeTripleBarrier({ maxHoldingBars: 5 }), VPIN);
  assert.equal([...set.start], [99, 100, 105, 124]);
  assert.equal([...set.end], [104, 105, 110, 129], 'the horizon, however early the exit was');
  assert.equal([...set.metaLabel], [1, 1, 0, 0]);
  assert.equal([...set.side], [1, 1, 1, -1]);
  assert.equal([...set.duration], [3, 2, 1, 5]);
  assert.equal([...set.ambiguous], [0, 0, 1, 0]);
  // Bars 100–104 belong to one signal, of which 101–104 to two; 105 to the second alone; the others overlap nothing.
  assert.equal([...set.uniqueness], [(1 + 4 / 2) / 5, (4 / 2 + 1) / 5, 1, 1]);
  assert.equal(set.instrumentIds, ['HANDMADE']);
  assert.is(set.calendarNs.length, 130);
});

test('a signal whose target is less than three round trips of cost is not trained on', () => {
  const countsAt = (costBps: number) =>
    buildTrainingSet([handmadeSeries()], BUILT_IN, completeTripleBarrier({ maxHoldingBars: 5, costBps }), VPIN).counts;
  // Two ATR of 2 are 400 bps; bar 105 alone, after a wider bar, has a higher target.
  assert.equal([countsAt(133).targetBelowCost, countsAt(133).trained], [0, 4]);
  assert.equal([countsAt(134).targetBelowCost, countsAt(134).trained], [3, 1]);
});

test('every signal is counted once, as labelled or not, and every labelled one once, as trained on or not', () => {
  for (const seed of [41, 42, 43]) {
    const series = randomSeries(400, seed);
    const labels = completeTripleBarrier({ costBps: 2 });
    const { counts } = buildTrainingSet([series], BUILT_IN, labels, VPIN);
    const signals = series.sides.reduce((sum, side) => sum + Math.abs(side), 0);
    const labelled = counts.profit + counts.stop + counts.timeout;
    assert.is(counts.signals, signals, `seed ${seed}`);
    assert.is(labelled + counts.censored + counts.noVolatility, signals, `seed ${seed}`);
    const refused = counts.horizonOpen + counts.insufficientHistory + counts.targetBelowCost;
    assert.is(refused + counts.trained, labelled, `seed ${seed}`);
  }
});

function randomSeries(barCount: number, seed: number, delayNs = 0n): TrainingSeries & { readonly sides: Int8Array } {
  const walk = randomBars(barCount, seed);
  const bars = BarSeries.from({ ...walk, tsEventNs: walk.tsEventNs.map((stamp) => stamp + delayNs) });
  const random = seededRandom(seed + 1000);
  const sides = Int8Array.from({ length: barCount }, () => Math.floor(random() * 3) - 1);
  return { instrumentId: `WALK-${seed}`, bars, sides };
}

test('a training row is the feature row of its bar, encoded, to the last bit', () => {
  const { bars, sides, ...series } = randomSeries(300, 44);
  const labels = completeTripleBarrier();
  const spread = Float64Array.from(bars.close, (close, i) => (i % 17 === 0 ? Number.NaN : close - 101));
  const features = new FeatureSet(['toxicity', 'side', 'momentum', 'side_last_return'], ['spread', 'flag']);
  const flag = Float64Array.from(bars.close, (_, i) => (i % 2 === 0 ? -1 : 1));
  const set = buildTrainingSet([{ ...series, bars, sides, features: { flag, spread } }], features, labels, VPIN);

  const vpin = new VpinIndicator(VPIN);
  const toxicity = Float64Array.from({ length: 300 }, (_, i) => {
    vpin.update(bars.at(i));
    return vpin.value ?? Number.NaN;
  });
  const rows = set.start;
  const regime = new Float64Array(300).fill(Number.NaN);
  const matrix = featureMatrix(bars, { rows, sides, toxicity, regime });
  const expected = new Float32Array(rows.length * features.columnCount);
  for (const [k, bar] of rows.entries()) {
    const row = matrix.data.subarray(k * matrix.columns, (k + 1) * matrix.columns);
    features.encodeRow(row, Float64Array.of(spread[bar]!, flag[bar]!), expected, k * features.columnCount);
  }
  assert.ok(rows.length > 100);
  assert.ok(toxicity.some((value) => value > 0));
  assert.is(set.columnCount, 6);
  assert.ok(Buffer.from(set.rows.buffer).equals(Buffer.from(expected.buffer)));
  const flags = new Set(Array.from(rows, (_, k) => set.rows[k * 6 + 5]!));
  assert.equal([...flags].sort(), [1, Math.fround(-1.0000001)].sort(), 'a −1 is not mistaken for missing');
});

test('labels and sides of the training rows are those of the labelled signals', () => {
  const series = randomSeries(300, 45);
  const set = buildTrainingSet([series], BUILT_IN, completeTripleBarrier(), VPIN);
  const labels = tripleBarrierLabels(series.bars, series.sides);
  for (let k = 0; k < set.start.length; k++) {
    const at = labels.signalBar.indexOf(set.start[k]!);
    assert.is(set.metaLabel[k], labels.metaLabel[at]);
    assert.is(set.side[k], series.sides[set.start[k]!]);
  }
});

test('a primary signal makes the sides when the series brings none', () => {
  const { bars } = randomSeries(400, 46);
  const sides = primarySides('momentum', bars);
  const labels = completeTripleBarrier();
  const made = buildTrainingSet([{ instrumentId: 'A', bars, primarySignal: 'momentum' }], BUILT_IN, labels, VPIN);
  const brought = buildTrainingSet([{ instrumentId: 'A', bars, sides }], BUILT_IN, labels, VPIN);
  assert.ok(made.counts.trained > 50);
  assert.equal(made.counts, brought.counts);
  assert.equal(made.side, brought.side);
});

test('two series are pooled in the order of time on the calendar of both', () => {
  // B starts 40 bars later; a third of the stamps differ, since its bars close half a minute after A's.
  const a = randomSeries(260, 47);
  const b = randomSeries(240, 48, 40n * MINUTE_NS + MINUTE_NS / 2n);
  const labels = completeTripleBarrier({ maxHoldingBars: 7 });
  const pooled = buildTrainingSet([a, b], BUILT_IN, labels, VPIN);
  const alone = [a, b].map((one) => buildTrainingSet([one], BUILT_IN, labels, VPIN));
  assert.equal(pooled.instrumentIds, ['WALK-47', 'WALK-48']);
  assert.is(pooled.counts.trained, alone[0]!.counts.trained + alone[1]!.counts.trained);
  assert.is(pooled.counts.censored, alone[0]!.counts.censored + alone[1]!.counts.censored);

  const stamps = [...a.bars.tsEventNs, ...b.bars.tsEventNs].sort((x, y) => Number(x - y));
  assert.equal([...pooled.calendarNs], stamps);

  const rowBytes = 4 * pooled.columnCount;
  const cursors = [0, 0];
  let before = -1;
  for (let k = 0; k < pooled.start.length; k++) {
    const startNs = pooled.calendarNs[pooled.start[k]!]!;
    const which = a.bars.tsEventNs.includes(startNs) ? 0 : 1;
    const { bars } = [a, b][which]!;
    const set = alone[which]!;
    const own = cursors[which]!++;
    assert.ok(pooled.start[k]! >= before);
    before = pooled.start[k]!;
    assert.is(startNs, bars.tsEventNs[set.start[own]!]);
    assert.is(pooled.calendarNs[pooled.end[k]!], bars.tsEventNs[set.start[own]! + 7]);
    assert.equal([pooled.metaLabel[k], pooled.side[k]], [set.metaLabel[own], set.side[own]]);
    assert.is(pooled.uniqueness[k], set.uniqueness[own], 'another instrument takes nothing from it');
    const row = Buffer.from(pooled.rows.buffer, k * rowBytes, rowBytes);
    assert.ok(row.equals(Buffer.from(set.rows.buffer, own * rowBytes, rowBytes)));
  }
  assert.equal(
    cursors,
    alone.map((set) => set.start.length),
  );
});

test('of two signals at the same instant the first series comes first', () => {
  const a = randomSeries(200, 49);
  const b = { ...randomSeries(200, 50), sides: a.sides };
  const set = buildTrainingSet([a, b], BUILT_IN, completeTripleBarrier(), VPIN);
  assert.is(set.calendarNs.length, 200, 'a stamp of both is one position');
  const rowOf = (k: number): string => set.rows.subarray(k * set.columnCount, (k + 1) * set.columnCount).join(' ');
  const first = buildTrainingSet([a], BUILT_IN, completeTripleBarrier(), VPIN);
  let together = 0;
  for (let k = 0; k + 1 < set.start.length; k++) {
    if (set.start[k] !== set.start[k + 1]) continue;
    const own = first.start.indexOf(set.start[k]!);
    assert.is(rowOf(k), first.rows.subarray(own * set.columnCount, (own + 1) * set.columnCount).join(' '));
    together++;
  }
  assert.ok(together > 20);
});

test('a series that does not fit together is refused by the name of what is wrong', async () => {
  const good = randomSeries(150, 51);
  const features = new FeatureSet(['volatility'], ['spread']);
  const spread = new Float64Array(150);
  const complete: TrainingSeries = { ...good, features: { spread } };
  const { sides: _sides, ...sideless } = complete;
  const high = good.bars.high.slice();
  high[5] = 1;
  const cases: readonly (readonly [TrainingSeries, string, string])[] = [
    [{ ...complete, sides: new Int8Array(149) }, 'LENGTH_MISMATCH', 'series[1].sides'],
    [sideless, 'INVALID_SIGNAL', 'series[1].sides'],
    [good, 'MISSING_FEATURE', 'series[1].features.spread'],
    [{ ...good, features: { other: spread } }, 'MISSING_FEATURE', 'series[1].features.spread'],
    [{ ...good, features: { spread: new Float64Array(151) } }, 'LENGTH_MISMATCH', 'series[1].features.spread'],
    [{ ...complete, bars: BarSeries.from({ ...good.bars, high }) }, 'INCONSISTENT_BAR', 'series[1].bars[5].high'],
  ];
  for (const [series, code, field] of cases) {
    const refusal = await refusalOf(() =>
      buildTrainingSet([complete, { ...series, instrumentId: 'OTHER' }], features, completeTripleBarrier(), VPIN),
    );
    assert.equal([refusal.code, refusal.field], [code, field]);
  }
});

test('two series of one instrument are refused by the place of the second', async () => {
  const [a, b, c] = [54, 55, 56].map((seed) => randomSeries(150, seed));
  const again = { ...c!, instrumentId: a!.instrumentId };
  const refusal = await refusalOf(() => buildTrainingSet([a!, b!, again], BUILT_IN, completeTripleBarrier(), VPIN));
  assert.equal([refusal.code, refusal.field], ['DUPLICATE_INSTRUMENT', 'series[2].instrumentId']);
});

test('every row knows its series, its bar, how long it lasted and what it returned', () => {
  const [a, b] = [randomSeries(260, 57), randomSeries(240, 58, 40n * MINUTE_NS)];
  const set = buildTrainingSet([a, b], BUILT_IN, completeTripleBarrier(), VPIN);
  const labels = [a, b].map(({ bars, sides }) => tripleBarrierLabels(bars, sides));
  for (const [k, bar] of set.bar.entries()) {
    const which = set.series[k]!;
    const { bars } = [a, b][which]!;
    assert.is(set.calendarNs[set.start[k]!], bars.tsEventNs[bar]);
    const own = labels[which]!;
    const at = own.signalBar.indexOf(bar);
    assert.is(set.duration[k], own.exitBar[at]! - bar);
    assert.is(set.grossR[k], own.grossR[at]);
    assert.is(set.ambiguous[k], own.ambiguous[at]);
    assert.ok(set.duration[k]! >= 1 && set.start[k]! + set.duration[k]! <= set.end[k]!);
  }
  assert.ok(set.series.includes(0) && set.series.includes(1));
});

test('what the rows of a series were made from is kept on the calendar of all', () => {
  const [a, b] = [randomSeries(260, 57), randomSeries(240, 58, 40n * MINUTE_NS + MINUTE_NS / 2n)];
  const set = buildTrainingSet([a, b], BUILT_IN, completeTripleBarrier(), VPIN);
  assert.equal(
    set.sources.map(({ instrumentId }) => instrumentId),
    ['WALK-57', 'WALK-58'],
  );
  for (const [which, { columns, vpin, position }] of set.sources.entries()) {
    const { bars } = [a, b][which]!;
    assert.equal(
      [...position].map((at) => set.calendarNs[at]),
      [...bars.tsEventNs],
    );
    const derived = deriveFeatureColumns(bars);
    for (const name of ['high', 'low', 'close', 'volume', 'logReturn', 'volatility'] as const) {
      assertSameBits(columns[name], derived[name], name);
    }
    const indicator = new VpinIndicator(VPIN);
    for (const [i, value] of vpin.entries()) {
      indicator.update(bars.at(i));
      assert.ok(Object.is(value, indicator.value ?? Number.NaN), `bar ${i}`);
    }
  }
});

test('a feature is not found among what every object inherits', async () => {
  const series = { ...randomSeries(150, 52), features: {} };
  const features = new FeatureSet(['volatility'], ['toString']);
  const { code, field } = await refusalOf(() => buildTrainingSet([series], features, completeTripleBarrier(), VPIN));
  assert.equal([code, field], ['MISSING_FEATURE', 'series[0].features.toString']);
});

test('a side that is none of −1, 0 and 1 is refused by the name of its series', async () => {
  const series = randomSeries(150, 53);
  series.sides[120] = 2;
  const { code, field } = await refusalOf(() => buildTrainingSet([series], BUILT_IN, completeTripleBarrier(), VPIN));
  assert.equal([code, field], ['OUT_OF_RANGE', 'series[0].sides']);
});

test.run();
