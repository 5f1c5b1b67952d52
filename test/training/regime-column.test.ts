import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FeatureSet, toModelValue } from '../../src/features/feature-set.js';
import { BarSeries } from '../../src/market/bar.js';
import { RegimeFilter } from '../../src/regime/regime-filter.js';
import type { RegimeModel } from '../../src/regime/regime-model.js';
import { barsInside, type CalendarWindow, fitRegime, windowOf, withRegime } from '../../src/training/regime-column.js';
import { featureSetOf } from '../../src/training/training-plan.js';
import { buildTrainingSet, type SeriesSource, type TrainingSet } from '../../src/training/training-set.js';
import { MINUTE_NS, randomBars } from '../support/market.js';
import { plantedPlan, plantedSeries } from '../support/planted.js';
import { bareSet } from './bare-set.js';

/** Closes every second minute, half a minute later than the planted ones, and begins 300 minutes after them. */
function sparseBars(count: number, seed: number): BarSeries {
  const { tsEventNs, open, high, low, close, volume } = randomBars(count, seed);
  const first = tsEventNs[0]! + 300n * MINUTE_NS + MINUTE_NS / 2n;
  const stamps = tsEventNs.map((_, i) => first + BigInt(2 * i) * MINUTE_NS);
  return BarSeries.from({ tsEventNs: stamps, open, high, low, close, volume });
}

const plan = plantedPlan();
const features = featureSetOf(plan);
const REGIME = features.names.indexOf('regime');
const SERIES = [
  plantedSeries(900, 5, 0.7),
  { ...plantedSeries(500, 6, 0.7), instrumentId: 'SPARSE', bars: sparseBars(500, 6) },
];
const SET = buildTrainingSet(SERIES, features, plan.labels, plan.vpin);
const ROWS = Int32Array.from(SET.metaLabel.keys());
const WHOLE: CalendarWindow = { start: 0, end: SET.calendarNs.length };
const MODEL = modelOf(SET, WHOLE);

function modelOf(set: TrainingSet, window: CalendarWindow): RegimeModel {
  const model = fitRegime(set, window, 1);
  if (model === null) throw new Error('there are bars enough');
  return model;
}

function regimeAt(set: TrainingSet, row: number): number {
  return set.rows[row * set.columnCount + REGIME]!;
}

test('both series have signals, and their calendars differ', () => {
  assert.ok(REGIME >= 0);
  assert.ok(SET.series.includes(0) && SET.series.includes(1));
  assert.is(SET.calendarNs.length, 1400);
});

test('the regime of a row is what the filter says of its bar, as the model sees it', () => {
  const complete = withRegime(SET, features, MODEL, ROWS);
  let known = 0;
  for (const row of ROWS) {
    const source = SET.sources[SET.series[row]!]!;
    const filter = RegimeFilter.of(MODEL, source.instrumentId)!;
    const expected = toModelValue(filter.weightAt(source.columns, SET.bar[row]!));
    assert.ok(Object.is(regimeAt(complete, row), expected), `row ${row}: ${regimeAt(complete, row)}, ${expected}`);
    if (!Number.isNaN(expected)) known++;
  }
  assert.is(known, ROWS.length, 'every signal has the history a regime takes');
});

test('only the given rows and the one column are filled, in a copy', () => {
  const before = SET.rows.slice();
  const some = ROWS.filter((row) => row % 3 === 0);
  const complete = withRegime(SET, features, MODEL, some);
  const asked = new Set(some);
  for (let k = 0; k < complete.rows.length; k++) {
    const filled = k % SET.columnCount === REGIME && asked.has(Math.floor(k / SET.columnCount));
    assert.is(Object.is(complete.rows[k], before[k]), !filled, `value ${k}`);
    assert.ok(Object.is(SET.rows[k], before[k]), 'the set is as it was');
  }
  assert.equal({ ...complete, rows: null }, { ...SET, rows: null }, 'the rest is the same');
});

test('without a model, or without the feature, the set is itself', () => {
  assert.is(withRegime(SET, features, null, ROWS), SET);
  const without = new FeatureSet(features.builtIn.filter((name) => name !== 'regime'));
  assert.is(withRegime(SET, without, MODEL, ROWS), SET);
});

test('the rows of an instrument the model does not know stay without a regime', () => {
  const { PLANTED } = MODEL.scales;
  const complete = withRegime(SET, features, { ...MODEL, scales: { PLANTED: PLANTED! } }, ROWS);
  for (const row of ROWS) assert.is(Number.isNaN(regimeAt(complete, row)), SET.series[row] === 1);
});

test('a window reaches from the first signal to the end of the last horizon', () => {
  const set = bareSet(new Uint8Array(5), {
    start: Int32Array.of(3, 5, 6, 8, 9),
    end: Int32Array.of(13, 40, 16, 18, 19),
  });
  assert.equal(windowOf(set, Int32Array.of(0, 1, 2)), { start: 3, end: 41 }, 'the horizon of another series is longer');
  assert.equal(windowOf(set, Int32Array.of(2, 3, 4)), { start: 6, end: 20 });
  assert.equal(windowOf(set, Int32Array.of(3)), { start: 8, end: 19 });
});

test('the bars inside a window are those whose place on the calendar is', () => {
  const source: SeriesSource = { ...SET.sources[0]!, position: Int32Array.of(2, 4, 6, 8) };
  const inside = (start: number, end: number): CalendarWindow => barsInside(source, { start, end });
  assert.equal(inside(0, 100), { start: 0, end: 4 });
  assert.equal(inside(4, 8), { start: 1, end: 3 });
  assert.equal(inside(3, 9), { start: 1, end: 4 });
  assert.equal(inside(5, 6), { start: 2, end: 2 }, 'between two bars there is none');
  assert.equal(inside(9, 12), { start: 4, end: 4 }, 'nor after the last');
  assert.equal(inside(0, 2), { start: 0, end: 0 }, 'nor before the first');
});

test('a window covers the same time in every series', () => {
  const window = { start: 500, end: 1100 };
  for (const [index, source] of SET.sources.entries()) {
    const { start, end } = barsInside(source, window);
    const stamps = SERIES[index]!.bars.tsEventNs;
    for (const [bar, stamp] of stamps.entries()) {
      const inTime = stamp >= SET.calendarNs[window.start]! && stamp < SET.calendarNs[window.end]!;
      assert.is(bar >= start && bar < end, inTime, `bar ${bar} of ${source.instrumentId}`);
    }
  }
});

/** The set with both regime inputs of the chosen bars garbled. */
function garbled(chosen: (source: SeriesSource, bar: number) => boolean): TrainingSet {
  const sources = SET.sources.map((source) => {
    const garble = (values: Float64Array): Float64Array =>
      values.map((value, bar) => (chosen(source, bar) ? 3 * value + 0.1 : value));
    const { logReturn, volatility } = source.columns;
    return {
      ...source,
      columns: { ...source.columns, logReturn: garble(logReturn), volatility: garble(volatility) },
    };
  });
  return { ...SET, sources };
}

test('a regime model sees the bars inside its window and no other', () => {
  const window = { start: 400, end: 1100 };
  const model = modelOf(SET, window);
  const isInside = (source: SeriesSource, bar: number): boolean => {
    const { start, end } = barsInside(source, window);
    return bar >= start && bar < end;
  };
  assert.equal(
    modelOf(
      garbled((source, bar) => !isInside(source, bar)),
      window,
    ),
    model,
  );
  for (const source of SET.sources) {
    const { start, end } = barsInside(source, window);
    for (const bar of [start, end - 1]) {
      const touched = garbled((one, at) => one.instrumentId === source.instrumentId && at === bar);
      assert.not.equal(modelOf(touched, window), model, `bar ${bar} of ${source.instrumentId} is inside`);
    }
  }
});

test('a window with too few bars has no regime model', () => {
  assert.is(fitRegime(SET, { start: 700, end: 800 }, 1), null);
});

test.run();
