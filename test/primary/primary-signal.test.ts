import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { PRIMARY_SIGNALS, type PrimarySignalName, primarySides } from '../../src/primary/primary-signal.js';
import { randomBars } from '../support/market.js';
import { referenceVectors } from '../support/reference.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { barsOf, referenceSlice, vectorBars, vectors } from '../support/vectors.js';

const SEED = 20_240_109;

interface LabelReference {
  readonly primary_signal: { readonly ema_state: string };
}

const flat = (price: number): number[] => [price, price, price, price];

for (const slice of ['btc_0', 'gbpusd_0'] as const) {
  test(`the EMA cross of ${slice} has the reference's side on every bar`, async () => {
    const reference = referenceVectors<LabelReference>(`${slice}_labels`);
    const bars = await referenceSlice(slice);
    if (reference === null || bars === null) return;
    const sides = Array.from(primarySides('ema-cross', bars), (side) => (side === 0 ? '0' : side > 0 ? '+' : '-'));
    assert.is(sides.join(''), reference.primary_signal.ema_state);
  });
}

for (const name of PRIMARY_SIGNALS) {
  test(`${name} has the sides worked in exact fractions`, () => {
    assert.equal([...primarySides(name, vectorBars())], vectors.primary[name]);
  });

  test(`${name} gives a bar the same side whatever comes after it`, () => {
    const property = fc.property(fc.integer(), fc.integer({ min: 0, max: 120 }), (seed, cut) => {
      const bars = randomBars(120, seed, { volatility: 0.01 });
      const whole = primarySides(name, bars).slice(0, cut);
      assert.equal([...primarySides(name, bars.slice(0, cut))], [...whole]);
      for (const column of [bars.open, bars.high, bars.low, bars.close]) column.fill(1e-3, cut);
      assert.equal([...primarySides(name, bars).slice(0, cut)], [...whole]);
    });
    fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
  });

  test(`${name} buys a steady rise and sells a steady fall, after its warm-up`, () => {
    const first = name === 'ema-cross' ? 25 : 20;
    const rise = primarySides(name, barsOf(Array.from({ length: 60 }, (_, i) => flat(100 + i))));
    const fall = primarySides(name, barsOf(Array.from({ length: 60 }, (_, i) => flat(100 - i))));
    assert.equal(
      [...rise],
      Array.from({ length: 60 }, (_, i) => (i < first ? 0 : 1)),
    );
    assert.equal(
      [...fall],
      Array.from({ length: 60 }, (_, i) => (i < first ? 0 : -1)),
    );
  });

  test(`${name} has no side in a market that never moved, and none for no bars`, () => {
    const sides = primarySides(name, barsOf(Array.from({ length: 60 }, () => flat(128))));
    assert.equal([...sides], new Array(60).fill(0));
    assert.is(primarySides(name, barsOf([])).length, 0);
  });
}

test('momentum looks back exactly twenty bars', () => {
  const rows = Array.from({ length: 42 }, (_, i) => flat(i === 1 ? 101 : i === 2 ? 99 : 100));
  const sides = primarySides('momentum', barsOf(rows));
  assert.equal([...sides.subarray(20, 24)], [0, -1, 1, 0]);
});

test('a Donchian side needs a close outside the channel, not on its edge, and holds until the other side breaks', () => {
  const channel = Array.from({ length: 20 }, () => [100, 110, 90, 100]);
  const later = [110, 110.5, 100, 90, 89, 100].map((close) => [100, 110, 90, close]);
  const sides = primarySides('donchian', barsOf([...channel, ...later]));
  assert.equal([...sides.subarray(20)], [0, 1, 1, 1, -1, -1]);
});

test('an unknown primary signal is refused', () => {
  assert.throws(
    () => primarySides('nothing' as PrimarySignalName, vectorBars()),
    (error: unknown) => error instanceof OrchestratorError && error.code === 'USAGE' && /nothing/.test(error.message),
  );
});

test.run();
