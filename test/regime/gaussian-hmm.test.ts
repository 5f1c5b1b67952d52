import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ScaledDensities, stationaryDistribution } from '../../src/regime/gaussian-hmm.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

test('scaled densities are the normal densities of both inputs divided by the largest', () => {
  const mean = [0, 1, -1, 2];
  const variance = [1, 0.5, 2, 0.25];
  const out = new Float64Array(4);
  const largest = new ScaledDensities(mean, variance).write(0.3, 1.2, out, 1);
  const density = (x: number, mu: number, v: number): number =>
    Math.exp((-0.5 * (x - mu) ** 2) / v) / Math.sqrt(2 * Math.PI * v);
  const expected = [density(0.3, 0, 1) * density(1.2, 1, 0.5), density(0.3, -1, 2) * density(1.2, 2, 0.25)];
  assert.equal([out[0], out[3]], [0, 0], 'nothing beside its place is written');
  assert.is(Math.max(out[1]!, out[2]!), 1);
  for (const [k, value] of expected.entries()) {
    assert.ok(Math.abs(out[1 + k]! * Math.exp(largest) - value) < 1e-14 * (1 + value));
  }
});

test('an input far from every state still has a likeliest one', () => {
  const out = new Float64Array(2);
  const largest = new ScaledDensities([8, 8, 7, 8], [1e-4, 1e-4, 1e-4, 1e-4]).write(-8, -8, out, 0);
  assert.equal([...out], [0, 1]);
  assert.ok(Number.isFinite(largest) && largest < -2e6);
});

test('the stationary distribution is kept by a step of the chain, however slowly it mixes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.double({ min: -6, max: 0, noNaN: true }), { minLength: 9, maxLength: 9 }),
      (stateCount, exponents) => {
        const transition = new Float64Array(stateCount * stateCount);
        for (let i = 0; i < stateCount; i++) {
          const row = Array.from({ length: stateCount }, (_, j) => 10 ** exponents[i * stateCount + j]!);
          const total = row.reduce((sum, value) => sum + value, 0);
          transition.set(
            row.map((value) => value / total),
            i * stateCount,
          );
        }
        const stationary = stationaryDistribution(transition, stateCount);
        for (let j = 0; j < stateCount; j++) {
          let next = 0;
          for (let i = 0; i < stateCount; i++) next += stationary[i]! * transition[i * stateCount + j]!;
          assert.ok(Math.abs(next - stationary[j]!) < 1e-14);
        }
        assert.ok(Math.abs(stationary.reduce((sum, value) => sum + value, 0) - 1) < 1e-15);
      },
    ),
    { seed: 4, numRuns: PROPERTY_RUNS },
  );
});

test('two states share time as the rates of leaving them say', () => {
  const stationary = stationaryDistribution(Float64Array.of(0.9, 0.1, 0.3, 0.7), 2);
  assert.ok(Math.abs(stationary[0]! - 0.75) < 1e-15);
  assert.ok(Math.abs(stationary[1]! - 0.25) < 1e-15);
});

test.run();
