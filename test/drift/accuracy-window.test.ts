import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SimulatedLabels } from '../../bench/tables/simulated-labels.js';
import { AccuracyWindow, binomialDrop } from '../../src/drift/accuracy-window.js';
import { seededUniform } from '../../src/random.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

function filled(size: number, hits: Iterable<boolean>): AccuracyWindow {
  const window = new AccuracyWindow(size);
  for (const hit of hits) window.push(hit);
  return window;
}

test('the accuracy is that of the newest labels, and unknown until there are enough', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (hits, size) => {
      const newest = hits.slice(-size);
      const window = filled(size, hits);
      assert.is(window.isFull, hits.length >= size);
      if (window.isFull) assert.is(window.accuracy, newest.filter(Boolean).length / size);
      else assert.ok(Number.isNaN(window.accuracy));
      assert.is(window.toText(), newest.map(Number).join(''));
      const restored = new AccuracyWindow(size, window.toText());
      restored.push(true);
      window.push(true);
      assert.is(restored.toText(), window.toText());
      assert.is(restored.varianceRatio, window.varianceRatio);
    }),
    { seed: 56, numRuns: PROPERTY_RUNS },
  );
});

test('of a longer text the newest labels stay', () => {
  assert.is(new AccuracyWindow(3, '11010').toText(), '010');
});

test('the variance ratio of blocks of ten is that of their sums, worked by hand', () => {
  // Ten blocks of √100: five of ten hits, five of none. Each is 5 away from its mean: 250/9 against 10·¼.
  const hits = Array.from({ length: 100 }, (_, k) => Math.floor(k / 10) % 2 === 0);
  assert.ok(Math.abs(filled(100, hits).varianceRatio - 250 / 9 / 2.5) < 1e-12);
  const regular = Array.from({ length: 100 }, (_, k) => k % 2 === 0);
  assert.is(filled(100, regular).varianceRatio, 1, 'hits that are more regular than chance count as chance');
  assert.is(filled(100, new Array(100).fill(true)).varianceRatio, 1, 'hits alone have no variance');
  assert.is(filled(1, [true]).varianceRatio, 1);
});

test('independent hits have a ratio near 1, overlapping ones nearly that of their sums', () => {
  const meanRatio = (overlap: number): number => {
    const labels = new SimulatedLabels('edge', overlap, 5);
    let sum = 0;
    for (let run = 0; run < 100; run++) {
      const window = new AccuracyWindow(1000);
      while (!window.isFull) {
        labels.step();
        window.push(labels.metaLabel === (labels.confidence >= 0.5 ? 1 : 0));
      }
      sum += window.varianceRatio;
    }
    return sum / 100;
  };
  const independent = meanRatio(1);
  // The estimate is 1 ± 0.25, and what lies below 1 counts as 1.
  assert.ok(independent > 1.02 && independent < 1.2, `${independent}`);
  const overlapping = meanRatio(6);
  assert.ok(overlapping > 3 && overlapping < 6, `${overlapping}`);
});

/** P(at most `hits` of `count`), each term from its logarithm. */
function binomialShare(hits: number, count: number, p: number): number {
  let logFactorials = 0;
  const logFactorial = Array.from({ length: count + 1 }, (_, k) => {
    logFactorials += k > 0 ? Math.log(k) : 0;
    return logFactorials;
  });
  let sum = 0;
  for (let k = 0; k <= hits; k++) {
    const ways = logFactorial[count]! - logFactorial[k]! - logFactorial[count - k]!;
    sum += Math.exp(ways + k * Math.log(p) + (count - k) * Math.log(1 - p));
  }
  return sum;
}

test('the drop of chance is the largest number of hits that a thousandth of windows do not exceed', () => {
  for (const count of [100, 1000, 20_000]) {
    for (const accuracy of [0.2, 0.5, 0.65, 0.95]) {
      const hits = Math.round(count * (accuracy - binomialDrop(count, accuracy)));
      assert.ok(binomialShare(hits, count, accuracy) <= 0.001, `${count}, ${accuracy}: ${hits}`);
      assert.ok(binomialShare(hits + 1, count, accuracy) > 0.001, `${count}, ${accuracy}: ${hits} + 1`);
    }
  }
});

test('windows of chance fall below the bound once in a thousand', () => {
  const random = seededUniform(8);
  const drop = binomialDrop(200, 0.6);
  let below = 0;
  for (let run = 0; run < 10_000; run++) {
    let hits = 0;
    for (let k = 0; k < 200; k++) if (random() < 0.6) hits++;
    if (0.6 - hits / 200 >= drop - 1e-12) below++;
  }
  assert.ok(below > 0 && below <= 22, `${below} of 10,000`);
});

test('an accuracy without chance has no drop of chance', () => {
  assert.equal([binomialDrop(100, 0), binomialDrop(100, 1)], [0, 0]);
});

test.run();
