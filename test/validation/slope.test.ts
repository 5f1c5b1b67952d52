import fc from 'fast-check';
import jstat from 'jstat';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { batchMeans, type TimeSpan } from '../../src/validation/batch-means.js';
import { slopeEvidence } from '../../src/validation/slope.js';
import { normal } from '../regime/simulated-returns.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

function everyBar(count: number, dependenceBars = 1): TimeSpan {
  return { position: Int32Array.from({ length: count }, (_, bar) => bar), start: 0, end: count, dependenceBars };
}

test('the line is that of least squares', () => {
  // x̄ = 2, ȳ = 4: Σ(x − x̄)(y − ȳ) = 2·3 + 1·0 + 0 + 1·1 + 2·3 = 13, Σ(x − x̄)² = 10.
  const { slope, meanX, meanY } = slopeEvidence(
    Float64Array.of(0, 1, 2, 3, 4),
    Float64Array.of(1, 4, 3, 5, 7),
    everyBar(5),
  );
  assert.equal({ slope, meanX, meanY }, { slope: 1.3, meanX: 2, meanY: 4 });
});

test('the evidence is that of the centred products in blocks of time', () => {
  const random = seededUniform(4);
  const x = Float64Array.from({ length: 300 }, () => random());
  const y = x.map((value) => value + normal(random));
  const { meanX, meanY, evidence } = slopeEvidence(x, y, everyBar(300, 3));
  const products = x.map((value, k) => (value - meanX) * (y[k]! - meanY));
  assert.is(evidence?.blocks, 20);
  assert.equal(evidence, batchMeans(products, everyBar(300, 3)));
});

test('neither the units nor the origins of x and y change the evidence, and turning y round turns its sign', () => {
  const random = seededUniform(5);
  const x = Float64Array.from({ length: 200 }, () => random());
  const y = x.map((value) => 0.3 * value + normal(random));
  const before = slopeEvidence(x, y, everyBar(200));
  const number = fc.double({ min: -10, max: 10, noNaN: true });
  const unit = fc.double({ min: 0.1, max: 10, noNaN: true });
  fc.assert(
    fc.property(number, unit, number, unit, fc.boolean(), (a, b, c, d, turned) => {
      const sign = turned ? -1 : 1;
      const after = slopeEvidence(
        x.map((value) => a + b * value),
        y.map((value) => c + sign * d * value),
        everyBar(200),
      );
      // Origins up to a thousand times the spread cost three digits of sixteen.
      assert.ok(Math.abs(after.evidence!.t - sign * before.evidence!.t) < 1e-10);
      assert.ok(Math.abs(after.slope - (sign * d * before.slope) / b) < 1e-9);
    }),
    { seed: 33, numRuns: PROPERTY_RUNS },
  );
});

test('too few blocks leave the slope without evidence', () => {
  const x = Float64Array.of(0, 1, 2, 3, 4, 5, 6);
  const { slope, evidence } = slopeEvidence(
    x,
    x.map((value) => 2 * value),
    everyBar(7),
  );
  assert.is(slope, 2);
  assert.is(evidence, null);
});

test('x without spread has no slope and no evidence, whichever number it is', () => {
  const random = seededUniform(6);
  const y = Float64Array.from({ length: 1000 }, () => random());
  for (const value of [0, 0.5, 0.1, 0.3712, 1 / 3]) {
    const { slope, evidence } = slopeEvidence(new Float64Array(1000).fill(value), y, everyBar(1000));
    assert.equal({ slope, evidence }, { slope: 0, evidence: null }, `x = ${value}`);
  }
  assert.is(slopeEvidence(new Float64Array(0), new Float64Array(0), everyBar(0)).evidence, null);
});

test('a slope that is there is found, and one that is not is taken for one as often as is allowed', () => {
  const runs = 1000;
  const count = 400;
  const critical = jstat.jStat.studentt.inv(0.95, 31);
  let slopes = 0;
  let found = 0;
  let mistaken = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const random = seededUniform(seed);
    const x = Float64Array.from({ length: count }, () => random());
    const noise = x.map(() => normal(random));
    const planted = slopeEvidence(
      x,
      x.map((value, k) => value + noise[k]!),
      everyBar(count),
    );
    slopes += planted.slope;
    if (planted.evidence!.t > critical) found++;
    if (slopeEvidence(x, noise, everyBar(count)).evidence!.t > critical) mistaken++;
  }
  // The slope's standard error is √12/√400 = 0.17 a run, 0.0055 over all; here are four of them.
  assert.ok(Math.abs(slopes / runs - 1) < 0.022, `mean slope ${slopes / runs}`);
  assert.ok(found / runs > 0.99, `a slope of six standard errors was found ${found} times of ${runs}`);
  // Four standard deviations of a rate of 5 % over 1000 runs.
  assert.ok(Math.abs(mistaken / runs - 0.05) < 0.028, `mistaken ${mistaken} times of ${runs}`);
});

test.run();
