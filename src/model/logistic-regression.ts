import { OrchestratorError } from '../errors.js';
import { probabilityOf } from './log-odds.js';

export interface LogisticOptions {
  /** Penalty l2/2 · |coefficients|² beside the summed log-loss, default 1; the intercept is free. */
  l2?: number;
  /** Newton steps at most, default 25. */
  iterations?: number;
}

/** Standardised values are held inside this, so that one wild value cannot carry a prediction. */
const STANDARDISED_MAX = 5;
/** The last step is the first that promises to lower the penalised loss, summed over the rows in nats, by less: Newton's error falls to its square. */
const GAIN_MIN = 1e-6;
const HALVINGS_MAX = 30;
const ROWS_AT_ONCE = 4;

/** A fitted logistic regression. Coefficients belong to standardised columns; an ignored column has coefficient 0. */
export class LogisticModel {
  readonly intercept: number;
  readonly coefficients: Float64Array;
  /** Whether the last Newton step promised less than a millionth of a nat over all rows together. */
  readonly converged: boolean;
  private readonly scale: ColumnScale;

  constructor(intercept: number, coefficients: Float64Array, scale: ColumnScale, converged: boolean) {
    this.intercept = intercept;
    this.coefficients = coefficients;
    this.converged = converged;
    this.scale = scale;
  }

  /** P(label = 1) of the row that starts at `offset`, counted in values. Throws OUT_OF_RANGE when the row does not lie inside `rows`. */
  probability(rows: Float32Array, offset: number): number {
    const { coefficients } = this;
    if (!(Number.isInteger(offset) && offset >= 0 && offset + coefficients.length <= rows.length)) {
      throw new OrchestratorError('OUT_OF_RANGE', `no row of ${coefficients.length} values at ${offset}`, {
        field: 'offset',
      });
    }
    let margin = this.intercept;
    for (let c = 0; c < coefficients.length; c++) {
      if (coefficients[c] !== 0) margin += coefficients[c]! * standardise(rows[offset + c]!, this.scale, c);
    }
    return probabilityOf(margin);
  }
}

/** Mean and standard deviation by column; a deviation of 0 marks a column that is ignored. */
export interface ColumnScale {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/**
 * L2-penalised logistic regression by Newton's method (iteratively reweighted least squares; McCullagh & Nelder 1989, ch. 2; the penalty is that of le Cessie &
 * van Houwelingen 1992). `rows` is row-major, `columnCount` values a row; NaN or an infinite value is missing. `labels` holds 0 or 1 a row.
 * Columns are standardised with mean and deviation of their known values and clamped to ±5; a missing value takes the mean, and a column with fewer than two
 * different values is ignored.
 * A step that raises the loss is halved, so the fit stays finite whatever the data. With labels of one class only, every probability is Laplace's (ones + 1)/(rows + 2).
 * Deterministic. Throws LENGTH_MISMATCH, INSUFFICIENT_DATA for no rows, OUT_OF_RANGE for a label or an option.
 */
export function fitLogistic(
  rows: Float32Array,
  columnCount: number,
  labels: Uint8Array,
  options: LogisticOptions = {},
): LogisticModel {
  const { l2 = 1, iterations = 25 } = options;
  checkInput(rows, columnCount, labels, l2, iterations);
  const scale = scaleOf(rows, columnCount);
  const used = [...scale.deviation.keys()].filter((c) => scale.deviation[c]! > 0);
  const coefficients = new Float64Array(columnCount);
  const ones = labels.reduce((sum, label) => sum + label, 0);
  if (ones === 0 || ones === labels.length) {
    return new LogisticModel(Math.log((ones + 1) / (labels.length - ones + 1)), coefficients, scale, true);
  }
  const design = designOf(rows, columnCount, used, scale);
  const start = new Float64Array(used.length + 1);
  start[0] = Math.log(ones / (labels.length - ones));
  const { theta, converged } = minimise(design, labels, start, l2, iterations);
  for (const [k, column] of used.entries()) coefficients[column] = theta[k + 1]!;
  return new LogisticModel(theta[0]!, coefficients, scale, converged);
}

/** Standardised rows of `width` values: a 1 for the intercept, then the columns in use. Rows of zeros fill their number up to a multiple of {@link ROWS_AT_ONCE}. */
interface Design {
  readonly values: Float64Array;
  readonly width: number;
}

interface Loss {
  readonly value: number;
  readonly gradient: Float64Array;
  /** p(1 − p) by row of the design, 0 for its rows of zeros. */
  readonly weight: Float64Array;
}

function minimise(
  design: Design,
  labels: Uint8Array,
  start: Float64Array,
  l2: number,
  iterations: number,
): { theta: Float64Array; converged: boolean } {
  let theta = start;
  let loss = penalisedLoss(design, labels, theta, l2);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const step = solvePositive(hessianOf(design, loss.weight, l2), loss.gradient);
    if (step === null) return { theta, converged: false };
    const gain = step.reduce((sum, s, k) => sum + s * loss.gradient[k]!, 0) / 2;
    if (gain < GAIN_MIN) return { theta: stepFrom(theta, step, 1), converged: true };
    let share = 1;
    let next = stepFrom(theta, step, share);
    let nextLoss = penalisedLoss(design, labels, next, l2);
    for (let halving = 0; !(nextLoss.value <= loss.value) && halving < HALVINGS_MAX; halving++) {
      share /= 2;
      next = stepFrom(theta, step, share);
      nextLoss = penalisedLoss(design, labels, next, l2);
    }
    if (!(nextLoss.value <= loss.value)) return { theta, converged: false };
    theta = next;
    loss = nextLoss;
  }
  return { theta, converged: false };
}

function stepFrom(theta: Float64Array, step: Float64Array, share: number): Float64Array {
  return theta.map((value, k) => value - share * step[k]!);
}

function designOf(rows: Float32Array, columnCount: number, used: readonly number[], scale: ColumnScale): Design {
  const width = used.length + 1;
  const rowCount = rows.length / columnCount;
  const values = new Float64Array(Math.ceil(rowCount / ROWS_AT_ONCE) * ROWS_AT_ONCE * width);
  for (let r = 0; r < rowCount; r++) {
    values[r * width] = 1;
    for (let k = 1; k < width; k++) {
      const column = used[k - 1]!;
      values[r * width + k] = standardise(rows[r * columnCount + column]!, scale, column);
    }
  }
  return { values, width };
}

function penalisedLoss({ values, width }: Design, labels: Uint8Array, theta: Float64Array, l2: number): Loss {
  const gradient = new Float64Array(width);
  const weight = new Float64Array(values.length / width);
  let value = 0;
  for (let r = 0, row = 0; r < labels.length; r++, row += width) {
    let margin = 0;
    for (let k = 0; k < width; k++) margin += theta[k]! * values[row + k]!;
    const label = labels[r]!;
    value += Math.max(margin, 0) + Math.log1p(Math.exp(-Math.abs(margin))) - label * margin;
    const probability = probabilityOf(margin);
    weight[r] = probability * (1 - probability);
    for (let k = 0; k < width; k++) gradient[k]! += (probability - label) * values[row + k]!;
  }
  for (let k = 1; k < width; k++) {
    value += (l2 / 2) * theta[k]! ** 2;
    gradient[k]! += l2 * theta[k]!;
  }
  return { value, gradient, weight };
}

/** Lower triangle of the Hessian, row-major. Four rows at a time halve the time of the fit, which is mostly spent here on loads and stores. */
function hessianOf({ values, width }: Design, weight: Float64Array, l2: number): Float64Array {
  const hessian = new Float64Array(width * width);
  for (let r = 0; r < weight.length; r += ROWS_AT_ONCE) {
    const row0 = r * width;
    const row1 = row0 + width;
    const row2 = row1 + width;
    const row3 = row2 + width;
    for (let k = 0; k < width; k++) {
      const x0 = weight[r]! * values[row0 + k]!;
      const x1 = weight[r + 1]! * values[row1 + k]!;
      const x2 = weight[r + 2]! * values[row2 + k]!;
      const x3 = weight[r + 3]! * values[row3 + k]!;
      for (let j = 0; j <= k; j++) {
        hessian[k * width + j]! +=
          x0 * values[row0 + j]! + x1 * values[row1 + j]! + x2 * values[row2 + j]! + x3 * values[row3 + j]!;
      }
    }
  }
  for (let k = 1; k < width; k++) hessian[k * width + k]! += l2;
  return hessian;
}

/** The solution of matrix · x = right by Cholesky's factorisation of the lower triangle; null when the matrix is not positive definite in floating point. */
function solvePositive(matrix: Float64Array, right: Float64Array): Float64Array | null {
  const size = right.length;
  const lower = matrix.slice();
  const solution = right.slice();
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = lower[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= lower[i * size + k]! * lower[j * size + k]!;
      if (j < i) lower[i * size + j] = sum / lower[j * size + j]!;
      else if (sum > 0) lower[i * size + i] = Math.sqrt(sum);
      else return null;
    }
  }
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) solution[i]! -= lower[i * size + k]! * solution[k]!;
    solution[i]! /= lower[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) solution[i]! -= lower[k * size + i]! * solution[k]!;
    solution[i]! /= lower[i * size + i]!;
  }
  return solution;
}

function standardise(value: number, { mean, deviation }: ColumnScale, column: number): number {
  if (!Number.isFinite(value)) return 0;
  const standardised = (value - mean[column]!) / deviation[column]!;
  return Math.max(-STANDARDISED_MAX, Math.min(STANDARDISED_MAX, standardised));
}

function scaleOf(rows: Float32Array, columnCount: number): ColumnScale {
  const mean = new Float64Array(columnCount);
  const deviation = new Float64Array(columnCount);
  for (let c = 0; c < columnCount; c++) {
    let known = 0;
    let sum = 0;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let at = c; at < rows.length; at += columnCount) {
      const value = rows[at]!;
      if (!Number.isFinite(value)) continue;
      known++;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    if (!(min < max)) continue;
    mean[c] = sum / known;
    let squares = 0;
    for (let at = c; at < rows.length; at += columnCount) {
      const value = rows[at]!;
      if (Number.isFinite(value)) squares += (value - mean[c]!) ** 2;
    }
    deviation[c] = Math.sqrt(squares / known);
  }
  return { mean, deviation };
}

function checkInput(rows: Float32Array, columnCount: number, labels: Uint8Array, l2: number, iterations: number): void {
  const outOfRange = (field: string, rule: string): never => {
    throw new OrchestratorError('OUT_OF_RANGE', `${field} must be ${rule}`, { field });
  };
  if (!(Number.isInteger(columnCount) && columnCount > 0)) outOfRange('columnCount', 'a positive integer');
  if (!(l2 > 0 && Number.isFinite(l2))) outOfRange('l2', 'a positive number');
  if (!(Number.isInteger(iterations) && iterations > 0)) outOfRange('iterations', 'a positive integer');
  if (rows.length !== labels.length * columnCount) {
    throw new OrchestratorError(
      'LENGTH_MISMATCH',
      `${rows.length} values are not ${labels.length} rows of ${columnCount}`,
      { field: 'rows' },
    );
  }
  if (labels.length === 0) throw new OrchestratorError('INSUFFICIENT_DATA', 'no rows to fit', { field: 'labels' });
  if (labels.some((label) => label > 1)) outOfRange('labels', '0 or 1');
}
