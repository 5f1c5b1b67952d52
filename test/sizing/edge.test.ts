import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  breakEvenConfidence,
  type EdgeModel,
  type EdgeSample,
  fitEdge,
  NO_EDGE,
  sizeOnEdge,
} from '../../src/sizing/edge.js';
import type { SlopeEvidence } from '../../src/validation/slope.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

/** The last digits of a double after a handful of operations. */
const ROUNDING = 1e-12;
/** The full Kelly fraction, whatever it is. */
const FULL = { kappa: 1, maxFraction: Number.POSITIVE_INFINITY };

function close(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= ROUNDING * Math.max(1, Math.abs(expected)), `${what}: ${actual}`);
}

const OUT_OF_SAMPLE: EdgeSample = {
  metaLabel: Uint8Array.of(1, 0, 1, 0, 0),
  grossR: Float64Array.of(2, -1, 1, -1, -0.5),
};
const TRAINING: EdgeSample = { metaLabel: Uint8Array.of(1, 0, 0, 1), grossR: Float64Array.of(1.5, -0.5, -1.5, 2) };

function line(slope: number, t: number | null): SlopeEvidence {
  return { slope, meanX: 0.5, meanY: 0.25, evidence: t === null ? null : { t, standardError: 1, blocks: 20 } };
}

test('enough labels measure the line, its slope shrunk by its own t and turned about the means', () => {
  const { intercept, slope } = fitEdge(line(2, 2), OUT_OF_SAMPLE, TRAINING, 300);
  assert.is(slope, 1.5, '2·(1 − 1/2²)');
  assert.is(intercept, -0.5, '0.25 − 1.5·0.5');
});

test('a slope within its standard error, on the wrong side of 0 or without evidence leaves the mean and no slope', () => {
  for (const one of [line(2, 1), line(2, 0.3), line(-2, -4), line(2, null)]) {
    const edge = fitEdge(one, OUT_OF_SAMPLE, TRAINING, 5000);
    assert.is(edge.slope + 0, 0);
    assert.is(edge.intercept, 0.25);
    assert.equal(sizeOnEdge(edge, 0.9, 0.01, 0, FULL), { size: 0, reason: 'no-edge' });
  }
});

test('below 300 independent labels the line joins what losers and winners of the training earned', () => {
  for (const count of [0, 299.9]) {
    const { intercept, slope } = fitEdge(line(2, 10), OUT_OF_SAMPLE, TRAINING, count);
    assert.equal({ intercept, slope }, { intercept: -1, slope: 2.75 });
  }
});

test('the squares are what winners and losers out of sample had on average', () => {
  for (const count of [10, 1000]) {
    const { squareWon, squareLost } = fitEdge(line(2, 10), OUT_OF_SAMPLE, TRAINING, count);
    assert.equal({ squareWon, squareLost }, { squareWon: 2.5, squareLost: 0.75 });
  }
});

const WORKED: EdgeModel = { intercept: -1, slope: 3, squareWon: 4, squareLost: 1 };

test('the size is the Kelly share of value over variance', () => {
  // EV = 0.01·(−1 + 3·0.5) − 0.002 = 0.003, E[R²] = 0.5·4 + 0.5·1 = 2.5: 0.05·0.003/(0.01²·2.5) = 0.6.
  const { size, reason } = sizeOnEdge(WORKED, 0.5, 0.01, 0.002, { kappa: 0.05, maxFraction: 1 });
  close(size, 0.6, 'size');
  assert.is(reason, undefined);
  close(sizeOnEdge(WORKED, 0.5, 0.01, 0.002, { kappa: 0.025, maxFraction: 1 }).size, 0.3, 'half the share');
});

test('no size is above the largest', () => {
  const sizing = { kappa: 0.05, maxFraction: 0.25 };
  assert.equal(sizeOnEdge(WORKED, 0.5, 0.01, 0.002, sizing), { size: 0.25, reason: undefined });
  close(sizeOnEdge(WORKED, 0.41, 0.01, 0.002, sizing).size, (0.05 * 0.0003) / (0.0001 * 2.23), 'below the cap');
});

test('a signal that does not pay its cost has no size, and the reason says so', () => {
  // −1 + 3·0.4 = 0.2 barriers of 0.01 pay a cost of 0.002 exactly.
  for (const confidence of [0, 0.2, 0.399]) {
    const worthless = sizeOnEdge(WORKED, confidence, 0.01, 0.002, FULL);
    assert.equal(worthless, { size: 0, reason: 'below-break-even' }, `confidence ${confidence}`);
  }
  assert.is(sizeOnEdge(WORKED, Number.NaN, 0.01, 0.002, FULL).size, 0);
  assert.is(sizeOnEdge(WORKED, 0.9, 0.01, 0.002, { kappa: 0, maxFraction: 1 }).size, 0);
});

test('confidence without a slope has no size at any confidence', () => {
  for (const edge of [NO_EDGE, { ...WORKED, intercept: 5, slope: 0 }, { ...WORKED, slope: -1 }]) {
    for (const confidence of [0, 0.5, 1]) {
      assert.equal(sizeOnEdge(edge, confidence, 0.01, 0, FULL), { size: 0, reason: 'no-edge' });
    }
    assert.is(breakEvenConfidence(edge, 0.01, 0), Number.POSITIVE_INFINITY);
  }
});

test('a class that did not occur out of sample takes its spread from the training labels', () => {
  const onlyWon = { metaLabel: Uint8Array.of(1, 1), grossR: Float64Array.of(2, 1) };
  const { squareWon, squareLost } = fitEdge(line(2, 2), onlyWon, TRAINING, 300);
  assert.equal([squareWon, squareLost], [2.5, 1.25]);
});

test('outcomes that never moved are no edge, instead of an endless size', () => {
  const still = { ...WORKED, squareWon: 0, squareLost: 0 };
  assert.equal(sizeOnEdge(still, 0.9, 0.01, 0, FULL), { size: 0, reason: 'no-edge' });
  const none = { metaLabel: new Uint8Array(0), grossR: new Float64Array(0) };
  const edge = fitEdge(line(2, null), none, none, 0);
  assert.equal(sizeOnEdge(edge, 0.9, 0.01, 0, FULL), { size: 0, reason: 'no-edge' });
});

interface Market {
  readonly edge: EdgeModel;
  readonly unit: number;
  readonly cost: number;
  readonly breakEven: number;
}

/** Any edge that begins to pay at a confidence inside (0, 1). */
const anyMarket: fc.Arbitrary<Market> = fc
  .record({
    breakEven: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
    slope: fc.double({ min: 0.05, max: 5, noNaN: true }),
    squareWon: fc.double({ min: 0.1, max: 5, noNaN: true }),
    squareLost: fc.double({ min: 0.1, max: 5, noNaN: true }),
    unit: fc.double({ min: 1e-4, max: 0.05, noNaN: true }),
    costR: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ breakEven, slope, squareWon, squareLost, unit, costR }) => ({
    edge: { intercept: costR - slope * breakEven, slope, squareWon, squareLost },
    unit,
    cost: costR * unit,
    breakEven,
  }));

const anyConfidence = fc.double({ min: 0, max: 1, noNaN: true });

test('the break-even confidence is where the size turns positive', () => {
  fc.assert(
    fc.property(anyMarket, ({ edge, unit, cost, breakEven }) => {
      const found = breakEvenConfidence(edge, unit, cost);
      assert.ok(Math.abs(found - breakEven) < 1e-12 / edge.slope, `${found}, planted at ${breakEven}`);
      assert.ok(sizeOnEdge(edge, found + 1e-9, unit, cost, FULL).size > 0);
      assert.equal(sizeOnEdge(edge, found - 1e-9, unit, cost, FULL), { size: 0, reason: 'below-break-even' });
    }),
    { seed: 41, numRuns: PROPERTY_RUNS },
  );
});

test('where no confidence at all does not pay, more confidence is never less size', () => {
  fc.assert(
    fc.property(anyMarket, anyConfidence, anyConfidence, ({ edge, unit, cost }, a, b) => {
      const less = sizeOnEdge(edge, Math.min(a, b), unit, cost, FULL).size;
      const more = sizeOnEdge(edge, Math.max(a, b), unit, cost, FULL).size;
      assert.ok(more >= less * (1 - ROUNDING), `${more} after ${less}`);
    }),
    { seed: 42, numRuns: PROPERTY_RUNS },
  );
});

test('a higher cost is never more size, and less size where there was some', () => {
  fc.assert(
    fc.property(anyMarket, anyConfidence, ({ edge, unit, cost }, confidence) => {
      const cheap = sizeOnEdge(edge, confidence, unit, cost, FULL).size;
      const dear = sizeOnEdge(edge, confidence, unit, cost + 0.01 * unit, FULL).size;
      if (cheap === 0) assert.is(dear, 0);
      else assert.ok(dear < cheap, `${dear} against ${cheap}`);
    }),
    { seed: 43, numRuns: PROPERTY_RUNS },
  );
});

test('a size is a number from 0 to the largest, and has a reason exactly when it is 0', () => {
  fc.assert(
    fc.property(anyMarket, anyConfidence, ({ edge, unit, cost }, confidence) => {
      const { size, reason } = sizeOnEdge(edge, confidence, unit, cost, { kappa: 0.25, maxFraction: 0.7 });
      assert.ok(size >= 0 && size <= 0.7, `${size}`);
      assert.is(reason === undefined, size > 0);
    }),
    { seed: 44, numRuns: PROPERTY_RUNS },
  );
});

test.run();
