import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { averageUniqueness } from '../../src/labeling/uniqueness.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { assertRelative, vectors } from '../support/vectors.js';

const SEED = 20_240_106;

function uniquenessOf(pairs: readonly (readonly [number, number])[], barCount: number): number[] {
  const start = Int32Array.from(pairs, ([first]) => first);
  const end = Int32Array.from(pairs, ([, last]) => last);
  return [...averageUniqueness({ start, end }, barCount)];
}

test('a label that shares no bar is wholly unique, and twins are half unique', () => {
  assert.equal(
    uniquenessOf(
      [
        [0, 2],
        [3, 3],
        [5, 9],
      ],
      10,
    ),
    [1, 1, 1],
  );
  assert.equal(
    uniquenessOf(
      [
        [2, 4],
        [2, 4],
      ],
      5,
    ),
    [0.5, 0.5],
  );
});

test('both ends of an interval count: labels that only touch share that one bar', () => {
  assert.equal(
    uniquenessOf(
      [
        [0, 1],
        [1, 2],
      ],
      3,
    ),
    [0.75, 0.75],
  );
});

test('a label inside a longer one is half unique while the longer keeps its free bars', () => {
  assert.equal(
    uniquenessOf(
      [
        [0, 3],
        [1, 2],
      ],
      4,
    ),
    [0.75, 0.5],
  );
});

test('overlapping labels equal values worked in exact fractions', () => {
  const { start, end, barCount, values } = vectors.uniqueness;
  const actual = averageUniqueness({ start: Int32Array.from(start), end: Int32Array.from(end) }, barCount);
  values.forEach((value, k) => {
    assertRelative(actual[k]!, value, 1e-14, `label ${k}`);
  });
});

test('no labels have no uniqueness', () => {
  assert.equal(uniquenessOf([], 10), []);
  assert.equal(uniquenessOf([], 0), []);
});

test('any intervals in any order have the uniqueness that counting bar by bar gives', () => {
  const interval = fc.tuple(fc.nat(30), fc.nat(12)).map(([start, length]) => [start, start + length] as const);
  const property = fc.property(fc.array(interval, { maxLength: 30 }), (pairs) => {
    const actual = uniquenessOf(pairs, 43);
    pairs.forEach(([start, end], k) => {
      let sum = 0;
      for (let bar = start; bar <= end; bar++) sum += 1 / pairs.filter(([a, b]) => a <= bar && bar <= b).length;
      assertRelative(actual[k]!, sum / (end - start + 1), 1e-12, `label ${k} of ${JSON.stringify(pairs)}`);
    });
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('an interval that is reversed or leaves the bars is refused', () => {
  for (const pair of [
    [3, 2],
    [-1, 2],
    [0, 5],
    [5, 5],
  ] as const) {
    assert.throws(
      () => uniquenessOf([[0, 1], pair], 5),
      (error: unknown) => error instanceof OrchestratorError && error.code === 'OUT_OF_RANGE',
      `${pair}`,
    );
  }
});

test.run();
