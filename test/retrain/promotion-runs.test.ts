import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ALPHA, falsePromotions, powerOf } from '../../bench/tables/promotion-runs.js';
import { binomialBound } from '../support/binomial-bound.js';
import { EQUAL_YEARS, POWER_RUNS } from '../support/sizes.js';

for (const overlap of [6, 12]) {
  test(`with overlap ${overlap} a year of tests hardly ever promotes a model that is only as good, where naive rules do so every month`, () => {
    const plan = { seed: 1, years: EQUAL_YEARS, overlap, labelsPerTest: 1500, errorMemoryBars: 20 };
    const found = falsePromotions(plan);
    assert.is(found.tests, 24 * EQUAL_YEARS, 'every test had its token');
    assert.ok(found.testsPromoted <= binomialBound(found.tests, ALPHA), `promoted ${found.testsPromoted}`);
    assert.ok(found.yearsPromoted <= binomialBound(found.years, 0.055), `in ${found.yearsPromoted} years`);
    assert.ok(found.testsByAccuracy / found.tests > 0.4, 'better accuracy');
    assert.ok(found.testsByPairedT / found.tests > 0.15, 'paired t at 5 %, labels taken for independent');
    assert.ok(found.testsByPairedTAtAlpha > 4 * binomialBound(found.tests, ALPHA), 'the same at the error of the gate');
  });
}

test('a real gain is promoted in about eighty cases of a hundred on as many labels as the gate asks for', () => {
  const cell = { seed: 2, runs: POWER_RUNS, championAuc: 0.5, challengerAuc: 0.62, overlap: 6 };
  const pilot = powerOf({ ...cell, labels: 2000 });
  assert.ok(pilot.promoted < 0.6, 'on 2000 it is not');
  const asked = powerOf({ ...cell, seed: 3, labels: pilot.labelsForPower });
  // Four deviations of a share of 0.8.
  const tolerance = 4 * Math.sqrt(0.16 / POWER_RUNS);
  assert.ok(Math.abs(asked.promoted - 0.8) < tolerance, `${asked.promoted} on ${pilot.labelsForPower} labels`);
});

test('a model that knows less is not promoted', () => {
  const cell = { seed: 4, runs: POWER_RUNS, championAuc: 0.58, challengerAuc: 0.55, overlap: 6, labels: 3000 };
  assert.is(powerOf(cell).promoted, 0);
});

test.run();
