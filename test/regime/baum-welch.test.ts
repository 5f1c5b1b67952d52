import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { BaumWelch, fitFrom, type Observations, randomStart } from '../../src/regime/baum-welch.js';
import type { GaussianHmm } from '../../src/regime/gaussian-hmm.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { normal } from './simulated-returns.js';

const PLANTED: GaussianHmm = {
  stateCount: 3,
  initial: Float64Array.of(1, 0, 0),
  transition: Float64Array.of(0.97, 0.02, 0.01, 0.02, 0.95, 0.03, 0.02, 0.04, 0.94),
  mean: Float64Array.of(0, -1.5, 0.4, 0.2, -0.3, 1.8),
  variance: Float64Array.of(0.1, 0.3, 0.8, 0.2, 3, 0.6),
};

function draw(shares: ArrayLike<number>, random: () => number): number {
  let left = random();
  for (let k = 0; k < shares.length - 1; k++) {
    left -= shares[k]!;
    if (left < 0) return k;
  }
  return shares.length - 1;
}

function simulate(model: GaussianHmm, count: number, random: () => number): Observations {
  const { stateCount, initial, transition, mean, variance } = model;
  const inputs = new Float64Array(2 * count);
  let state = draw(initial, random);
  for (let t = 0; t < count; t++) {
    for (const p of [0, 1]) {
      inputs[2 * t + p] = mean[2 * state + p]! + Math.sqrt(variance[2 * state + p]!) * normal(random);
    }
    state = draw(transition.subarray(state * stateCount, (state + 1) * stateCount), random);
  }
  return { inputs, sequenceStarts: [0] };
}

function assertClose(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual} is not within ${tolerance} of ${expected}`);
}

/** The joint probability of every path of states through one sequence, one after the other. */
function* paths(model: GaussianHmm, { inputs }: Observations): Iterable<{ path: number[]; probability: number }> {
  const { stateCount, initial, transition, mean, variance } = model;
  const barCount = inputs.length / 2;
  for (let code = 0; code < stateCount ** barCount; code++) {
    const path = Array.from({ length: barCount }, (_, t) => Math.floor(code / stateCount ** t) % stateCount);
    let probability = 1;
    for (const [t, state] of path.entries()) {
      probability *= t === 0 ? initial[state]! : transition[path[t - 1]! * stateCount + state]!;
      for (const p of [0, 1]) {
        const v = variance[2 * state + p]!;
        const difference = inputs[2 * t + p]! - mean[2 * state + p]!;
        probability *= Math.exp((-0.5 * difference ** 2) / v) / Math.sqrt(2 * Math.PI * v);
      }
    }
    yield { path, probability };
  }
}

test('likelihood and posteriors are those of all paths of states counted one by one', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededUniform(seed);
    const barCount = 1 + (seed % 6);
    const observations = simulate(PLANTED, barCount, random);
    const model = { ...PLANTED, initial: Float64Array.of(0.5, 0.2, 0.3) };
    let total = 0;
    const visits = new Float64Array(3 * barCount);
    for (const { path, probability } of paths(model, observations)) {
      total += probability;
      for (const [t, state] of path.entries()) visits[3 * t + state]! += probability;
    }
    const em = new BaumWelch(observations, 3);
    assertClose(em.expect(model), Math.log(total), 1e-10, 'log likelihood');
    for (const [p, visit] of visits.entries()) assertClose(em.posterior[p]!, visit / total, 1e-12, `posterior ${p}`);
  }
});

test('sequences know nothing of each other: their likelihoods add up', () => {
  const observations = simulate(PLANTED, 90, seededUniform(7));
  const separate = [0, 40, 41, 90].flatMap((begin, index, cuts) => {
    const end = cuts[index + 1];
    return end === undefined ? [] : [{ inputs: observations.inputs.slice(2 * begin, 2 * end), sequenceStarts: [0] }];
  });
  const model = { ...PLANTED, initial: Float64Array.of(0.2, 0.3, 0.5) };
  const together = new BaumWelch({ ...observations, sequenceStarts: [0, 40, 41] }, 3).expect(model);
  const sum = separate.map((one) => new BaumWelch(one, 3).expect(model)).reduce((a, b) => a + b);
  assertClose(together, sum, 1e-9, 'log likelihood');
});

test('no step of expectation-maximisation lowers the likelihood, floors and outliers included', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 20, max: 300 }),
      fc.constantFrom(1, 0.001),
      (seed, stateCount, count, spread) => {
        const random = seededUniform(seed);
        const { inputs } = simulate(PLANTED, count, random);
        const observations = {
          inputs: inputs.map((value) => (random() < 0.02 ? 8 * Math.sign(value) : value * spread)),
          sequenceStarts: [0, Math.floor(count / 3)],
        };
        const em = new BaumWelch(observations, stateCount);
        let model = randomStart(observations, stateCount, random);
        let before = Number.NEGATIVE_INFINITY;
        for (let step = 0; step < 15; step++) {
          const logLikelihood = em.expect(model);
          // The start knows no floors; every step from the first on is a gain.
          assert.ok(logLikelihood >= before - 1e-9 * Math.abs(logLikelihood), `${before} then ${logLikelihood}`);
          before = logLikelihood;
          model = em.maximise();
        }
      },
    ),
    { seed: 11, numRuns: PROPERTY_RUNS },
  );
});

test('the parameters of a simulated model are found again', () => {
  const observations = simulate(PLANTED, 12_000, seededUniform(3));
  const random = seededUniform(5);
  const fit = [1, 2, 3]
    .map(() => fitFrom(randomStart(observations, 3, random), observations))
    .reduce((a, b) => (b.logLikelihood > a.logLikelihood ? b : a));
  const { mean, variance, transition } = fit.model;
  const order = [0, 1, 2].sort((a, b) => mean[2 * a + 1]! - mean[2 * b + 1]!);
  for (const [k, state] of order.entries()) {
    for (const p of [0, 1]) {
      assertClose(mean[2 * state + p]!, PLANTED.mean[2 * k + p]!, 0.1, `mean ${k} ${p}`);
      const planted = PLANTED.variance[2 * k + p]!;
      assertClose(variance[2 * state + p]!, planted, 0.1 * planted, `variance ${k} ${p}`);
    }
    for (const [j, other] of order.entries()) {
      assertClose(transition[3 * state + other]!, PLANTED.transition[3 * k + j]!, 0.015, `transition ${k} ${j}`);
    }
  }
});

test('every probability stays within reach and every variance above its floor', () => {
  const observations = { inputs: new Float64Array(2000).fill(0.5), sequenceStarts: [0] };
  const { model } = fitFrom(randomStart(observations, 3, seededUniform(1)), observations);
  assert.ok([...model.transition, ...model.initial].every((share) => share >= 1e-6 && share <= 1));
  assert.ok(model.variance.every((value) => value >= 1e-4));
  for (const k of [0, 3, 6]) {
    assertClose(
      model.transition.subarray(k, k + 3).reduce((a, b) => a + b),
      1,
      1e-12,
      'row',
    );
  }
});

test.run();
