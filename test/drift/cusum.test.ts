import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cusumStep, expectedSkillIncrement, RATE_ALLOWANCE, skillIncrement } from '../../src/drift/cusum.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const probability = fc.double({ min: 0, max: 1, noNaN: true });

test('a CUSUM stands at the larger of 0 and its sum, exactly', () => {
  const number = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(number, number, (level, increment) => {
      assert.is(cusumStep(level, increment), Math.max(0, level + increment));
    }),
    { seed: 51, numRuns: PROPERTY_RUNS },
  );
});

test('the allowance is half of five points', () => {
  assert.is(RATE_ALLOWANCE, 0.05 / 2);
});

test('a label that the confidence expected speaks against a loss of skill, the other one for it', () => {
  assert.ok(Math.abs(skillIncrement(0.5, 1, 0.8) - Math.log(0.5 / 0.8)) < 1e-15);
  assert.ok(Math.abs(skillIncrement(0.5, 0, 0.8) - Math.log(0.5 / 0.2)) < 1e-15);
  assert.is(skillIncrement(0.3, 1, 0.3), 0);
  assert.is(skillIncrement(0.3, 0, 0.3), 0);
});

test('while the confidence is right the skill CUSUM falls by its divergence, and where it knows nothing it rises', () => {
  fc.assert(
    fc.property(probability, probability, (baseRate, confidence) => {
      const mean = expectedSkillIncrement(baseRate, confidence);
      assert.ok(mean <= 1e-15, `${mean}`);
      const underBaseRate =
        baseRate * skillIncrement(baseRate, 1, confidence) + (1 - baseRate) * skillIncrement(baseRate, 0, confidence);
      if (baseRate > 1e-4 && baseRate < 1 - 1e-4) assert.ok(underBaseRate >= -1e-15, `${underBaseRate}`);
    }),
    { seed: 52, numRuns: PROPERTY_RUNS },
  );
  // KL(0.8 ‖ 0.5) = 0.8·ln 1.6 + 0.2·ln 0.4.
  assert.ok(Math.abs(expectedSkillIncrement(0.5, 0.8) + 0.192745) < 1e-6);
});

test('certainty costs at most 9.2 nats', () => {
  for (const [metaLabel, confidence] of [
    [1, 0],
    [0, 1],
  ] as const) {
    assert.ok(Math.abs(skillIncrement(0.5, metaLabel, confidence) - Math.log(0.5e4)) < 1e-9);
  }
  assert.ok(Number.isFinite(skillIncrement(0, 1, 1)) && Number.isFinite(skillIncrement(1, 0, 0)));
});

test.run();
