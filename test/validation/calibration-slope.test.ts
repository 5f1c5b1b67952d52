import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { normalDraws } from '../../src/simulation/random-streams.js';
import type { TimeSpan } from '../../src/validation/batch-means.js';
import { calibrationSlope } from '../../src/validation/calibration-slope.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

function everyBar(count: number, dependenceBars = 1): TimeSpan {
  return { position: Int32Array.from({ length: count }, (_, bar) => bar), start: 0, end: count, dependenceBars };
}

function logit(p: number): number {
  return Math.log(p / (1 - p));
}

/** Blocks of ten labels, of which the first five have confidence `high` and the last five `low`; `ones` of each five are 1. */
function groups(high: number, low: number, ones: readonly [number, number], blocks = 64) {
  const p = Float64Array.from({ length: 10 * blocks }, (_, k) => (k % 10 < 5 ? high : low));
  const y = Uint8Array.from(p, (_, k) => Number(k % 10 < 5 ? k % 10 < ones[0] : (k % 10) - 5 < ones[1]));
  return calibrationSlope(y, p, everyBar(p.length));
}

test('with two confidences the slope is the log-odds that came about over the log-odds that were said', () => {
  const { slope } = groups(0.7, 0.3, [4, 1]);
  assert.ok(Math.abs(slope - logit(0.8) / logit(0.7)) < 1e-9, `${slope}`);
  const shifted = groups(0.6, 0.2, [4, 1]);
  assert.ok(
    Math.abs(shifted.slope - (2 * logit(0.8)) / (logit(0.6) - logit(0.2))) < 1e-9,
    'the level has its own term',
  );
});

test('confidences that say what happens have slope 1, and twice their log-odds half of it', () => {
  assert.ok(Math.abs(groups(0.8, 0.2, [4, 1]).slope - 1) < 1e-9);
  const doubled = 1 / (1 + Math.exp(-2 * logit(0.8)));
  assert.ok(Math.abs(groups(doubled, 1 - doubled, [4, 1]).slope - 0.5) < 1e-9);
});

test('confidences that say the opposite have a negative slope', () => {
  assert.ok(Math.abs(groups(0.2, 0.8, [4, 1]).slope + 1) < 1e-9);
});

test('certainty is taken for 0.9999, so that it has log-odds', () => {
  assert.equal(groups(1, 0, [4, 1]), groups(0.9999, 0.0001, [4, 1]));
});

const nothing = { slope: Number.NaN, lower: Number.NaN, upper: Number.NaN };

test('without spread, without both classes or without one miss there is no slope', () => {
  assert.equal(groups(0.4, 0.4, [4, 1]), nothing);
  assert.equal(groups(0.7, 0.3, [5, 5]), nothing);
  assert.equal(groups(0.7, 0.3, [5, 0]), nothing, 'the labels are separated: the likelihood grows for ever');
  assert.equal(calibrationSlope(new Uint8Array(0), new Float64Array(0), everyBar(0)), nothing);
});

test('too few blocks leave the slope without an interval', () => {
  const p = Float64Array.of(0.6, 0.6, 0.6, 0.4, 0.4, 0.4);
  const { slope, lower, upper } = calibrationSlope(Uint8Array.of(1, 1, 0, 1, 0, 0), p, everyBar(6));
  assert.ok(Math.abs(slope - logit(2 / 3) / logit(0.6)) < 1e-9);
  assert.equal([lower, upper], [Number.NaN, Number.NaN]);
});

test('labels without confidences are refused', async () => {
  const { code, field } = await refusalOf(() => calibrationSlope(new Uint8Array(2), new Float64Array(3), everyBar(2)));
  assert.equal({ code, field }, { code: 'LENGTH_MISMATCH', field: 'p' });
});

test('saying labels and confidences the other way round changes nothing', () => {
  const random = seededUniform(7);
  const p = Float64Array.from({ length: 200 }, () => 0.05 + 0.9 * random());
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 1 }), { minLength: 200, maxLength: 200 }), (labels) => {
      const y = Uint8Array.from(labels);
      const one = calibrationSlope(y, p, everyBar(200));
      const other = calibrationSlope(
        y.map((label) => 1 - label),
        p.map((value) => 1 - value),
        everyBar(200),
      );
      for (const key of ['slope', 'lower', 'upper'] as const) assert.ok(Math.abs(one[key] - other[key]) < 1e-7);
    }),
    { seed: 41, numRuns: PROPERTY_RUNS },
  );
});

test('the level of the confidences changes neither slope nor interval', () => {
  const random = seededUniform(8);
  const p = Float64Array.from({ length: 400 }, () => 0.05 + 0.9 * random());
  const y = Uint8Array.from(p, (value) => Number(random() < value));
  const one = calibrationSlope(y, p, everyBar(400));
  const raised = p.map((value) => 1 / (1 + Math.exp(-1.5 - logit(value))));
  const other = calibrationSlope(y, raised, everyBar(400));
  for (const key of ['slope', 'lower', 'upper'] as const) assert.ok(Math.abs(one[key] - other[key]) < 1e-9, key);
});

/** Labels 1 where a path of `overlap` bars ends above what the confidence allows: each shares its path with its neighbours. */
function sample(count: number, overlap: number, overconfidence: number, seed: number) {
  const draw = normalDraws(seededUniform(seed));
  const steps = Float64Array.from({ length: count + overlap }, draw);
  let factor = draw();
  const p = new Float64Array(count);
  const y = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    factor = 0.95 * factor + Math.sqrt(1 - 0.95 ** 2) * draw();
    const end = steps.subarray(i + 1, i + 1 + overlap).reduce((sum, step) => sum + step, 0) / Math.sqrt(overlap);
    // P(end < z) of a normal is near the logistic of 1.6·z for small z (Amemiya 1981).
    y[i] = Number(end < 0.25 * factor);
    p[i] = 1 / (1 + Math.exp(-overconfidence * 1.6 * 0.25 * factor));
  }
  return { y, p, span: everyBar(count, overlap) };
}

test('the interval holds the true slope in 95 cases of a hundred, and with labels that overlap one that takes them for independent does not', () => {
  const runs = 300;
  let held = 0;
  let heldIndependent = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const { y, p, span } = sample(2000, 10, 2, seed);
    const { slope, lower, upper } = calibrationSlope(y, p, span);
    if (lower < 0.5 && 0.5 < upper) held++;
    const information = p.reduce((sum, value) => sum + 0.25 * logit(value) ** 2, 0);
    if (Math.abs(slope - 0.5) < 1.96 / Math.sqrt(information)) heldIndependent++;
  }
  // The standard deviation of a rate of 95 % over 300 runs is 1.3 %.
  assert.ok(held / runs > 0.91 && held / runs < 0.99, `held ${held} of ${runs}`);
  assert.ok(heldIndependent / runs < 0.8, `the control held ${heldIndependent} of ${runs}`);
});

test.run();
