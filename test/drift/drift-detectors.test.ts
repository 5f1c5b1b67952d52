import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { skillIncrement } from '../../src/drift/cusum.js';
import type { DetectorPlan } from '../../src/drift/detector-plan.js';
import { type DetectorState, DriftDetectors } from '../../src/drift/drift-detectors.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const BASE_RATE = 0.4;
const PLAN: DetectorPlan = {
  labelsPerFalseAlarm: 100,
  skillThreshold: 1.5,
  rateThreshold: 3,
  rateAllowance: 0.025,
  verified: { labels: 100, lower: 90, upper: 110 },
};

type Label = readonly [metaLabel: number, confidence: number];
const label = fc.tuple(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }));
const sequence = fc.array(label, { maxLength: 200 });

function fed(labels: readonly Label[], plan = PLAN): DriftDetectors {
  const detectors = new DriftDetectors(plan, BASE_RATE);
  for (const one of labels) detectors.record(...one);
  return detectors;
}

/** A CUSUM is how far the plain sum stands above its lowest point so far, the start being one (Page 1954). */
function pathOf(increments: readonly number[]): number[] {
  let sum = 0;
  let lowest = 0;
  return increments.map((increment) => {
    sum += increment;
    lowest = Math.min(lowest, sum);
    return sum - lowest;
  });
}

test('each level is the sum of its increments above the lowest point of that sum', () => {
  fc.assert(
    fc.property(sequence, (labels) => {
      const last = (increments: readonly number[]): number => pathOf(increments).at(-1) ?? 0;
      const { skill, up, down } = fed(labels).toState();
      const expected = {
        skill: last(labels.map(([y, p]) => skillIncrement(BASE_RATE, y, p))),
        up: last(labels.map(([y, p]) => y - p - 0.025)),
        down: last(labels.map(([y, p]) => p - y - 0.025)),
      };
      for (const [got, wanted] of [
        [skill, expected.skill],
        [up, expected.up],
        [down, expected.down],
      ] as const) {
        assert.ok(Math.abs(got - wanted) < 1e-9, `${got} is not ${wanted}`);
      }
    }),
    { seed: 53, numRuns: PROPERTY_RUNS },
  );
});

test('a detector alarms when it first stands at its threshold, and stays alarmed while its level falls', () => {
  // 0.975 per profit that was held impossible: 2.925 after three, 3.9 after four.
  const certain: Label = [1, 0];
  assert.equal(fed([certain, certain, certain], { ...PLAN, skillThreshold: null }).alarms, []);
  const detectors = fed([certain, certain, certain, certain], { ...PLAN, skillThreshold: null });
  assert.equal(detectors.alarms, ['base_rate_shift']);
  for (let k = 0; k < 50; k++) detectors.record(0, 0.5);
  assert.is(detectors.toState().up, 0);
  assert.equal(detectors.alarms, ['base_rate_shift']);
});

test('a level at exactly its threshold is an alarm', () => {
  const plan = { ...PLAN, skillThreshold: null, rateAllowance: 0, rateThreshold: 2 };
  assert.equal(fed([[1, 0]], plan).alarms, []);
  assert.equal(
    fed(
      [
        [1, 0],
        [1, 0],
      ],
      plan,
    ).alarms,
    ['base_rate_shift'],
  );
  assert.equal(
    fed(
      [
        [0, 1],
        [0, 1],
      ],
      plan,
    ).alarms,
    ['base_rate_shift'],
    'both sides',
  );
});

test('the skill detector alarms at exactly its threshold too', () => {
  const labels: Label[] = [
    [0, 0.6],
    [0, 0.6],
  ];
  const { skill } = fed(labels).toState();
  assert.equal(fed(labels, { ...PLAN, skillThreshold: skill }).alarms, ['skill_loss']);
  assert.equal(fed(labels, { ...PLAN, skillThreshold: skill + 1e-12 }).alarms, []);
});

test('labels that contradict the confidence while the base rate stays are a loss of skill only', () => {
  const contradicting: Label[] = [
    [0, 0.6],
    [1, 0.4],
  ];
  const detectors = fed(Array.from({ length: 60 }, (_, k) => contradicting[k % 2]!));
  assert.equal(detectors.alarms, ['skill_loss']);
  const without = fed(
    Array.from({ length: 60 }, (_, k) => contradicting[k % 2]!),
    { ...PLAN, skillThreshold: null },
  );
  assert.equal(without.alarms, [], 'a null threshold never alarms');
});

test('alarms are kept in the order they were raised', () => {
  const contradicting = Array.from({ length: 60 }, (_, k): Label => (k % 2 === 0 ? [0, 0.6] : [1, 0.4]));
  const shifted = Array.from({ length: 10 }, (): Label => [1, BASE_RATE]);
  assert.equal(fed([...contradicting, ...shifted]).alarms, ['skill_loss', 'base_rate_shift']);
  assert.equal(fed([...shifted, ...contradicting]).alarms, ['base_rate_shift', 'skill_loss']);
});

test('a reset restarts what was alarmed and leaves the others their evidence', () => {
  const skillLost = fed([
    [0, 0.9],
    [0, 0.9],
  ]);
  const before = skillLost.toState();
  assert.equal(before.alarms, ['skill_loss']);
  assert.ok(before.down > 0);
  skillLost.reset();
  assert.equal(skillLost.toState(), { ...before, skill: 0, alarms: [] });
  const shifted = fed(Array.from({ length: 8 }, (): Label => [1, 0.45]));
  const { skill, alarms } = shifted.toState();
  assert.equal(alarms, ['base_rate_shift']);
  shifted.reset();
  assert.equal(shifted.toState(), { skill, up: 0, down: 0, alarms: [] });
});

test('a state that went through JSON goes on with the same bits', () => {
  fc.assert(
    fc.property(sequence, sequence, (before, after) => {
      const whole = fed(before);
      const state = JSON.parse(JSON.stringify(whole.toState())) as DetectorState;
      const restored = new DriftDetectors(PLAN, BASE_RATE, state);
      for (const one of after) {
        whole.record(...one);
        restored.record(...one);
        assert.equal(restored.toState(), whole.toState());
      }
    }),
    { seed: 54, numRuns: PROPERTY_RUNS },
  );
});

test('a state is a copy: the detectors it came from go on without changing it', () => {
  const detectors = fed([[1, 0.4]]);
  const state = detectors.toState();
  const copy = JSON.stringify(state);
  const other = new DriftDetectors(PLAN, BASE_RATE, state);
  for (let k = 0; k < 20; k++) {
    detectors.record(1, 0.05);
    other.record(1, 0.05);
  }
  assert.is(JSON.stringify(state), copy);
});

test('what is no label and what is no probability are refused, and change nothing', async () => {
  const detectors = fed([[1, 0.4]]);
  const before = detectors.toState();
  for (const [metaLabel, confidence, field] of [
    [2, 0.5, 'metaLabel'],
    [Number.NaN, 0.5, 'metaLabel'],
    [0.5, 0.5, 'metaLabel'],
    [1, 1.01, 'confidence'],
    [1, -0.01, 'confidence'],
    [1, Number.NaN, 'confidence'],
  ] as const) {
    const refusal = await refusalOf(() => detectors.record(metaLabel, confidence));
    assert.equal([refusal.code, refusal.field], ['OUT_OF_RANGE', field]);
  }
  assert.equal(detectors.toState(), before);
});

test.run();
