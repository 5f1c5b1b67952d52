import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deriveFeatureColumns } from '../../src/features/feature-columns.js';
import { readBarsCsv } from '../../src/market/bars-csv.js';
import { seededUniform } from '../../src/random.js';
import { RegimeFilter } from '../../src/regime/regime-filter.js';
import { fitRegimeModel, type RegimeModel, type RegimeSeries } from '../../src/regime/regime-model.js';
import { referenceBars } from '../support/reference.js';
import { normal, type PlantedState, plantedReturns, seriesOf } from './simulated-returns.js';

function fitted(series: readonly RegimeSeries[], seed = 1): RegimeModel {
  const model = fitRegimeModel(series, seed);
  if (model === null) throw new Error('no model');
  return model;
}

const planted = (states: readonly PlantedState[], count = 8000, seed = 1): RegimeSeries =>
  seriesOf(plantedReturns(count, states, seededUniform(seed)));

const CALM_TRENDING = [{ deviation: 0.4, repeats: 0.4 }, { deviation: 1 }, { deviation: 4 }];
const MIDDLE_REVERTING = [{ deviation: 0.3 }, { deviation: 1, repeats: -0.5 }, { deviation: 4 }];

test('a planted trend is called trending, a planted return to the mean reverting, large moves volatile, a random walk ranging', () => {
  assert.equal(fitted([planted(CALM_TRENDING)]).names, ['trending', 'ranging', 'volatile']);
  assert.equal(fitted([planted(MIDDLE_REVERTING)]).names, ['ranging', 'reverting', 'volatile']);
  assert.equal(fitted([planted([{ deviation: 0.4 }, { deviation: 1 }, { deviation: 4 }])]).names, [
    'ranging',
    'ranging',
    'volatile',
  ]);
});

test('weights go with the names and states rise by the size of their moves', () => {
  const model = fitted([planted(CALM_TRENDING)]);
  assert.equal(model.weights, [1, 0.5, 0.3]);
  assert.equal(fitted([planted(MIDDLE_REVERTING)]).weights, [0.5, 0.5, 0.3]);
  assert.ok(model.variance[0]! < model.variance[2]! && model.variance[2]! < model.variance[4]!);
});

test('a plain random walk is seldom called anything but ranging, though its states are chosen by what a trend also moves', () => {
  let states = 0;
  let ranging = 0;
  for (let seed = 1; seed <= 6; seed++) {
    for (const name of fitted([planted([{ deviation: 1 }], 8000, seed)]).names) {
      states++;
      if (name === 'ranging') ranging++;
    }
  }
  assert.ok(ranging >= states - 2, `${ranging} of ${states}`);
});

test('names do not hang on the seed, and a planted one is found in either of two neighbouring windows', () => {
  // The other states are random walks: at two standard errors one in twenty of them gets a name by chance.
  for (const [states, state] of [
    [CALM_TRENDING, 0],
    [MIDDLE_REVERTING, 1],
  ] as const) {
    const series = planted(states, 16_000, 2);
    const { names } = fitted([series]);
    assert.equal(fitted([series], 2).names, names);
    assert.equal(fitted([series], 3).names, names);
    for (const window of [
      { start: 0, end: 8000 },
      { start: 8000, end: 16_000 },
    ]) {
      const seen = fitted([{ ...series, ...window }]).names;
      assert.equal([seen[state], seen[2]], [names[state], 'volatile']);
    }
    assert.is(names[state], state === 0 ? 'trending' : 'reverting');
  }
});

test('instruments of different size share states: each is measured by its own moves', () => {
  const quiet = seriesOf(
    plantedReturns(9000, CALM_TRENDING, seededUniform(5)).map((value) => value / 100),
    'quiet',
  );
  const loud = seriesOf(plantedReturns(9000, CALM_TRENDING, seededUniform(6)), 'loud');
  const model = fitted([quiet, loud]);
  assert.equal(model.names, ['trending', 'ranging', 'volatile']);
  assert.equal(Object.keys(model.scales), ['quiet', 'loud']);
  assert.ok(model.scales.loud!.returnDeviation > 50 * model.scales.quiet!.returnDeviation);
});

test('equal bars and seed give an equal model', () => {
  const series = planted(CALM_TRENDING, 5000);
  assert.equal(fitted([series], 7), fitted([series], 7));
});

test('nothing outside the training window is looked at', () => {
  const inside = { ...planted(CALM_TRENDING, 6000), start: 500, end: 5500 };
  const garble = (values: Float64Array): Float64Array =>
    values.map((value, i) => (i < inside.start || i >= inside.end ? 1e6 * (i % 7) - 3 : value));
  const garbled = {
    ...inside,
    tsEventNs: inside.tsEventNs.map((stamp, i) => (i < inside.start || i >= inside.end ? 77n : stamp)),
    logReturn: garble(inside.logReturn),
    volatility: garble(inside.volatility),
  };
  assert.equal(fitted([garbled]), fitted([inside]));
});

test('of more than 20,000 bars the newest of all instruments shape the states', () => {
  const old = { ...planted(CALM_TRENDING, 8000, 3), instrumentId: 'old' };
  const long = planted(CALM_TRENDING, 21_000, 4);
  const late = { ...long, tsEventNs: long.tsEventNs.map((stamp) => stamp + 1_000_000n) };
  const both = fitted([old, late]);
  const { scales, ...states } = fitted([late]);
  assert.equal({ ...both, scales: {} }, { ...states, scales: {} });
  assert.equal(Object.keys(both.scales), ['old', 'X'], 'an instrument with older bars alone can still be scaled');
  assert.equal(both.scales.X, scales.X);
});

test('a state needs 200 bars: with too few there are fewer states, and below 200 usable bars no model', () => {
  const returns = plantedReturns(700, [{ deviation: 1 }], seededUniform(8));
  assert.is(fitRegimeModel([seriesOf(returns.slice(0, 219))], 1), null, '199 bars have both inputs');
  const one = fitted([seriesOf(returns.slice(0, 220))]);
  assert.is(one.stateCount, 1);
  assert.equal([one.names, one.transition, one.stationary], [['ranging'], [1], [1]]);
  assert.ok(fitted([seriesOf(returns.slice(0, 619))]).stateCount < 3);
  assert.is(fitRegimeModel([], 1), null);
});

test('a state that holds a handful of bars does not survive', () => {
  const random = seededUniform(3);
  const returns = Float64Array.from({ length: 3000 }, (_, i) =>
    i === 0 ? Number.NaN : normal(random) * (i > 1000 && i < 1060 ? 0.05 : 0.001),
  );
  const model = fitted([seriesOf(returns)]);
  assert.ok(
    model.stationary.every((share) => share > 0.05),
    model.stationary.join(),
  );
});

test('a price that never moves has a model of finite numbers', () => {
  const model = fitted([seriesOf(new Float64Array(1000).fill(0, 1).fill(Number.NaN, 0, 1))]);
  const numbers = [model.mean, model.variance, model.transition, model.stationary, Object.values(model.scales.X!)];
  assert.ok(numbers.flat().every(Number.isFinite));
});

test('a model comes back from JSON with the same bits, whatever its instruments are called', () => {
  for (const series of [
    planted(CALM_TRENDING, 5000),
    planted(MIDDLE_REVERTING, 5000),
    planted([{ deviation: 0 }], 500),
  ]) {
    const model = fitted([{ ...series, instrumentId: '__proto__' }]);
    const back = JSON.parse(JSON.stringify(model)) as RegimeModel;
    for (const key of ['mean', 'variance', 'transition', 'stationary', 'weights'] as const) {
      assert.is(back[key].length, model[key].length);
      assert.ok(back[key].every((value, k) => Object.is(value, model[key][k])));
    }
    assert.ok(Object.hasOwn(back.scales, '__proto__'));
    const scale = Object.entries(Object.entries(back.scales)[0]![1]);
    assert.equal(scale, Object.entries(Object.entries(model.scales)[0]![1]));
    assert.ok(scale.every(([, value]) => Number.isFinite(value) && !Object.is(value, -0)));
    assert.not.equal(RegimeFilter.of(back, '__proto__'), null);
  }
});

test('one instrument cannot come twice', () => {
  const series = planted(CALM_TRENDING, 500);
  assert.throws(() => fitRegimeModel([series, series], 1), /one series an instrument/);
});

test('real bars have more than one regime, large moves among them, and weights from 0 to 1', async () => {
  const path = referenceBars('btc-perp-1m');
  if (path === null) return;
  const bars = await readBarsCsv(path);
  const columns = deriveFeatureColumns(bars);
  const { logReturn, volatility } = columns;
  const model = fitted([
    { instrumentId: 'BTC', tsEventNs: bars.tsEventNs, logReturn, volatility, start: 0, end: bars.length },
  ]);
  assert.is(model.stateCount, 3);
  assert.is(model.names[2], 'volatile');
  assert.ok(model.stationary.every((share) => share > 0.05));
  const filter = RegimeFilter.of(model, 'BTC')!;
  const seen = Array.from({ length: bars.length - 84 }, (_, k) => filter.weightAt(columns, k + 84));
  assert.ok(seen.every((weight) => weight >= 0 && weight <= 1));
  assert.ok(Math.max(...seen) - Math.min(...seen) > 0.15);
});

test.run();
