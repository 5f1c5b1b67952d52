import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import {
  purgedWalkForward,
  type WalkForwardOptions,
  type WalkForwardSplit,
} from '../../src/validation/walk-forward.js';
import { referenceVectors } from '../support/reference.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SEED = 20_240_113;

interface SplitReference {
  readonly cases: readonly {
    /** Train, test, step, embargo. */
    readonly cfg: readonly [number, number, number, number];
    readonly n: number;
    /** Train start and end, test start and end; ends exclusive. */
    readonly splits: readonly (readonly [number, number, number, number])[];
    /** By horizon: the exclusive end of each purged training range. */
    readonly purged_train_end?: Readonly<Record<string, readonly (number | null)[]>>;
  }[];
}

/** One label a bar, each looking `horizon` bars ahead or to the last bar. */
function everyBar(count: number, horizon: number): { start: Int32Array; end: Int32Array } {
  const start = Int32Array.from({ length: count }, (_, bar) => bar);
  return { start, end: start.map((bar) => Math.min(bar + horizon, count - 1)) };
}

function intervalsOf(pairs: readonly (readonly [number, number])[]): { start: Int32Array; end: Int32Array } {
  return {
    start: Int32Array.from(pairs, ([start]) => start),
    end: Int32Array.from(pairs, ([, end]) => end),
  };
}

function splitsOf(options: WalkForwardOptions): { train: number[]; test: number[] }[] {
  return Array.from(purgedWalkForward(options), (split: WalkForwardSplit) => ({
    train: [...split.train],
    test: [...split.test],
  }));
}

function range(start: number, end: number): number[] {
  return Array.from({ length: Math.max(end - start, 0) }, (_, k) => start + k);
}

test('windows are those of the reference at every step of one test window, purged alike', () => {
  const reference = referenceVectors<SplitReference>('walkforward');
  if (reference === null) return;
  let compared = 0;
  for (const { cfg, n, splits, purged_train_end } of reference.cases) {
    const [trainSize, testSize, step, embargo] = cfg;
    // Their windows step by less than a test window: every so many-th of them steps by exactly one.
    const every = testSize / step;
    assert.ok(Number.isInteger(every), `${cfg}`);
    const theirs = splits.map((split, k) => ({ split, k })).filter(({ k }) => k % every === 0);
    // A last window shorter than half is ours to drop; theirs need one whole window before they begin.
    const kept = theirs.filter(({ split: [, , start, end] }) => end - start >= testSize / 2);
    const horizons = Object.entries(purged_train_end ?? {});
    for (const [horizon, purged] of [['0', null] as const, ...horizons]) {
      const ours = splitsOf({ intervals: everyBar(n, Number(horizon)), trainSize, testSize, embargo });
      if (splits.length === 0) {
        assert.ok(ours.length <= 1 && (ours[0]?.test.length ?? 0) < testSize, `${cfg} of ${n}`);
        continue;
      }
      assert.is(ours.length, kept.length, `${cfg} of ${n}, horizon ${horizon}`);
      kept.forEach(({ split: [trainStart, trainEnd, testStart, testEnd], k }, fold) => {
        const end = purged === null ? trainEnd : (purged[k] ?? trainStart);
        assert.equal(ours[fold], { train: range(trainStart, end), test: range(testStart, testEnd) });
        compared++;
      });
    }
  }
  assert.ok(compared > 100, `${compared} compared`);
});

test('windows roll by the size of the test window', () => {
  assert.equal(splitsOf({ intervals: everyBar(10, 0), trainSize: 4, testSize: 2 }), [
    { train: [0, 1, 2, 3], test: [4, 5] },
    { train: [2, 3, 4, 5], test: [6, 7] },
    { train: [4, 5, 6, 7], test: [8, 9] },
  ]);
});

test('an expanding window always trains from the first bar', () => {
  assert.equal(splitsOf({ intervals: everyBar(8, 0), trainSize: 4, testSize: 2, expanding: true }), [
    { train: [0, 1, 2, 3], test: [4, 5] },
    { train: [0, 1, 2, 3, 4, 5], test: [6, 7] },
  ]);
});

test('a label whose horizon reaches the first bar of the test window does not train', () => {
  const intervals = intervalsOf([
    [0, 3],
    [1, 4],
    [2, 3],
    [3, 9],
    [4, 5],
  ]);
  assert.equal(splitsOf({ intervals, trainSize: 4, testSize: 6 }), [{ train: [0, 2], test: [4] }]);
});

test('an embargo leaves its bars out of both windows', () => {
  assert.equal(splitsOf({ intervals: everyBar(12, 0), trainSize: 4, testSize: 3, embargo: 2 }), [
    { train: [0, 1, 2, 3], test: [6, 7, 8] },
    { train: [3, 4, 5, 6], test: [9, 10, 11] },
  ]);
});

test('a last window of half a test window is kept and a shorter one dropped', () => {
  const testCounts = (bars: number): number[] =>
    splitsOf({ intervals: everyBar(bars, 0), trainSize: 4, testSize: 4 }).map((split) => split.test.length);
  assert.equal([8, 9, 10, 11, 12].map(testCounts), [[4], [4], [4, 2], [4, 3], [4, 4]]);
});

test('a label is tested by the bar it starts on, even when it ends beyond the window', () => {
  const intervals = intervalsOf([
    [0, 0],
    [5, 9],
    [6, 6],
  ]);
  const splits = splitsOf({ intervals, trainSize: 4, testSize: 2 });
  assert.equal(
    splits.map((split) => split.test),
    [[1], [2], []],
  );
});

test('data shorter than one training window has no split, and no labels have none', () => {
  assert.equal(splitsOf({ intervals: everyBar(4, 0), trainSize: 4, testSize: 2 }), []);
  assert.equal(splitsOf({ intervals: intervalsOf([]), trainSize: 4, testSize: 2 }), []);
});

const options = fc.record({
  pairs: fc.array(
    fc.tuple(fc.nat(120), fc.nat(25)).map(([start, length]) => [start, start + length] as const),
    { maxLength: 80 },
  ),
  trainSize: fc.integer({ min: 1, max: 50 }),
  testSize: fc.integer({ min: 1, max: 30 }),
  embargo: fc.integer({ min: 0, max: 10 }),
  expanding: fc.boolean(),
});

test('no training interval reaches into the test window, and each fold holds exactly the labels its windows allow', () => {
  const property = fc.property(options, ({ pairs, trainSize, testSize, embargo, expanding }) => {
    const splits = splitsOf({ intervals: intervalsOf(pairs), trainSize, testSize, embargo, expanding });
    const bars = Math.max(-1, ...pairs.map(([, end]) => end)) + 1;
    splits.forEach(({ train, test: tested }, fold) => {
      const testStart = trainSize + embargo + fold * testSize;
      const testEnd = Math.min(testStart + testSize, bars);
      assert.ok(testEnd - testStart >= testSize / 2);
      const trainStart = expanding ? 0 : fold * testSize;
      for (const label of train) assert.ok(pairs[label]![1] < testStart, `label ${label} of fold ${fold}`);
      const indices = pairs.map((_, label) => label);
      const inTraining = indices.filter((label) => {
        const [start, end] = pairs[label]!;
        return start >= trainStart && start < testStart - embargo && end < testStart;
      });
      assert.equal(train, inTraining);
      assert.equal(
        tested,
        indices.filter((label) => pairs[label]![0] >= testStart && pairs[label]![0] < testEnd),
      );
    });
    // The window after the last one would be too short.
    const next = trainSize + embargo + splits.length * testSize;
    assert.ok(bars - next < testSize / 2);
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('each label is tested at most once', () => {
  const property = fc.property(options, ({ pairs, ...sizes }) => {
    const tested = splitsOf({ intervals: intervalsOf(pairs), ...sizes }).flatMap((split) => split.test);
    assert.is(new Set(tested).size, tested.length);
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('a size or embargo that is no whole number in range and intervals of unequal length are refused', () => {
  const good = { intervals: everyBar(10, 0), trainSize: 4, testSize: 2 };
  const cases = [
    { trainSize: 0 },
    { trainSize: 2.5 },
    { testSize: 0 },
    { testSize: Number.NaN },
    { embargo: -1 },
    { embargo: 0.5 },
  ];
  for (const wrong of cases) {
    const field = Object.keys(wrong)[0];
    assert.throws(
      () => splitsOf({ ...good, ...wrong }),
      (error: unknown) => error instanceof OrchestratorError && error.code === 'OUT_OF_RANGE' && error.field === field,
      field,
    );
  }
  const unequal = { start: new Int32Array(3), end: new Int32Array(2) };
  assert.throws(
    () => splitsOf({ ...good, intervals: unequal }),
    (error: unknown) => error instanceof OrchestratorError && error.code === 'LENGTH_MISMATCH',
  );
});

test.run();
