import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DispatchCosts } from '../../src/inference/dispatch-costs.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SEED = 31;
const MS = 1_000_000;
const WINDOW_NS = 10 * MS;
const costsOf = (inlineShareMax = 0.5, wakeUpUs = 60): DispatchCosts => new DispatchCosts({ inlineShareMax, wakeUpUs });

test('main evaluates a turn of signals exactly when that takes less time than waking a worker', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 2000 }), (count, wakeUpUs) => {
      const costs = costsOf(0.5, wakeUpUs);
      assert.is(costs.favoursInline(count, 0), count * costs.evaluationNs < wakeUpUs * 1000);
    }),
    { seed: SEED, numRuns: PROPERTY_RUNS },
  );
});

test('main evaluates no more while it spent its share of the last 10 ms on it', () => {
  const costs = costsOf(0.25, 60_000);
  costs.measuredInline(100, 2.4 * MS, 0);
  assert.ok(costs.favoursInline(1, 0));
  costs.measuredInline(10, 0.2 * MS, 0);
  assert.is(costs.inlineShare(0), 0.26);
  assert.not(costs.favoursInline(1, 0));
  assert.not(costsOf(0).favoursInline(1, 0), 'a share of nothing allows nothing');
});

test('the share of one window fades over the next and is gone after it', () => {
  const costs = costsOf();
  costs.measuredInline(1, 4 * MS, 0);
  const share = [0, 0.5, 1, 1.25, 1.5, 1.75, 2, 5].map((windows) => costs.inlineShare(windows * WINDOW_NS));
  assert.equal(share, [0.4, 0.4, 0.4, 0.4 * 0.75, 0.2, 0.1, 0, 0]);
});

test('a pause of two windows or more forgets what was before', () => {
  const costs = costsOf();
  costs.measuredInline(1, 9 * MS, 0);
  assert.is(costs.inlineShare(2 * WINDOW_NS), 0);
  costs.measuredInline(1, MS, 2 * WINDOW_NS);
  assert.is(costs.inlineShare(2 * WINDOW_NS), 0.1);
});

test('estimates follow what is measured', () => {
  const costs = costsOf();
  for (let k = 0; k < 500; k++) {
    costs.measuredInline(4, 4 * 9000, k * WINDOW_NS);
    costs.measuredWakeUp(30_000);
  }
  assert.ok(Math.abs(costs.evaluationNs - 9000) < 1);
  assert.ok(Math.abs(costs.wakeUpNs - 30_000) < 30_000 / 16);
});

test('the first wake-up that is measured replaces what was assumed', () => {
  const costs = costsOf(0.5, 60);
  costs.measuredWakeUp(90_000);
  assert.is(costs.wakeUpNs, 90_000);
  costs.measuredWakeUp(30_000);
  assert.is(costs.wakeUpNs, 45_000);
});

test('one wake-up in ten that takes milliseconds does not move the estimate from the others', () => {
  const costs = costsOf();
  for (let k = 0; k < 1000; k++) costs.measuredWakeUp(k % 10 === 0 ? 5e6 : 70_000);
  assert.ok(costs.wakeUpNs > 60_000 && costs.wakeUpNs < 80_000, `${costs.wakeUpNs} ns`);
});

test('a pause of the machine moves an estimate by a quarter at most, whatever it took', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (ns) => {
      const costs = costsOf();
      for (let k = 0; k < 32; k++) costs.measuredWakeUp(50_000);
      const { evaluationNs, wakeUpNs } = costs;
      costs.measuredInline(1, ns, 0);
      costs.measuredWakeUp(ns);
      assert.ok(costs.evaluationNs <= evaluationNs * 1.25 && costs.evaluationNs > evaluationNs * 0.96);
      assert.ok(costs.wakeUpNs <= wakeUpNs * 1.25 && costs.wakeUpNs > wakeUpNs * 0.96);
    }),
    { seed: SEED, numRuns: PROPERTY_RUNS },
  );
});

test.run();
