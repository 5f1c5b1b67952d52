import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { probabilityOf } from '../../src/model/log-odds.js';
import { seededUniform } from '../../src/random.js';
import { estimateRestraint, NO_TRUST, type Restraint } from '../../src/training/restraint.js';
import { shrinkageFactor } from '../../src/validation/batch-means.js';
import { normal } from '../regime/simulated-returns.js';
import { bareSet } from './bare-set.js';

/** Spread of the planted log-odds: small, since the estimate is right to first order. */
const SPREAD = 0.3;
const BASE = -0.4;

interface Planted {
  readonly labels: Uint8Array;
  /** True log-odds of every label. */
  readonly truth: Float64Array;
}

function planted(count: number, seed: number, base = BASE, spread = SPREAD): Planted {
  const random = seededUniform(seed);
  const truth = Float64Array.from({ length: count }, () => base + spread * normal(random));
  return { truth, labels: Uint8Array.from(truth, (margin) => Number(random() < probabilityOf(margin))) };
}

function keys(count: number, from = 0): Int32Array {
  return Int32Array.from({ length: count }, (_, k) => from + k);
}

function restraintOf(labels: Uint8Array, margins: Float64Array): Restraint {
  return estimateRestraint(bareSet(labels), [{ rows: keys(labels.length), margins }]);
}

/** The multiplier λ of logit p = b + λ(m − m̄) with the greatest likelihood, by Newton's method on b and λ. */
function likeliestMultiplier(labels: Uint8Array, margins: Float64Array): number {
  const mean = margins.reduce((sum, margin) => sum + margin, 0) / margins.length;
  let b = 0;
  let lambda = 0;
  for (let step = 0; step < 30; step++) {
    let [gradB, gradL, bb, bl, ll] = [0, 0, 0, 0, 0];
    for (const [k, margin] of margins.entries()) {
      const x = margin - mean;
      const p = probabilityOf(b + lambda * x);
      gradB += labels[k]! - p;
      gradL += (labels[k]! - p) * x;
      const weight = p * (1 - p);
      bb += weight;
      bl += weight * x;
      ll += weight * x * x;
    }
    const determinant = bb * ll - bl * bl;
    b += (ll * gradB - bl * gradL) / determinant;
    lambda += (bb * gradL - bl * gradB) / determinant;
  }
  return lambda;
}

const SEEDS = Array.from({ length: 10 }, (_, k) => k + 1);

function meanEstimate(of: (truth: number) => number): number {
  const estimates = SEEDS.map((seed) => {
    const { labels, truth } = planted(10_000, seed);
    return restraintOf(labels, truth.map(of)).estimate;
  });
  return estimates.reduce((sum, one) => sum + one, 0) / SEEDS.length;
}

test('the estimate is the likeliest multiplier of the logistic to first order', () => {
  for (const seed of SEEDS) {
    for (const scale of [1, 2, -1]) {
      const { labels, truth } = planted(4000, seed);
      const margins = truth.map((margin) => scale * margin);
      const { estimate } = restraintOf(labels, margins);
      const likeliest = likeliestMultiplier(labels, margins);
      // What the first order leaves out is of the order of the margins' variance, 0.09, times the multiplier.
      assert.ok(Math.abs(estimate / likeliest - 1) < 0.09, `seed ${seed}, scale ${scale}: ${estimate}, ${likeliest}`);
    }
  }
});

test('the estimate is worked as it is written', () => {
  // p̄ = 1/2, x = −1.5, 0.5, −1.5, 2.5: Σ(y − p̄)x = (1.5 + 0.5 + 1.5 + 2.5)/2 = 3 and p̄(1 − p̄)Σx² = 11/4.
  const { estimate, t, lambda } = restraintOf(Uint8Array.of(0, 1, 0, 1), Float64Array.of(-1, 1, -1, 3));
  assert.ok(Math.abs(estimate - 12 / 11) < 1e-15);
  assert.ok(Number.isNaN(t), 'four bars are not eight spans');
  assert.is(lambda, 0);
});

test('margins that are the true log-odds are trusted whole, doubled ones by half, halved ones no more than whole', () => {
  // A standard error is 1/√(p̄(1 − p̄)Σx²) = 0.07 a seed and 0.022 over ten: three of them, and one point for the second order.
  const honest = meanEstimate((margin) => margin);
  assert.ok(Math.abs(honest - 1) < 0.08, `honest margins ${honest}`);
  const doubled = meanEstimate((margin) => 2 * margin);
  assert.ok(Math.abs(doubled - 0.5) < 0.04, `doubled margins ${doubled}`);
  const halved = meanEstimate((margin) => margin / 2);
  assert.ok(Math.abs(halved - 2) < 0.16, `halved margins ${halved}`);
  const { labels, truth } = planted(10_000, 1);
  const trust = restraintOf(
    labels,
    truth.map((margin) => margin / 2),
  );
  assert.ok(trust.lambda <= 1 && trust.lambda > 0.9, `${trust.lambda}`);
});

test('trust is the estimate inside [0, 1], shrunk by its own t', () => {
  for (const seed of SEEDS) {
    const { labels, truth } = planted(1000, seed);
    const { lambda, estimate, t } = restraintOf(labels, truth);
    assert.is(lambda, Math.min(Math.max(estimate, 0), 1) * shrinkageFactor({ t }));
    assert.ok(lambda <= Math.max(estimate, 0));
  }
});

test('noise gets no trust in most cases and little in the others', () => {
  const runs = 200;
  let trusted = 0;
  let sum = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const { labels } = planted(1000, seed);
    const random = seededUniform(seed + 5000);
    const noise = Float64Array.from(labels, () => SPREAD * normal(random));
    const { lambda } = restraintOf(labels, noise);
    if (lambda > 0) trusted++;
    sum += lambda;
  }
  // t exceeds 1 by chance in 16 %; three standard deviations of that over 200 runs are 8 %.
  assert.ok(trusted / runs < 0.24, `${trusted} of ${runs} were trusted`);
  assert.ok(trusted > 0, 'by degrees: not even noise is refused every time');
  assert.ok(sum / runs < 0.05, `mean trust ${sum / runs}`);
});

test('margins that say the opposite get none', () => {
  for (const seed of SEEDS) {
    const { labels, truth } = planted(4000, seed);
    const { lambda, estimate } = restraintOf(
      labels,
      truth.map((margin) => -margin),
    );
    assert.is(lambda, 0);
    assert.ok(estimate < -0.5, `${estimate}`);
  }
});

test('the base margin does not matter', () => {
  const { labels, truth } = planted(2000, 3);
  const { estimate, t } = restraintOf(labels, truth);
  const moved = restraintOf(
    labels,
    truth.map((margin) => margin + 4),
  );
  // An origin ten times the spread costs a digit or two of sixteen.
  assert.ok(Math.abs(moved.estimate - estimate) < 1e-12 && Math.abs(moved.t - t) < 1e-11);
});

test('every held-out part is centred by itself, on margins and on labels', () => {
  const first = planted(2000, 4, -1);
  const second = planted(2000, 5, 1);
  const labels = Uint8Array.of(...first.labels, ...second.labels);
  const set = bareSet(labels);
  const noise = (seed: number): Float64Array => {
    const random = seededUniform(seed);
    return Float64Array.from({ length: 2000 }, () => SPREAD * normal(random));
  };
  const [early, late] = [noise(6), noise(7)];
  const parts = [
    { rows: keys(2000), margins: early },
    { rows: keys(2000, 2000), margins: late },
  ];
  const { estimate, t } = estimateRestraint(set, parts);
  const moved = estimateRestraint(set, [parts[0]!, { ...parts[1]!, margins: late.map((margin) => margin + 2) }]);
  assert.ok(Math.abs(moved.estimate - estimate) < 1e-12 && Math.abs(moved.t - t) < 1e-10, 'only rounding moved');
  assert.ok(Math.abs(moved.estimate) < 0.25, `noise stays noise: ${moved.estimate}`);
  // Taken as one part, the later half's higher margins would seem to know of its higher base rate.
  const together = estimateRestraint(set, [
    { rows: keys(4000), margins: Float64Array.of(...early, ...late.map((margin) => margin + 2)) },
  ]);
  assert.ok(together.estimate > 0.5 && together.t > 5, `${together.estimate}, t ${together.t}`);
});

test('two parts together are what their terms and curvatures add up to', () => {
  const { labels, truth } = planted(4000, 8);
  const set = bareSet(labels);
  const parts = [keys(3000), keys(1000, 3000)].map((rows) => ({
    rows,
    margins: Float64Array.from(rows, (row) => truth[row]!),
  }));
  const [long, short] = parts.map((part) => estimateRestraint(set, [part]).estimate);
  const { estimate } = estimateRestraint(set, parts);
  assert.ok(estimate > Math.min(long!, short!) && estimate < Math.max(long!, short!));
  assert.ok(Math.abs(estimate - long!) < Math.abs(estimate - short!), 'the longer part weighs more');
});

test('labels that last long are judged in longer blocks', () => {
  const { labels, truth } = planted(2000, 9);
  const whole = { rows: keys(2000), margins: truth };
  const short = estimateRestraint(bareSet(labels), [whole]);
  const long = estimateRestraint(bareSet(labels, { duration: new Int32Array(2000).fill(40) }), [whole]);
  assert.is(long.estimate, short.estimate);
  assert.is.not(long.t, short.t);
});

test('nothing held out, one class, or margins without spread get no trust and no estimate', () => {
  const { labels, truth } = planted(1000, 10);
  const winners = new Uint8Array(1000).fill(1);
  assert.equal(estimateRestraint(bareSet(labels), []), NO_TRUST);
  assert.equal(restraintOf(winners, truth), NO_TRUST);
  for (const margin of [0, 0.5, -0.1, 0.3712]) {
    const { lambda, estimate, t } = restraintOf(labels, new Float64Array(1000).fill(margin));
    assert.equal({ lambda, estimate }, { lambda: 0, estimate: 0 }, `all margins are ${margin}`);
    assert.ok(Number.isNaN(t));
  }
});

test.run();
