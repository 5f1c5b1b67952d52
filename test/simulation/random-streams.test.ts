import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { normalDraws, streamPosition, uniformStream } from '../../src/simulation/random-streams.js';

const DRAWS = 200_000;

test('normal draws have the moments of a standard normal, and neighbours are uncorrelated', () => {
  const normal = normalDraws(uniformStream(1, 0, 6));
  const draws = Float64Array.from({ length: DRAWS }, normal);
  const mean = (of: (x: number, i: number) => number): number => draws.reduce((sum, x, i) => sum + of(x, i), 0) / DRAWS;
  // Four standard errors of the mean of x, x², x³, x⁴ and of products: the variances are 1, 2, 15, 96 and 1.
  const tolerance = (variance: number): number => 4 * Math.sqrt(variance / DRAWS);
  assert.ok(Math.abs(mean((x) => x)) < tolerance(1));
  assert.ok(Math.abs(mean((x) => x ** 2) - 1) < tolerance(2));
  assert.ok(Math.abs(mean((x) => x ** 3)) < tolerance(15));
  assert.ok(Math.abs(mean((x) => x ** 4) - 3) < tolerance(96));
  for (const lag of [1, 2]) {
    assert.ok(Math.abs(mean((x, i) => (i < lag ? 0 : x * draws[i - lag]!))) < tolerance(1), `lag ${lag}`);
  }
  assert.ok(Math.abs(mean((x) => Number(Math.abs(x) > 1.959964)) - 0.05) < tolerance(0.0475));
});

test('a stream starts at its position of the one cycle all streams walk', () => {
  const near = Array.from({ length: 1000 }, (_, seed) => seed).filter((seed) => streamPosition(seed, 0, 1) < 2 ** 24);
  assert.ok(near.length > 1);
  for (const seed of near) {
    const cycle = uniformStream(0, 0, 1);
    for (let k = 0; k < streamPosition(seed, 0, 1); k++) cycle();
    const stream = uniformStream(seed, 0, 1);
    for (let k = 0; k < 100; k++) assert.is(stream(), cycle());
  }
});

test('a hundred markets of a quarter of a million bars share no draws', () => {
  // Their longest stream takes five draws a bar.
  const longest = 1_250_000;
  const starts = Array.from({ length: 600 }, (_, k) => streamPosition(Math.floor(k / 6), k % 6, 6)).sort(
    (a, b) => a - b,
  );
  for (let k = 1; k < starts.length; k++) assert.ok(starts[k]! - starts[k - 1]! > longest);
  assert.ok(starts[0]! + 2 ** 32 - starts.at(-1)! > longest);
});

test('streams of one seed are uncorrelated', () => {
  const streams = Array.from({ length: 6 }, (_, stream) => uniformStream(7, stream, 6));
  const draws = streams.map((uniform) => Float64Array.from({ length: DRAWS }, () => uniform() - 0.5));
  for (let a = 0; a < draws.length; a++) {
    for (let b = 0; b < a; b++) {
      const product = draws[a]!.reduce((sum, x, i) => sum + x * draws[b]![i]!, 0) / DRAWS;
      assert.ok(Math.abs(product * 12) < 4 / Math.sqrt(DRAWS), `streams ${b} and ${a}`);
    }
  }
});

test.run();
