import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { BarSeries, checkBars, findBarFault, toSharedBars } from '../../src/market/bar.js';
import { randomBars } from '../support/market.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { barsOf } from '../support/vectors.js';

const SEED = 20_240_101;

function errorOf(act: () => unknown): OrchestratorError {
  try {
    act();
  } catch (error) {
    if (error instanceof OrchestratorError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('a series reads back every bar it was built from', () => {
  const bars = [1n, 5n, 9n].map((tsEventNs, k) => ({
    tsEventNs,
    open: 10 + k,
    high: 20 + k,
    low: 5 + k,
    close: 15 + k,
    volume: k === 1 ? Number.NaN : 100 + k,
  }));
  const series = BarSeries.fromBars(bars);
  assert.is(series.length, 3);
  assert.equal(
    [0, 1, 2].map((k) => series.at(k)),
    bars,
  );
});

test('columns are wrapped, not copied, and an absent volume column reads as unknown', () => {
  const price = (): Float64Array => Float64Array.of(1, 2);
  const close = price();
  const series = BarSeries.from({
    tsEventNs: BigInt64Array.of(1n, 2n),
    open: price(),
    high: price(),
    low: price(),
    close,
  });
  assert.is(series.close, close);
  assert.equal([...series.volume], [Number.NaN, Number.NaN]);
});

test('a column of another length is refused by its name', () => {
  for (const name of ['open', 'high', 'low', 'close', 'volume'] as const) {
    const columns = {
      tsEventNs: BigInt64Array.of(1n, 2n),
      open: new Float64Array(2),
      high: new Float64Array(2),
      low: new Float64Array(2),
      close: new Float64Array(2),
      volume: new Float64Array(2),
      [name]: new Float64Array(3),
    };
    const error = errorOf(() => BarSeries.from(columns));
    assert.is(error.code, 'LENGTH_MISMATCH');
    assert.is(error.field, name);
  }
});

test('a slice shows the same memory from its own first bar', () => {
  const series = randomBars(10, 1);
  const slice = series.slice(3, 7);
  assert.is(slice.length, 4);
  assert.equal(slice.at(0), series.at(3));
  assert.equal(slice.at(3), series.at(6));
  series.close[4] = 77;
  assert.is(slice.at(1).close, 77);
});

test('a bar outside the series is refused instead of read as undefined', () => {
  const series = randomBars(3, 2);
  for (const index of [-1, 3, 0.5, Number.NaN]) assert.is(errorOf(() => series.at(index)).code, 'OUT_OF_RANGE');
});

test('a copy for other threads holds the same bars in memory they can see, and is not copied again', () => {
  const series = randomBars(50, 3, { volume: false });
  const copy = toSharedBars(series.slice(5, 45));
  for (const column of ['tsEventNs', 'open', 'high', 'low', 'close', 'volume'] as const)
    assert.instance(copy[column].buffer, SharedArrayBuffer);
  assert.is(copy.length, 40);
  for (let i = 0; i < 40; i++) assert.equal(copy.at(i), series.at(i + 5));
  assert.is(toSharedBars(copy), copy);
});

test('each way a bar can be wrong has its code and column', () => {
  const nan = Number.NaN;
  const good = [2, 3, 1, 2.5, 10] as const;
  const cases: readonly (readonly [readonly [number, number, number, number, number], string, string])[] = [
    [[nan, 3, 1, 2, 1], 'NOT_A_NUMBER', 'open'],
    [[2, Number.POSITIVE_INFINITY, 1, 2, 1], 'NOT_A_NUMBER', 'high'],
    [[2, 3, nan, 2, 1], 'NOT_A_NUMBER', 'low'],
    [[2, 3, 1, Number.NEGATIVE_INFINITY, 1], 'NOT_A_NUMBER', 'close'],
    [[0, 3, 1, 2, 1], 'PRICE_NOT_POSITIVE', 'open'],
    [[2, 3, -1, 2, 1], 'PRICE_NOT_POSITIVE', 'low'],
    [[2, 3, 1, 0, 1], 'PRICE_NOT_POSITIVE', 'close'],
    [[4, 3, 1, 2, 1], 'INCONSISTENT_BAR', 'high'],
    [[2, 3, 1, 4, 1], 'INCONSISTENT_BAR', 'high'],
    [[2, 2, 3, 2, 1], 'INCONSISTENT_BAR', 'high'],
    [[2, 3, 2.5, 3, 1], 'INCONSISTENT_BAR', 'low'],
    [[3, 3, 2.5, 2, 1], 'INCONSISTENT_BAR', 'low'],
    [[2, 3, 1, 2, -1], 'NEGATIVE_VOLUME', 'volume'],
    [[2, 3, 1, 2, Number.POSITIVE_INFINITY], 'NOT_A_NUMBER', 'volume'],
  ];
  assert.is(findBarFault(...good), null);
  for (const [values, code, column] of cases) {
    const fault = findBarFault(...values);
    assert.is(fault?.code, code, `${values}`);
    assert.is(fault?.column, column, `${values}`);
  }
});

test('a bar of one price, of zero volume or of unknown volume has no fault', () => {
  assert.is(findBarFault(2, 2, 2, 2, 0), null);
  assert.is(findBarFault(2, 3, 1, 2, Number.NaN), null);
});

test('a bar is consistent exactly when its high and low embrace its open and close', () => {
  const price = fc.integer({ min: 1, max: 6 });
  const property = fc.property(price, price, price, price, (open, high, low, close) => {
    const embraces = high >= open && high >= close && low <= open && low <= close && low <= high;
    assert.is(findBarFault(open, high, low, close, 1) === null, embraces);
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('the check of a series names the bar and the column at fault', () => {
  const good = [2, 3, 1, 2, 1];
  checkBars(barsOf([good, good, good]), 'bars');
  const error = errorOf(() => checkBars(barsOf([good, good, [2, 3, 1, 2, -5]]), 'bars'));
  assert.is(error.code, 'NEGATIVE_VOLUME');
  assert.is(error.field, 'bars[2].volume');
  assert.match(error.message, 'bars[2]');
});

test('time that stands still or turns back is refused at the bar where it does', () => {
  for (const stamp of [1n, 2n]) {
    const series = randomBars(3, 4);
    series.tsEventNs.set([1n, 2n, stamp]);
    const error = errorOf(() => checkBars(series, 'bars'));
    assert.is(error.code, 'TIME_NOT_INCREASING');
    assert.is(error.field, 'bars[2].tsEventNs');
  }
});

test.run();
