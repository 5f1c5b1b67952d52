import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { accuracy, baseRateOf, brierScore, logLoss, logLossOf, rocAuc } from '../../src/validation/metrics.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { assertRelative, vectors } from '../support/vectors.js';

const SEED = 20_240_112;
const TOLERANCE = 1e-12;

const METRICS = { rocAuc, logLoss, brierScore, accuracy };
const labels = (...y: readonly number[]): Uint8Array => Uint8Array.from(y);
const values = (...p: readonly number[]): Float64Array => Float64Array.from(p);

test('every metric equals values worked in exact fractions, with weights and without', () => {
  const { y, p, weight, plain, weighted } = vectors.metrics;
  for (const name of ['rocAuc', 'logLoss', 'brierScore', 'accuracy'] as const) {
    assertRelative(METRICS[name](labels(...y), values(...p)), plain[name], TOLERANCE, name);
    const ours = METRICS[name](labels(...y), values(...p), values(...weight));
    assertRelative(ours, weighted[name], TOLERANCE, `${name}, weighted`);
  }
});

test('perfect ranking has AUC 1, the reverse 0, and one score for all one half', () => {
  const y = labels(0, 0, 1, 1);
  assert.is(rocAuc(y, values(1, 2, 3, 4)), 1);
  assert.is(rocAuc(y, values(4, 3, 2, 1)), 0);
  assert.is(rocAuc(y, values(7, 7, 7, 7)), 0.5);
});

test('a tie between the classes counts one half', () => {
  // Of four pairs 0.8 beats 0.5 and 0.2, while 0.5 ties 0.5 and beats 0.2.
  assert.is(rocAuc(labels(1, 1, 0, 0), values(0.8, 0.5, 0.5, 0.2)), 3.5 / 4);
});

test('a weight counts a row as so many, in ties as well', () => {
  // Pairs weigh 2·1 (won), 2·3 (tied), 1·1 (won), 1·3 (lost).
  const auc = rocAuc(labels(1, 1, 0, 0), values(0.5, 0.4, 0.3, 0.5), values(2, 1, 1, 3));
  assertRelative(auc, (2 + 3 + 1) / 12, TOLERANCE, 'weighted AUC');
});

test('AUC is undefined when one class is absent, by count or by weight', () => {
  assert.ok(Number.isNaN(rocAuc(labels(1, 1), values(0.1, 0.2))));
  assert.ok(Number.isNaN(rocAuc(labels(0, 0), values(0.1, 0.2))));
  assert.ok(Number.isNaN(rocAuc(labels(), values())));
  assert.ok(Number.isNaN(rocAuc(labels(0, 1), values(0.1, 0.2), values(0, 1))));
});

test('a score that is not a number ends in an undefined AUC or a refusal, never in an endless search', () => {
  const work = (): unknown => {
    try {
      return rocAuc(labels(0, 1, 1), values(0.1, Number.NaN, 0.2));
    } catch (error) {
      if (error instanceof OrchestratorError) return Number.NaN;
      throw error;
    }
  };
  const auc = runInNewContext('work()', { work }, { timeout: 2000 }) as unknown;
  assert.ok(Number.isNaN(auc), `${auc}`);
});

const row = fc.record({
  label: fc.constantFrom(0, 1),
  // Few scores, so that there are many ties.
  score: fc.oneof(fc.constantFrom(0, 0.25, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true })),
  weight: fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 5, noNaN: true })),
});

test('AUC is the weighted share of pairs in the right order, ties counting one half', () => {
  const property = fc.property(fc.array(row, { maxLength: 40 }), fc.boolean(), (rows, weighted) => {
    let concordant = 0;
    let pairs = 0;
    for (const one of rows.filter(({ label }) => label === 1)) {
      for (const zero of rows.filter(({ label }) => label === 0)) {
        const pair = weighted ? one.weight * zero.weight : 1;
        pairs += pair;
        if (one.score > zero.score) concordant += pair;
        else if (one.score === zero.score) concordant += pair / 2;
      }
    }
    const y = labels(...rows.map(({ label }) => label));
    const p = values(...rows.map(({ score }) => score));
    const auc = weighted ? rocAuc(y, p, values(...rows.map(({ weight }) => weight))) : rocAuc(y, p);
    if (pairs === 0) assert.ok(Number.isNaN(auc));
    else assert.ok(Math.abs(auc - concordant / pairs) <= TOLERANCE, `${auc}, ${concordant / pairs}`);
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('AUC does not care for the scale of the scores, only for their order', () => {
  const property = fc.property(fc.array(row, { minLength: 2, maxLength: 40 }), (rows) => {
    const y = labels(...rows.map(({ label }) => label));
    const one = rocAuc(y, values(...rows.map(({ score }) => score)));
    const other = rocAuc(y, values(...rows.map(({ score }) => 1024 * score - 512)));
    const turned = rocAuc(y, values(...rows.map(({ score }) => -score)));
    // Adding 512 may join scores that differ by less than an ulp; such rows are left out.
    const kept =
      new Set(rows.map(({ score }) => 1024 * score - 512)).size === new Set(rows.map(({ score }) => score)).size;
    if (kept) assert.ok(Object.is(one, other), `${one}, ${other}`);
    assert.ok(Number.isNaN(one) ? Number.isNaN(turned) : Math.abs(one + turned - 1) <= TOLERANCE);
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('log-loss is the surprise in nats, and a certain miss is expensive but not infinite', () => {
  assertRelative(logLossOf(1, 0.5), Math.LN2, TOLERANCE, 'even odds');
  assertRelative(logLossOf(1, 0.25), Math.log(4), TOLERANCE, 'one in four');
  assertRelative(logLossOf(0, 0.25), Math.log(4 / 3), TOLERANCE, 'three in four');
  assert.is(logLossOf(1, 1) + 0, 0);
  assertRelative(logLossOf(1, 0), 15 * Math.LN10, TOLERANCE, 'certain miss');
  assertRelative(logLossOf(0, 1), 15 * Math.LN10, TOLERANCE, 'certain miss of a zero');
  assertRelative(logLoss(labels(1, 0), values(0.5, 0.75)), (Math.LN2 + Math.log(4)) / 2, TOLERANCE, 'mean');
});

test('the Brier score is the mean squared distance to the outcome', () => {
  assertRelative(brierScore(labels(1, 0), values(0.75, 0.5)), (0.0625 + 0.25) / 2, TOLERANCE, 'plain');
  assertRelative(brierScore(labels(1, 0), values(0.75, 0.5), values(3, 1)), 0.4375 / 4, TOLERANCE, 'weighted');
});

test('accuracy counts a probability of exactly one half as a prediction of 1', () => {
  assert.is(accuracy(labels(1, 0, 1, 0), values(0.5, 0.5, 0.49, 0.49)), 0.5);
  assert.is(accuracy(labels(1, 1), values(0.5, 0.49)), 0.5);
  assert.is(accuracy(labels(1, 0), values(0.9, 0.9), values(3, 1)), 0.75);
});

test('the base rate is the share of ones', () => {
  assert.is(baseRateOf(labels(1, 0, 0, 1, 1)), 0.6);
  assert.ok(Number.isNaN(baseRateOf(labels())));
});

test('a mean over no rows is undefined', () => {
  for (const metric of [logLoss, brierScore, accuracy]) assert.ok(Number.isNaN(metric(labels(), values())));
});

test('a weight of two is the row twice', () => {
  const property = fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (rows) => {
    const twice = [...rows, ...rows.filter((_, k) => k % 2 === 0)];
    const weight = values(...rows.map((_, k) => (k % 2 === 0 ? 2 : 1)));
    for (const metric of Object.values(METRICS)) {
      const weighted = metric(
        labels(...rows.map(({ label }) => label)),
        values(...rows.map(({ score }) => score)),
        weight,
      );
      const repeated = metric(labels(...twice.map(({ label }) => label)), values(...twice.map(({ score }) => score)));
      if (Number.isNaN(repeated)) assert.ok(Number.isNaN(weighted));
      else assert.ok(Math.abs(weighted - repeated) <= TOLERANCE * 100, `${metric.name}: ${weighted}, ${repeated}`);
    }
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('labels, probabilities and weights of different lengths are refused', () => {
  for (const metric of Object.values(METRICS)) {
    for (const act of [
      () => metric(labels(1, 0), values(0.5)),
      () => metric(labels(1, 0), values(0.5, 0.5), values(1)),
    ]) {
      assert.throws(act, (error: unknown) => error instanceof OrchestratorError && error.code === 'LENGTH_MISMATCH');
    }
  }
});

test.run();
