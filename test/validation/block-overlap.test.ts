import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { normalDraws } from '../../src/simulation/random-streams.js';
import { batchMeans, type TimeSpan } from '../../src/validation/batch-means.js';
import { blockOverlapFactor } from '../../src/validation/block-overlap.js';

function everyBar(count: number, dependenceBars: number): TimeSpan {
  return { position: Int32Array.from({ length: count }, (_, bar) => bar), start: 0, end: count, dependenceBars };
}

test('the factor is √(1 − D/(3L)), close to 1 for long blocks and 0 for blocks that show nothing', () => {
  assert.is(blockOverlapFactor(everyBar(400, 10), 8), Math.sqrt(14 / 15));
  assert.is(blockOverlapFactor({ ...everyBar(400, 10), start: 1000, end: 1400 }, 8), Math.sqrt(14 / 15));
  assert.ok(blockOverlapFactor(everyBar(400_000, 10), 8) > 0.9999);
  assert.is(blockOverlapFactor(everyBar(24, 10), 8), 0);
});

test('with it the spread of blocks shows the variance that sums of overlapping paths really have, and without it too little', () => {
  const runs = 4000;
  const count = 400;
  const overlap = 10;
  const span = everyBar(count, overlap);
  let [sums, shown, corrected] = [0, 0, 0];
  for (let seed = 1; seed <= runs; seed++) {
    const steps = Float64Array.from({ length: count + overlap }, normalDraws(seededUniform(seed)));
    const terms = new Float64Array(count);
    for (let i = 0; i < count; i++) for (let k = 1; k <= overlap; k++) terms[i] = terms[i]! + steps[i + k]!;
    const total = terms.reduce((sum, term) => sum + term, 0);
    const means = batchMeans(terms, span)!;
    sums += total ** 2 / runs;
    shown += means.standardError ** 2 / runs;
    corrected += (means.standardError / blockOverlapFactor(span, means.blocks)) ** 2 / runs;
  }
  // A variance over 4000 runs is known to √(2/4000) = 2.2 %, its estimate by seven degrees of freedom to 0.9 %: the ratio to 2.4 %.
  assert.ok(Math.abs(corrected / sums - 1) < 0.06, `${corrected / sums} of the variance with it`);
  assert.ok(shown < corrected * 0.94, 'and 7 % less without it');
});

test.run();
