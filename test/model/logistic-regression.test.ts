import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { probabilityOf } from '../../src/model/log-odds.js';
import { fitLogistic, type LogisticModel } from '../../src/model/logistic-regression.js';
import { normalDraws, uniformStream } from '../../src/simulation/random-streams.js';
import { refusalOf } from '../support/refusal.js';

interface Sample {
  readonly rows: Float32Array;
  readonly labels: Uint8Array;
}

/** Rows of independent normals, labels drawn with log-odds intercept + coefficients · row. */
function plantedSample(count: number, intercept: number, coefficients: readonly number[], seed: number): Sample {
  const normal = normalDraws(uniformStream(seed, 0, 2));
  const uniform = uniformStream(seed, 1, 2);
  const rows = Float32Array.from({ length: count * coefficients.length }, normal);
  const labels = Uint8Array.from({ length: count }, (_, r) => {
    const margin = coefficients.reduce((sum, b, c) => sum + b * rows[r * coefficients.length + c]!, intercept);
    return uniform() < probabilityOf(margin) ? 1 : 0;
  });
  return { rows, labels };
}

function meanOf(labels: Uint8Array): number {
  return labels.reduce((sum, label) => sum + label, 0) / labels.length;
}

/** Rows standardised as the model promises, missing 0, clamped at ±5. */
function standardised(rows: Float32Array, columnCount: number): Float64Array {
  const result = new Float64Array(rows.length);
  for (let c = 0; c < columnCount; c++) {
    const column = [...rows].filter((_, at) => at % columnCount === c);
    const known = column.filter((value) => !Number.isNaN(value));
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    const deviation = Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length);
    for (const [r, value] of column.entries()) {
      result[r * columnCount + c] = Number.isNaN(value) ? 0 : Math.max(-5, Math.min(5, (value - mean) / deviation));
    }
  }
  return result;
}

/** Summed log-loss plus the penalty, as the docstring states it. */
function penalisedLoss(x: Float64Array, labels: Uint8Array, theta: readonly number[], l2: number): number {
  const [intercept, ...coefficients] = theta;
  let loss = (l2 / 2) * coefficients.reduce((sum, b) => sum + b ** 2, 0);
  for (const [r, label] of labels.entries()) {
    const margin = coefficients.reduce((sum, b, c) => sum + b * x[r * coefficients.length + c]!, intercept!);
    loss -= Math.log(probabilityOf(label === 1 ? margin : -margin));
  }
  return loss;
}

function thetaOf(model: LogisticModel): number[] {
  return [model.intercept, ...model.coefficients];
}

test('it recovers the coefficients a sample was planted with', () => {
  const planted = [1, -0.5, 0, 0.25];
  const { rows, labels } = plantedSample(50_000, -0.4, planted, 1);
  const model = fitLogistic(rows, 4, labels);
  assert.ok(model.converged);
  // Columns have deviation 1; the Fisher information of a row is about 0.2 a coefficient.
  const tolerance = 4 / Math.sqrt(0.2 * labels.length);
  assert.ok(Math.abs(model.intercept + 0.4) < tolerance, `intercept ${model.intercept}`);
  for (const [c, b] of planted.entries()) {
    assert.ok(Math.abs(model.coefficients[c]! - b) < tolerance, `coefficient ${c} is ${model.coefficients[c]}`);
  }
});

test('the gradient of the penalised loss vanishes at the fit, with missing values, wild values and any penalty', () => {
  const { rows, labels } = plantedSample(400, 0.3, [0.8, -0.3, 0.1], 2);
  for (let at = 0; at < rows.length; at += 7) rows[at] = Number.NaN;
  rows[4] = 1000;
  const x = standardised(rows, 3);
  for (const l2 of [1e-3, 1, 50]) {
    const model = fitLogistic(rows, 3, labels, { l2 });
    assert.ok(model.converged);
    const theta = thetaOf(model);
    for (const k of theta.keys()) {
      const shifted = (by: number): number[] => theta.map((value, j) => (j === k ? value + by : value));
      const slope = (penalisedLoss(x, labels, shifted(1e-4), l2) - penalisedLoss(x, labels, shifted(-1e-4), l2)) / 2e-4;
      assert.ok(Math.abs(slope) < 1e-5, `slope ${slope} along ${k} with l2 ${l2}`);
    }
    for (let r = 0; r < 20; r++) {
      const margin = theta.slice(1).reduce((sum, b, c) => sum + b * x[r * 3 + c]!, theta[0]!);
      assert.ok(Math.abs(model.probability(rows, r * 3) - probabilityOf(margin)) < 1e-12);
    }
  }
});

test('no other coefficients have a lower penalised loss', () => {
  const { rows, labels } = plantedSample(100, 0, [1, 1], 3);
  const x = standardised(rows, 2);
  const theta = thetaOf(fitLogistic(rows, 2, labels));
  const best = penalisedLoss(x, labels, theta, 1);
  const shift = fc.double({ min: -3, max: 3, noNaN: true });
  fc.assert(
    fc.property(fc.tuple(shift, shift, shift), (shifts) => {
      const other = theta.map((value, k) => value + shifts[k]!);
      assert.ok(penalisedLoss(x, labels, other, 1) >= best - 1e-9);
    }),
    { seed: 3, numRuns: 200 },
  );
});

test('where nothing is known the probability is the base rate, and such columns have no coefficient', () => {
  const { labels } = plantedSample(300, -0.7, [0], 4);
  const rows = Float32Array.from({ length: 600 }, (_, at) => (at % 2 === 0 ? Number.NaN : 0.1));
  const model = fitLogistic(rows, 2, labels);
  assert.ok(model.converged);
  assert.equal([...model.coefficients], [0, 0]);
  for (const values of [
    [Number.NaN, Number.NaN],
    [17, -3],
  ]) {
    assert.ok(Math.abs(model.probability(Float32Array.from(values), 0) - meanOf(labels)) < 1e-9);
  }
});

test('a missing value counts as the mean of the known ones', () => {
  const { rows, labels } = plantedSample(2000, 0.2, [1, -1], 5);
  for (let r = 0; r < labels.length; r += 3) rows[r * 2] = Number.NaN;
  const model = fitLogistic(rows, 2, labels);
  const known = rows.filter((value, at) => at % 2 === 0 && !Number.isNaN(value));
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  for (const missing of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const found = model.probability(Float32Array.of(missing, 0.5), 0);
    assert.ok(Math.abs(found - model.probability(Float32Array.of(mean, 0.5), 0)) < 1e-6, `${missing}`);
  }
  assert.is(model.probability(Float32Array.of(Number.NaN, Number.NaN), 0), probabilityOf(model.intercept));
});

test('one wild value moves a prediction no further than five deviations would', () => {
  const { rows, labels } = plantedSample(1000, 0, [1], 6);
  const model = fitLogistic(rows, 1, labels);
  const far = model.probability(Float32Array.of(6), 0);
  assert.is(model.probability(Float32Array.of(1e30), 0), far);
  assert.ok(Math.abs(far - probabilityOf(model.intercept + 5 * model.coefficients[0]!)) < 1e-12);
});

test('the unit of a column does not matter', () => {
  const { rows, labels } = plantedSample(500, 0, [1, -1], 7);
  const scaled = rows.map((value, at) => (at % 2 === 0 ? 4096 * value : value / 1024));
  const one = fitLogistic(rows, 2, labels);
  const other = fitLogistic(scaled, 2, labels);
  for (const [k, value] of thetaOf(one).entries()) assert.ok(Math.abs(value - thetaOf(other)[k]!) < 1e-9);
});

test('separable and duplicated columns stay finite and point the right way', () => {
  const values = Float32Array.from({ length: 400 }, (_, at) => Math.floor(at / 2) - 99.5);
  const labels = Uint8Array.from({ length: 200 }, (_, r) => (r < 100 ? 0 : 1));
  for (const l2 of [1e-9, 1]) {
    const model = fitLogistic(values, 2, labels, { l2, iterations: 100 });
    assert.ok(model.converged, `l2 ${l2}`);
    for (const value of thetaOf(model)) assert.ok(Number.isFinite(value));
    assert.ok(model.coefficients[0]! > 0 && Math.abs(model.coefficients[0]! - model.coefficients[1]!) < 1e-3);
    assert.ok(model.probability(Float32Array.of(-50, -50), 0) < 0.1);
    assert.ok(model.probability(Float32Array.of(50, 50), 0) > 0.9);
  }
});

test('rare labels far out, where a full Newton step overshoots, are fitted all the same', () => {
  const { rows } = plantedSample(1000, 0, [0], 11);
  const labels = Uint8Array.from(rows, (_, r) => (r < 3 ? 1 : 0));
  rows.fill(8, 0, 3);
  labels[999] = 1;
  const x = standardised(rows, 1);
  const model = fitLogistic(rows, 1, labels);
  assert.ok(model.converged);
  const [intercept, coefficient] = thetaOf(model) as [number, number];
  const best = penalisedLoss(x, labels, [intercept, coefficient], 1);
  for (const [a, b] of [
    [0.01, 0],
    [-0.01, 0],
    [0, 0.01],
    [0, -0.01],
  ] as const) {
    assert.ok(penalisedLoss(x, labels, [intercept + a, coefficient + b], 1) > best);
  }
});

test('a stronger penalty gives smaller coefficients and leaves the mean prediction at the base rate', () => {
  const { rows, labels } = plantedSample(1000, -1, [1, -1], 8);
  let before = Number.POSITIVE_INFINITY;
  for (const l2 of [0.1, 1, 10, 100, 1000]) {
    const model = fitLogistic(rows, 2, labels, { l2 });
    const size = Math.hypot(...model.coefficients);
    assert.ok(size < before, `l2 ${l2}`);
    before = size;
    let mean = 0;
    for (let r = 0; r < labels.length; r++) mean += model.probability(rows, r * 2) / labels.length;
    assert.ok(Math.abs(mean - meanOf(labels)) < 1e-8, `l2 ${l2}`);
  }
});

test('labels of one class give their rate, kept from 0 and 1 by one row of each', () => {
  const rows = Float32Array.of(1, 2, 3, 4);
  for (const [label, expected] of [
    [0, 1 / 6],
    [1, 5 / 6],
  ] as const) {
    const model = fitLogistic(rows, 1, new Uint8Array(4).fill(label));
    for (const value of [-100, 2, Number.NaN]) {
      assert.ok(Math.abs(model.probability(Float32Array.of(value), 0) - expected) < 1e-12);
    }
  }
});

test('a fit that ran out of iterations says so, and equal input gives equal bits', () => {
  const { rows, labels } = plantedSample(1001, 0.5, [2, -1], 9);
  assert.not(fitLogistic(rows, 2, labels, { iterations: 1 }).converged);
  assert.equal(thetaOf(fitLogistic(rows, 2, labels)), thetaOf(fitLogistic(rows, 2, labels)));
});

test('rows are read at their offset, and one that is not there is refused', async () => {
  const { rows, labels } = plantedSample(50, 0, [1, 1], 10);
  const model = fitLogistic(rows, 2, labels);
  assert.is(model.probability(rows, 6), model.probability(rows.slice(6, 8), 0));
  for (const offset of [-1, 0.5, 99]) {
    assert.is((await refusalOf(() => model.probability(rows, offset))).code, 'OUT_OF_RANGE');
  }
});

test('what cannot be fitted is refused with its field', async () => {
  const rows = Float32Array.of(1, 2, 3, 4);
  const labels = Uint8Array.of(0, 1);
  const cases = [
    ['LENGTH_MISMATCH', 'rows', () => fitLogistic(rows, 3, labels)],
    ['INSUFFICIENT_DATA', 'labels', () => fitLogistic(new Float32Array(0), 2, new Uint8Array(0))],
    ['OUT_OF_RANGE', 'labels', () => fitLogistic(rows, 2, Uint8Array.of(0, 2))],
    ['OUT_OF_RANGE', 'columnCount', () => fitLogistic(rows, 0, labels)],
    ['OUT_OF_RANGE', 'l2', () => fitLogistic(rows, 2, labels, { l2: 0 })],
    ['OUT_OF_RANGE', 'iterations', () => fitLogistic(rows, 2, labels, { iterations: 0 })],
  ] as const;
  for (const [code, field, call] of cases) {
    const refusal = await refusalOf(call);
    assert.is(refusal.code, code);
    assert.is(refusal.field, field);
  }
});

test.run();
