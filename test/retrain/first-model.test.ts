import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attemptAlpha, type FirstModelEvidence, testFirstModel } from '../../src/retrain/first-model.js';

function evidenceOf(t: number | null, overrides: Partial<FirstModelEvidence> = {}, blocks = 8): FirstModelEvidence {
  return {
    attempt: 1,
    slope: { slope: 0.5, meanX: 0.4, meanY: 0, evidence: t === null ? null : { t, standardError: 1, blocks } },
    gain: 0.001,
    overlap: 2,
    signalsPerDay: 100,
    alphaPerTest: 0.05 / 24,
    ...overrides,
  };
}

test('all attempts together spend a tenth', () => {
  let spent = 0;
  const attempts = 100_000;
  for (let attempt = 1; attempt <= attempts; attempt++) spent += attemptAlpha(attempt);
  // What is left is the tail of Σ 1/k², less than 1/attempts.
  const left = 0.1 - spent;
  assert.ok(left > 0 && left < attemptAlpha(1) / attempts, `${left} is left`);
});

test('the first attempt spends six per cent, and the second a quarter of it', () => {
  assert.ok(Math.abs(attemptAlpha(1) - 0.0607927101854) < 1e-12);
  assert.is(attemptAlpha(2), attemptAlpha(1) / 4);
  assert.is(testFirstModel(evidenceOf(1, { attempt: 3 })).alpha, attemptAlpha(3));
});

/** P(T > t) of Student's distribution: with t = √ν·tan θ its density is cos^(ν−1) θ, integrated by Simpson's rule. */
function studentTail(t: number, degrees: number): number {
  const integral = (from: number, to: number): number => {
    const steps = 2000;
    const h = (to - from) / steps;
    let sum = 0;
    for (let k = 0; k <= steps; k++) {
      const weight = k === 0 || k === steps ? 1 : k % 2 === 1 ? 4 : 2;
      sum += weight * Math.cos(from + k * h) ** (degrees - 1);
    }
    return (sum * h) / 3;
  };
  const theta = Math.atan(t / Math.sqrt(degrees));
  return integral(theta, Math.PI / 2) / integral(-Math.PI / 2, Math.PI / 2);
}

test('the quantile is what Student’s t exceeds with the probability the attempt may spend', () => {
  assert.ok(Math.abs(studentTail(1.894579, 7) - 0.05) < 1e-7, 'the table says 1.894579 for 5 % and 7 degrees');
  for (const blocks of [8, 20, 32]) {
    for (const attempt of [1, 2, 10]) {
      const { quantile, alpha } = testFirstModel(evidenceOf(1, { attempt }, blocks));
      const tail = studentTail(quantile, blocks - 1);
      // The library inverts to about eight digits.
      assert.ok(Math.abs(tail / alpha - 1) < 1e-6, `${blocks} blocks, attempt ${attempt}: ${tail} is not ${alpha}`);
    }
  }
});

test('a slope passes beyond the quantile and not at it', () => {
  for (const blocks of [8, 32]) {
    const { quantile } = testFirstModel(evidenceOf(0, {}, blocks));
    const passes = (t: number): boolean => testFirstModel(evidenceOf(t, {}, blocks)).passed;
    assert.equal([quantile, quantile + 1e-9, quantile - 1e-9, -5].map(passes), [false, true, false, false]);
  }
});

test('a log-loss that suffers by half a thousandth fails the best slope', () => {
  const passes = (gain: number): boolean => testFirstModel(evidenceOf(100, { gain })).passed;
  assert.equal([-0.0005, -0.0006, Number.NaN].map(passes), [false, false, false]);
  assert.equal([-0.0004999, 0, 0.1].map(passes), [true, true, true]);
});

test('insufficient evidence passes nothing, whatever the gain', () => {
  const { passed, t, quantile, alpha } = testFirstModel(evidenceOf(null, { gain: 1 }));
  assert.not(passed);
  assert.ok(Number.isNaN(t) && Number.isNaN(quantile));
  assert.is(alpha, attemptAlpha(1));
});

test('the finding repeats what it is about', () => {
  const { t, gain } = testFirstModel(evidenceOf(1.25, { gain: 0.002 }));
  assert.equal({ t, gain }, { t: 1.25, gain: 0.002 });
});

test('a gain tells how many labels the strict test will need and how long they take', () => {
  const needed = (overrides: Partial<FirstModelEvidence>) => {
    const { neededLabels, etaDays } = testFirstModel(evidenceOf(0, overrides));
    return { neededLabels, etaDays };
  };
  // Normal quantiles 1.64485 of 95 % and 0.84162 of 80 %: 2·2.48647² = 12.3651 a nat, 1236.51 independent labels for 0.01, 1526.5 of overlap 1.2345.
  const worked = { gain: 0.01, overlap: 1.2345, signalsPerDay: 50, alphaPerTest: 0.1 };
  assert.equal(needed(worked), { neededLabels: 1527, etaDays: 31 });
  assert.equal(needed({ ...worked, gain: 0.02 }), { neededLabels: 764, etaDays: 16 });
  assert.ok(needed({ ...worked, alphaPerTest: 0.002 }).neededLabels! > 2 * 1527, 'a stricter test needs more');
  assert.is(needed({ ...worked, signalsPerDay: 0 }).etaDays, null);
});

test('without a gain no number of labels is promised', () => {
  for (const gain of [0, -0.0001, -1]) {
    const { neededLabels, etaDays } = testFirstModel(evidenceOf(3, { gain }));
    assert.equal({ neededLabels, etaDays }, { neededLabels: null, etaDays: null });
  }
});

test.run();
