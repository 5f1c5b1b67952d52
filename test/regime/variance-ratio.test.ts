import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { varianceRatio } from '../../src/regime/variance-ratio.js';
import { normal, plantedReturns } from './simulated-returns.js';

function assertClose(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not within ${tolerance} of ${expected}`);
}

/** The statistic as printed for one unbroken series (Lo & MacKinlay 1988, equations 12 to 18). */
function textbook(returns: Float64Array, q: number): { ratio: number; z: number } {
  const n = returns.length;
  const mean = returns.reduce((sum, value) => sum + value, 0) / n;
  const e = returns.map((value) => value - mean);
  const squares = e.reduce((sum, value) => sum + value * value, 0);
  let sums = 0;
  for (let k = q; k <= n; k++) sums += e.subarray(k - q, k).reduce((sum, value) => sum + value, 0) ** 2;
  const ratio = sums / (q * (n - q + 1) * (1 - q / n)) / (squares / (n - 1));
  let theta = 0;
  for (let j = 1; j < q; j++) {
    let products = 0;
    for (let k = j; k < n; k++) products += e[k]! ** 2 * e[k - j]! ** 2;
    theta += ((2 * (q - j)) / q) ** 2 * ((n * products) / squares ** 2);
  }
  return { ratio, z: (Math.sqrt(n) * (ratio - 1)) / Math.sqrt(theta) };
}

test('five returns by hand', () => {
  // Mean 0, so e = 1, 2, −1, 0, −2. Sums of two: 3, 1, −1, −2, squares 15. Singles by the sums they are in: 1 + 8 + 2 + 0 + 4 = 15.
  // Ratio 15/15 · (1 − 1/5)/(1 − 2/5) = 4/3. Each pair of neighbours is in one sum: 4 (1·4 + 4·1 + 1·0 + 0·4) = 32.
  const { ratio, standardError, z } = varianceRatio(Float64Array.of(1, 2, -1, 0, -2), [{ start: 0, end: 5 }], 2);
  assertClose(ratio, 4 / 3, 1e-15);
  assertClose(standardError, Math.sqrt(32) / 15, 1e-15);
  assertClose(z, 5 / Math.sqrt(32), 1e-14);
});

test('in one long stretch it is the printed statistic', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const returns = plantedReturns(
      20_000,
      [{ deviation: 1, repeats: 0.02 * seed - 0.06 }],
      seededUniform(seed),
    ).subarray(1);
    const expected = textbook(returns, 20);
    const actual = varianceRatio(returns, [{ start: 0, end: returns.length }], 20);
    assertClose(actual.ratio, expected.ratio, 0.005 * expected.ratio);
    assertClose(actual.z, expected.z, 0.05);
  }
});

test('only the bars of long enough stretches count, wherever they lie', () => {
  const random = seededUniform(1);
  const returns = Float64Array.from({ length: 300 }, () => normal(random));
  const alone = varianceRatio(returns.slice(50, 200), [{ start: 0, end: 150 }], 20);
  const stretches = [
    { start: 0, end: 19 },
    { start: 50, end: 200 },
    { start: 210, end: 229 },
  ];
  assert.equal(varianceRatio(returns, stretches, 20), alone);
});

test('without more bars than one span, or without movement, there is no ratio', () => {
  for (const [returns, end] of [
    [new Float64Array(20).map((_, i) => i), 20],
    [new Float64Array(100), 100],
    [new Float64Array(0), 0],
  ] as const) {
    const { ratio, z } = varianceRatio(returns, [{ start: 0, end }], 20);
    assert.ok(Number.isNaN(ratio) && Number.isNaN(z));
  }
});

const WALKS: Record<string, (random: () => number) => (i: number) => number> = {
  'of equal moves': (random) => () => normal(random),
  'whose moves are now small, now large': (random) => (i) => normal(random) * (Math.floor(i / 70) % 2 === 0 ? 1 : 4),
  'whose every stretch begins with its largest moves': (random) => (i) => normal(random) * (i % 60 < 5 ? 6 : 1),
  'whose moves follow their own size': (random) => {
    let before = 0;
    return () => {
      before = Math.sqrt(0.5 + 0.4 * before * before) * normal(random);
      return before;
    };
  },
};

for (const [kind, walkOf] of Object.entries(WALKS)) {
  test(`of a random walk ${kind} the ratio is 1 on average and z standard normal`, () => {
    const stretches = Array.from({ length: 50 }, (_, k) => ({ start: 60 * k, end: 60 * k + 60 }));
    const walks = 300;
    let ratios = 0;
    let sum = 0;
    let squares = 0;
    let beyond = 0;
    for (let seed = 1; seed <= walks; seed++) {
      const walk = walkOf(seededUniform(seed));
      const returns = Float64Array.from({ length: 3000 }, (_, i) => walk(i));
      const { ratio, z } = varianceRatio(returns, stretches, 20);
      ratios += ratio;
      sum += z;
      squares += z * z;
      if (Math.abs(z) > 2) beyond++;
    }
    assertClose(ratios / walks, 1, 0.03);
    assertClose(sum / walks, 0, 0.2);
    assertClose(squares / walks, 1, 0.25);
    assert.ok(beyond / walks < 0.09, `${beyond} of ${walks} beyond 2`);
  });
}

test('moves that go on lift the ratio, moves that are taken back lower it', () => {
  for (const repeats of [0.2, -0.2]) {
    const returns = plantedReturns(5000, [{ deviation: 1, repeats }], seededUniform(9)).subarray(1);
    const { ratio, z } = varianceRatio(returns, [{ start: 0, end: returns.length }], 20);
    // Of an AR(1) the ratio tends to (1 + φ)/(1 − φ), less its end effect.
    const expected = (1 + repeats) / (1 - repeats) - (2 * repeats * (1 - repeats ** 20)) / (20 * (1 - repeats) ** 2);
    assertClose(ratio, expected, 0.15);
    assert.ok(z * repeats > 0 && Math.abs(z) > 2);
  }
});

test.run();
