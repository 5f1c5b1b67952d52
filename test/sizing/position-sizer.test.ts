import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type EdgeModel, NO_EDGE, sizeOnEdge } from '../../src/sizing/edge.js';
import { IntegratedSizer } from '../../src/sizing/integrated-sizer.js';
import { PositionSizer, type PositionSizing, type SizingFactors } from '../../src/sizing/position-sizer.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const EDGE: EdgeModel = { intercept: -1, slope: 3, squareWon: 4, squareLost: 1 };
const SIZING: PositionSizing = { mode: 'edge', kappa: 0.05, maxFraction: 0.5, minSize: 0.05, fractionalKelly: 0.7 };
const FACTORS: SizingFactors = {
  side: 1,
  confidence: 0.45,
  regimeWeight: 0.8,
  toxicity: 0.3,
  barrierUnit: 0.01,
  cost: 0.002,
  model: { edge: EDGE, evidence: 'none' },
};

const edgeSizer = new PositionSizer(SIZING);
const linearSizer = new PositionSizer({ ...SIZING, mode: 'linear' });
const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const side = fc.constantFrom<-1 | 1>(-1, 1);

test('linear sizes are those of the integrated sizer, with its options', () => {
  const integrated = new IntegratedSizer(SIZING);
  let zeros = 0;
  fc.assert(
    fc.property(side, fraction, fraction, fraction, (signal, metaConfidence, regimeWeight, toxicity) => {
      const { finalSize } = integrated.calculate({ signal, metaConfidence, regimeWeight, toxicity });
      const factors = { ...FACTORS, side: signal, confidence: metaConfidence, regimeWeight, toxicity, model: null };
      const { size, reason } = linearSizer.size(factors);
      assert.ok(Object.is(size, finalSize), `${size} is not ${finalSize}`);
      assert.is(reason, finalSize === 0 ? 'below-minimum-size' : undefined);
      if (finalSize === 0) zeros++;
    }),
    { seed: 45, numRuns: PROPERTY_RUNS },
  );
  assert.ok(zeros > 0 && zeros < PROPERTY_RUNS, 'both kinds came up');
});

test('a factor outside [0, 1] is refused by the linear rule', async () => {
  assert.is((await refusalOf(() => linearSizer.size({ ...FACTORS, toxicity: 1.1 }))).code, 'OUT_OF_RANGE');
});

test('sizes on the edge are those of the edge on the side of the signal', () => {
  fc.assert(
    fc.property(side, fraction, fc.double({ min: 0, max: 0.01, noNaN: true }), (signal, confidence, cost) => {
      const { size, reason } = edgeSizer.size({ ...FACTORS, side: signal, confidence, cost });
      const expected = sizeOnEdge(EDGE, confidence, 0.01, cost, SIZING);
      assert.is(Math.abs(size), expected.size);
      assert.is(reason, expected.reason);
      if (size !== 0) assert.is(Math.sign(size), signal);
    }),
    { seed: 46, numRuns: PROPERTY_RUNS },
  );
});

test('regime and toxicity do not touch a size on the edge', () => {
  const expected = edgeSizer.size(FACTORS);
  assert.ok(expected.size > 0);
  fc.assert(
    fc.property(fraction, fraction, (regimeWeight, toxicity) => {
      assert.equal(edgeSizer.size({ ...FACTORS, regimeWeight, toxicity }), expected);
    }),
    { seed: 47, numRuns: PROPERTY_RUNS },
  );
});

test('provisional evidence is worth half, of the largest size too', () => {
  for (const confidence of [0.45, 0.9]) {
    const model = (evidence: 'none' | 'provisional' | 'forced') => ({ edge: EDGE, evidence });
    const [whole, half, forced] = (['none', 'provisional', 'forced'] as const).map(
      (evidence) => edgeSizer.size({ ...FACTORS, confidence, model: model(evidence) }).size,
    );
    assert.ok(whole! > 0);
    assert.is(half, whole! / 2);
    assert.is(forced, whole);
  }
  assert.is(edgeSizer.size({ ...FACTORS, confidence: 0.9 }).size, 0.5, 'the second case was capped');
});

test('before any model there is no size on the edge', () => {
  assert.equal(edgeSizer.size({ ...FACTORS, model: null }), { size: 0, reason: 'no-model' });
});

test('without a barrier there is no size on the edge', () => {
  for (const barrierUnit of [0, Number.NaN]) {
    assert.equal(edgeSizer.size({ ...FACTORS, barrierUnit }), { size: 0, reason: 'no-volatility' });
  }
});

test('a model without an edge, or an edge that does not pay, has no size and says why', () => {
  const edgeless = { edge: NO_EDGE, evidence: 'none' } as const;
  assert.equal(edgeSizer.size({ ...FACTORS, model: edgeless }), { size: 0, reason: 'no-edge' });
  assert.equal(edgeSizer.size({ ...FACTORS, confidence: 0.1 }), { size: 0, reason: 'below-break-even' });
});

test('no size of a short is ever −0', () => {
  const short = { ...FACTORS, side: -1 } as const;
  const zeros = [
    edgeSizer.size({ ...short, model: null }),
    edgeSizer.size({ ...short, barrierUnit: 0 }),
    edgeSizer.size({ ...short, confidence: 0 }),
    edgeSizer.size({ ...short, model: { edge: NO_EDGE, evidence: 'provisional' } }),
    new PositionSizer({ ...SIZING, maxFraction: 0 }).size(short),
    new PositionSizer({ ...SIZING, kappa: 0 }).size(short),
    linearSizer.size({ ...short, confidence: 0 }),
    linearSizer.size({ ...short, toxicity: 1 }),
  ];
  for (const [k, { size }] of zeros.entries()) assert.ok(Object.is(size, 0), `case ${k}: ${size}`);
});

test.run();
