import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { type AucInterval, aucInterval } from '../../src/validation/auc-interval.js';
import type { TimeSpan } from '../../src/validation/batch-means.js';
import { rocAuc } from '../../src/validation/metrics.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

function everyBar(count: number, dependenceBars = 1): TimeSpan {
  return { position: Int32Array.from({ length: count }, (_, bar) => bar), start: 0, end: count, dependenceBars };
}

interface Rows {
  readonly y: Uint8Array;
  readonly p: Float64Array;
}

/** Share of seeds whose interval holds the true AUC, and the mean width. */
function coverage(runs: number, truth: number, draw: (random: () => number) => AucInterval) {
  let covered = 0;
  let width = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const { lower, upper } = draw(seededUniform(seed));
    if (lower <= truth && truth <= upper) covered++;
    width += upper - lower;
  }
  return { share: covered / runs, width: width / runs };
}

/** Losers' scores are uniform and winners' are roots of uniform ones, which beat them with probability E[√u] = 2/3. */
const ROOT_AUC = 2 / 3;
function rootRows(count: number, random: () => number): Rows {
  const y = Uint8Array.from({ length: count }, () => Number(random() < 0.4));
  return { y, p: Float64Array.from(y, (label) => (label === 1 ? Math.sqrt(random()) : random())) };
}

/** Winners score 0, 1, 2 with 0.2, 0.3, 0.5 and losers with 0.4, 0.3, 0.3: 0.3·0.4 + 0.5·0.7 + (0.08 + 0.09 + 0.15)/2. */
const TIED_AUC = 0.63;
function tiedRows(count: number, random: () => number): Rows {
  const y = Uint8Array.from({ length: count }, () => Number(random() < 0.5));
  const score = ([zero, one]: readonly [number, number]): number => {
    const u = random();
    if (u < zero) return 0;
    return u < one ? 1 : 2;
  };
  return { y, p: Float64Array.from(y, (label) => score(label === 1 ? [0.2, 0.5] : [0.4, 0.7])) };
}

test('the AUC is rocAuc, with any ties, and lies in its interval', () => {
  const row = fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 6 }));
  fc.assert(
    fc.property(fc.array(row, { minLength: 20, maxLength: 200 }), (rows) => {
      const y = Uint8Array.from(rows, ([label]) => label);
      const p = Float64Array.from(rows, ([, score]) => score / 7);
      const { auc, lower, upper } = aucInterval(y, p, everyBar(rows.length));
      assert.ok(Object.is(auc, rocAuc(y, p)), `${auc} is not ${rocAuc(y, p)}`);
      if (Number.isNaN(auc)) return;
      assert.ok(0 <= lower && lower <= auc && auc <= upper && upper <= 1, `${lower} ${auc} ${upper}`);
    }),
    { seed: 34, numRuns: PROPERTY_RUNS },
  );
});

// 400 runs: a coverage of 95 % has a standard deviation of 1.1 %, and the tests allow three.
const RUNS = 400;
const ALLOWED = 0.033;

test('the 95 % interval of independent rows covers the true AUC in 95 cases of a hundred', () => {
  const { share } = coverage(RUNS, ROOT_AUC, (random) => {
    const { y, p } = rootRows(320, random);
    return aucInterval(y, p, everyBar(320));
  });
  assert.ok(Math.abs(share - 0.95) < ALLOWED, `covered ${share}`);
});

test('so does that of scores with many ties', () => {
  const { share } = coverage(RUNS, TIED_AUC, (random) => {
    const { y, p } = tiedRows(320, random);
    return aucInterval(y, p, everyBar(320));
  });
  assert.ok(Math.abs(share - 0.95) < ALLOWED, `covered ${share}`);
});

test('signals at random times get no wider an interval than signals at regular ones', () => {
  const regular = coverage(RUNS, ROOT_AUC, (random) => {
    const { y, p } = rootRows(320, random);
    return aucInterval(y, p, { ...everyBar(320), position: Int32Array.from(y, (_, k) => 5 * k), end: 1600 });
  });
  const scattered = coverage(RUNS, ROOT_AUC, (random) => {
    const { y, p } = rootRows(320, random);
    const position = Int32Array.from(y, () => Math.floor(1600 * random())).sort();
    return aucInterval(y, p, { position, start: 0, end: 1600, dependenceBars: 1 });
  });
  assert.ok(Math.abs(scattered.share - 0.95) < ALLOWED, `covered ${scattered.share}`);
  // The width is the mean of 400; scattering moves it by the noise of the variance estimate, under 2 %.
  assert.ok(Math.abs(scattered.width / regular.width - 1) < 0.1, `${scattered.width} against ${regular.width}`);
});

test('scores and labels that last ten rows are covered too, which they are not when their times are shuffled', () => {
  const count = 1600;
  const draw = (random: () => number): Rows => {
    const stretches = Array.from({ length: count / 10 }, () => [random() < 0.4, random()] as const);
    const rows = Array.from({ length: count }, (_, k) => stretches[Math.floor(k / 10)]!);
    return {
      y: Uint8Array.from(rows, ([won]) => Number(won)),
      p: Float64Array.from(rows, ([won, u]) => (won ? Math.sqrt(u) : u)),
    };
  };
  const inTime = coverage(RUNS, ROOT_AUC, (random) => {
    const { y, p } = draw(random);
    return aucInterval(y, p, everyBar(count, 10));
  });
  const shuffled = coverage(RUNS, ROOT_AUC, (random) => {
    const { y, p } = draw(random);
    const { position, ...span } = everyBar(count, 10);
    for (let k = count - 1; k > 0; k--) {
      const other = Math.floor((k + 1) * random());
      [position[k], position[other]] = [position[other]!, position[k]!];
    }
    return aucInterval(y, p, { position, ...span });
  });
  // 160 independent rows in 32 spans: the linearisation and the correlation of neighbours may cost some points.
  assert.ok(inTime.share > 0.9 && inTime.share < 0.985, `covered ${inTime.share}`);
  assert.ok(shuffled.share < 0.7, `covered ${shuffled.share} with shuffled times`);
});

test('scores that are all the same are one half without doubt, wherever the rows lie', () => {
  const random = seededUniform(9);
  const y = Uint8Array.from({ length: 300 }, () => Number(random() < 0.4));
  const position = Int32Array.from(y, () => Math.floor(1000 * random())).sort();
  for (const span of [everyBar(300), { position, start: 0, end: 1000, dependenceBars: 3 }]) {
    const { auc, lower, upper } = aucInterval(y, new Float64Array(300).fill(0.4), span);
    assert.equal({ auc, lower, upper }, { auc: 0.5, lower: 0.5, upper: 0.5 });
  }
});

test('the bounds stay inside [0, 1]', () => {
  const random = seededUniform(10);
  const y = Uint8Array.from({ length: 24 }, (_, k) => k % 2);
  const p = Float64Array.from(y, (label, k) => (k === 4 ? 1 : label) + 0.1 * random());
  const { auc, lower, upper } = aucInterval(y, p, everyBar(24));
  assert.ok(auc > 0.8 && auc < 1);
  assert.is(upper, 1);
  assert.ok(lower < auc);
  assert.is(
    aucInterval(
      y,
      p.map((score) => -score),
      everyBar(24),
    ).lower,
    0,
  );
});

test('there are no bounds without both classes, without every score, or with less than eight spans', () => {
  const y = Uint8Array.of(0, 1, 0, 1, 0, 1, 0, 1, 0, 1);
  const p = Float64Array.from(y, (label, k) => label + k / 10);
  const isNothing = ({ auc, lower, upper }: AucInterval, what: string): void => {
    assert.ok([auc, lower, upper].every(Number.isNaN), `${what}: ${lower} ${auc} ${upper}`);
  };
  isNothing(aucInterval(new Uint8Array(10), p, everyBar(10)), 'losers only');
  isNothing(aucInterval(new Uint8Array(10).fill(1), p, everyBar(10)), 'winners only');
  isNothing(
    aucInterval(
      y,
      p.map((score, k) => (k === 3 ? Number.NaN : score)),
      everyBar(10),
    ),
    'a missing score',
  );
  isNothing(aucInterval(new Uint8Array(0), new Float64Array(0), everyBar(0)), 'no rows');
  const { auc, lower, upper } = aucInterval(y, p, { ...everyBar(10), end: 80 });
  assert.is(auc, rocAuc(y, p));
  assert.ok(Number.isNaN(lower) && Number.isNaN(upper), 'ten rows in the first two of eight spans');
});

test.run();
