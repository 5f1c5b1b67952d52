import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BootstrapStreams, type LabelIncrements } from '../../src/drift/bootstrap-streams.js';
import { seededUniform } from '../../src/random.js';

const NONE = Number.POSITIVE_INFINITY;
const FOREVER = 1e9;
const skillOnly = (level: number) => ({ skill: level, rate: NONE });
const rateOnly = (level: number) => ({ skill: NONE, rate: level });

function opened(increments: LabelIncrements, options: { streams?: number; meanBlock?: number; seed?: number } = {}) {
  return new BootstrapStreams(increments, { streams: 400, meanBlock: 1, allowance: 0.025, seed: 1, ...options });
}

function skillColumn(skill: Float64Array): LabelIncrements {
  return { skill, residual: new Float64Array(skill.length) };
}

function noise(length: number): LabelIncrements {
  const random = seededUniform(9);
  const draws = (): Float64Array => Float64Array.from({ length }, () => random() - 0.5);
  return { skill: draws(), residual: draws() };
}

/** Mean steps of a walk on 0, 1, 2, … from 0 to `level`: up by 1 with probability `rise`, else down by 1 and never below 0. */
function reflectedWalkSteps(rise: number, level: number): number {
  let total = 0;
  let oneUp = 1 / rise;
  for (let from = 0; from < level; from++) {
    total += oneUp;
    oneUp = (1 + (1 - rise) * oneUp) / rise;
  }
  return total;
}

test('runs of independent steps are as long as the walk on whole numbers says', () => {
  for (const rise of [0.4, 0.5]) {
    const history = Float64Array.from({ length: 1000 }, (_, k) => (k < 1000 * rise ? 1 : -1));
    const streams = opened(skillColumn(history), { streams: 6000 });
    // The highest first, so that the others are looked up among the records.
    for (const level of [8, 4, 1]) {
      const ratio = streams.meanRun(skillOnly(level), FOREVER) / reflectedWalkSteps(rise, level);
      // A run's standard deviation is at most its mean: 0.05 are four standard errors.
      assert.ok(Math.abs(ratio - 1) < 0.052, `rise ${rise}, level ${level}: ${ratio}`);
    }
  }
});

test('both sides of the base-rate CUSUM lose the allowance with every label', () => {
  // All 1: the upper side gains 0.975 per label, all −1: the lower one.
  for (const residual of [1, -1]) {
    const history = { skill: new Float64Array(10), residual: new Float64Array(10).fill(residual) };
    assert.is(opened(history).meanRun(rateOnly(3), FOREVER), 4);
    assert.is(opened(history).meanRun(rateOnly(2.925), FOREVER), 3);
  }
});

test('blocks keep neighbours together, the first label following the last', () => {
  const length = 1000;
  // Ten rises in a row across the end of the history; level 10 takes all of them in order.
  const history = Float64Array.from({ length }, (_, k) => (k < 5 || k >= length - 5 ? 1 : -1));
  const meanBlock = 50;
  const run = opened(skillColumn(history), { streams: 4000, meanBlock }).meanRun(skillOnly(10), FOREVER);
  // A label is the last of the ten with probability 1/1000, and the nine before it were of its block with (1 − 1/50)⁹.
  const expected = length / (1 - 1 / meanBlock) ** 9;
  assert.ok(Math.abs(run / expected - 1) < 0.08, `${run} against ${expected}`);
  assert.is(opened(skillColumn(history)).meanRun(skillOnly(10), 5 * expected), NONE, 'single labels never get there');
});

test('both detectors draw the same labels', () => {
  const { skill } = noise(500);
  // With the allowance on top of it the residual's upper side is the skill CUSUM, and its lower side never rises.
  const history = { skill: skill.map((x) => Math.abs(x) - 0.2), residual: skill.map((x) => Math.abs(x) - 0.2 + 0.025) };
  const streams = opened(history, { meanBlock: 7 });
  const bySkill = streams.meanRun(skillOnly(3), FOREVER);
  assert.ok(Math.abs(streams.meanRun(rateOnly(3.0000001), FOREVER) / bySkill - 1) < 0.001);
});

test('the union alarms with the first of its detectors', () => {
  const streams = opened(noise(500), { streams: 50 });
  for (const [skill, rate] of [
    [2, 2],
    [3, 1],
    [1, 3],
  ] as const) {
    const union = streams.meanRun({ skill, rate }, FOREVER);
    const alone = [streams.meanRun(skillOnly(skill), FOREVER), streams.meanRun(rateOnly(rate), FOREVER)];
    assert.ok(union <= Math.min(...alone), `${union} of ${alone}`);
  }
});

test('an answer does not depend on what was asked before', () => {
  const history = noise(300);
  const asked = opened(history, { meanBlock: 10 });
  for (const level of [1, 5, 2, 0.5, 4]) {
    const fresh = opened(history, { meanBlock: 10 });
    assert.is(asked.meanRun(skillOnly(level), FOREVER), fresh.meanRun(skillOnly(level), FOREVER), `level ${level}`);
    assert.is(asked.meanRun(rateOnly(level / 2), FOREVER), fresh.meanRun(rateOnly(level / 2), FOREVER));
  }
});

test('equal seeds give equal runs and other seeds other ones', () => {
  const run = (seed: number): number => opened(noise(300), { seed }).meanRun(skillOnly(3), FOREVER);
  assert.is(run(1), run(1));
  assert.is.not(run(1), run(2));
});

test('a run beyond the limit is infinite, and one at the limit is not', () => {
  const history = { skill: new Float64Array(10), residual: new Float64Array(10).fill(1) };
  assert.is(opened(history).meanRun(rateOnly(3), 4), 4);
  assert.is(opened(history).meanRun(rateOnly(3), 3.99), NONE);
  const still = { skill: new Float64Array(10), residual: new Float64Array(10) };
  assert.is(opened(still).meanRun(rateOnly(1), 1000), NONE, 'nothing ever happens, and it ends');
});

test('alarms within a limit are counted with the labels it took to see them', () => {
  const history = { skill: new Float64Array(10), residual: new Float64Array(10).fill(1) };
  assert.equal(opened(history).alarmsWithin(rateOnly(3), 4), { alarms: 400, labels: 1600 });
  assert.equal(opened(history).alarmsWithin(rateOnly(3), 3), { alarms: 0, labels: 1200 });
});

test.run();
