import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { IntegratedSizer, type SizingInput } from '../../src/sizing/integrated-sizer.js';
import { referenceVectors } from '../support/reference.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { assertRelative, type Maybe, vectors } from '../support/vectors.js';

const SEED = 20_240_110;
const TOLERANCE = 1e-14;

interface SizingReference {
  readonly integrated: readonly {
    readonly config: Readonly<Record<string, number>>;
    /** Signal, meta-confidence, regime weight, toxicity, final size, direction. */
    readonly rows: readonly (readonly [number, Maybe, Maybe, Maybe, number, number])[];
  }[];
  readonly integrated_factors_default_config: readonly {
    readonly in: readonly [number, Maybe, Maybe, Maybe];
    readonly final_size: number;
    readonly direction: number;
    readonly factors: Readonly<Record<string, number>>;
  }[];
  readonly special: readonly { readonly signal: string }[];
}

function inputOf(signal: number, metaConfidence: Maybe, regimeWeight: Maybe, toxicity: Maybe): SizingInput {
  return {
    signal,
    ...(metaConfidence === null ? {} : { metaConfidence }),
    ...(regimeWeight === null ? {} : { regimeWeight }),
    ...(toxicity === null ? {} : { toxicity }),
  };
}

function refused(field: string): (error: unknown) => boolean {
  return (error) => error instanceof OrchestratorError && error.code === 'OUT_OF_RANGE' && error.field === field;
}

test('every row of the reference has its size, and a regime weight or signal that cannot be is refused where the original took it', () => {
  const reference = referenceVectors<SizingReference>('sizing');
  if (reference === null) return;
  let refusedRows = 0;
  let sizedRows = 0;
  for (const { config, rows } of reference.integrated) {
    const sizer = new IntegratedSizer({
      exponent: config.giller_exponent!,
      fractionalKelly: config.fractional_kelly!,
      minSize: config.min_size!,
      maxSize: config.max_size!,
      defaultMetaConfidence: config.default_meta_confidence!,
      defaultRegimeWeight: config.default_regime_weight!,
      defaultToxicity: config.default_toxicity!,
    });
    for (const [signal, metaConfidence, regimeWeight, toxicity, finalSize, direction] of rows) {
      const input = inputOf(signal, metaConfidence, regimeWeight, toxicity);
      const what = JSON.stringify({ config, input });
      if (regimeWeight !== null && regimeWeight > 1) {
        assert.throws(() => sizer.calculate(input), refused('regimeWeight'), what);
        refusedRows++;
        continue;
      }
      const result = sizer.calculate(input);
      assertRelative(result.finalSize, finalSize, TOLERANCE, what);
      assert.is(result.direction, finalSize === 0 ? 0 : direction, what);
      sizedRows++;
    }
  }
  assert.ok(refusedRows > 500 && sizedRows > 2500, `${refusedRows} refused, ${sizedRows} sized`);
  for (const example of reference.integrated_factors_default_config) {
    const { finalSize, direction, factors } = new IntegratedSizer().calculate(inputOf(...example.in));
    assertRelative(finalSize, example.final_size, TOLERANCE, JSON.stringify(example.in));
    assert.is(direction, example.direction);
    const { signal, metaConfidence, regimeWeight, toxicityPenalty, kellyFraction } = factors;
    const wanted = example.factors;
    assertRelative(signal!, wanted.signal!, TOLERANCE, 'signal factor');
    assertRelative(metaConfidence!, wanted.meta_confidence!, TOLERANCE, 'meta-confidence factor');
    assertRelative(regimeWeight!, wanted.regime_weight!, TOLERANCE, 'regime factor');
    assertRelative(toxicityPenalty!, wanted.toxicity_penalty!, TOLERANCE, 'toxicity factor');
    assertRelative(kellyFraction!, wanted.kelly_fraction!, TOLERANCE, 'Kelly factor');
  }
  for (const { signal } of reference.special) {
    const input = { signal: Number(signal), metaConfidence: 0.5, regimeWeight: 1, toxicity: 0 };
    assert.throws(() => new IntegratedSizer().calculate(input), refused('signal'), signal);
  }
});

test('sizes equal values worked to 60 digits', () => {
  for (const row of vectors.sizing.rows) {
    const [exponent, fractionalKelly, minSize, maxSize, signal, metaConfidence, regimeWeight, toxicity, expected] = row;
    const sizer = new IntegratedSizer({
      exponent: exponent!,
      fractionalKelly: fractionalKelly!,
      minSize: minSize!,
      maxSize: maxSize!,
    });
    const result = sizer.calculate({
      signal: signal!,
      metaConfidence: metaConfidence!,
      regimeWeight: regimeWeight!,
      toxicity: toxicity!,
    });
    assertRelative(result.finalSize, expected!, TOLERANCE, JSON.stringify(row));
    assert.is(result.direction, Math.sign(expected!), JSON.stringify(row));
  }
});

test('what is left out takes the documented defaults: half confidence, 0.8 of regime, no toxicity, half Kelly', () => {
  const { finalSize, factors } = new IntegratedSizer().calculate({ signal: 1 });
  assertRelative(finalSize, 0.2, TOLERANCE, 'size');
  assert.equal(factors, {
    signal: 1,
    metaConfidence: 0.5,
    regimeWeight: 0.8,
    toxicityPenalty: 1,
    kellyFraction: 0.5,
  });
});

test('defaults of their own are used when stated', () => {
  const sizer = new IntegratedSizer({ defaultMetaConfidence: 1, defaultRegimeWeight: 0.5, defaultToxicity: 0.5 });
  assertRelative(sizer.calculate({ signal: -1 }).finalSize, -0.125, TOLERANCE, 'size');
});

test('a flat signal has size 0, no direction and no factors', () => {
  for (const signal of [0, -0]) {
    const result = new IntegratedSizer().calculate({ signal });
    assert.ok(Object.is(result.finalSize, 0));
    assert.is(result.direction, 0);
    assert.ok(Object.values(result.factors).every((factor) => factor === 0));
  }
});

test('a product below the floor is 0 without a direction, one on the floor stands, one above the cap is cut to it', () => {
  const sizer = new IntegratedSizer({ exponent: 1, fractionalKelly: 1, minSize: 0.25, maxSize: 0.5 });
  const sizeOf = (signal: number): readonly [number, number] => {
    const { finalSize, direction } = sizer.calculate({ signal, metaConfidence: 1, regimeWeight: 1, toxicity: 0 });
    return [finalSize, direction];
  };
  assert.equal(sizeOf(0.2499), [0, 0]);
  assert.equal(sizeOf(-0.2499), [0, 0]);
  assert.equal(sizeOf(0.25), [0.25, 1]);
  assert.equal(sizeOf(-0.375), [-0.375, -1]);
  assert.equal(sizeOf(7), [0.5, 1]);
  assert.equal(sizeOf(-7), [-0.5, -1]);
});

test('complete toxicity, no confidence or a closed regime is size 0 without a direction even when there is no floor', () => {
  const sizer = new IntegratedSizer({ minSize: 0 });
  for (const input of [{ toxicity: 1 }, { metaConfidence: 0 }, { regimeWeight: 0 }]) {
    const result = sizer.calculate({ signal: -1, ...input });
    assert.ok(Object.is(result.finalSize, 0), JSON.stringify(input));
    assert.is(result.direction, 0);
  }
});

test('confidence, regime weight or toxicity outside 0 to 1 and a signal that is not finite are refused by name', () => {
  const sizer = new IntegratedSizer();
  for (const field of ['metaConfidence', 'regimeWeight', 'toxicity']) {
    for (const value of [-1e-9, 1 + 1e-9, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => sizer.calculate({ signal: 1, [field]: value }), refused(field), `${field} ${value}`);
      assert.throws(() => sizer.calculate({ signal: 0, [field]: value }), refused(field), `${field} ${value}, flat`);
    }
    for (const value of [0, 1]) sizer.calculate({ signal: 1, [field]: value });
  }
  for (const signal of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    assert.throws(() => sizer.calculate({ signal }), refused('signal'), `${signal}`);
});

test('an option that is negative, not finite or no fraction is refused by name', () => {
  const names = ['exponent', 'fractionalKelly', 'minSize', 'maxSize'];
  const defaults = ['defaultMetaConfidence', 'defaultRegimeWeight', 'defaultToxicity'];
  for (const name of [...names, ...defaults]) {
    for (const value of [-0.1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => new IntegratedSizer({ [name]: value }), refused(name), `${name} ${value}`);
  }
  for (const name of defaults) assert.throws(() => new IntegratedSizer({ [name]: 1.1 }), refused(name), name);
});

const share = fc.double({ min: 0, max: 1, noNaN: true });
const options = fc.record({
  exponent: fc.double({ min: 0, max: 3, noNaN: true }),
  fractionalKelly: fc.double({ min: 0, max: 2, noNaN: true }),
  minSize: fc.double({ min: 0, max: 0.5, noNaN: true }),
  maxSize: fc.double({ min: 0.5, max: 2, noNaN: true }),
});

test('a size is 0 or between floor and cap on the side of the signal, for any finite signal', () => {
  const signal = fc.double({ noNaN: true, noDefaultInfinity: true });
  const property = fc.property(
    options,
    signal,
    share,
    share,
    share,
    (limits, value, metaConfidence, regimeWeight, toxicity) => {
      const sizer = new IntegratedSizer(limits);
      const { finalSize, direction } = sizer.calculate({ signal: value, metaConfidence, regimeWeight, toxicity });
      assert.is(direction, Math.sign(finalSize) + 0);
      if (direction === 0) return;
      assert.is(direction, Math.sign(value));
      const size = Math.abs(finalSize);
      assert.ok(size >= limits.minSize && size <= limits.maxSize, `${finalSize}`);
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('a signal too large for its power is capped, and has no size without confidence', () => {
  const sizer = new IntegratedSizer({ exponent: 2 });
  assert.is(sizer.calculate({ signal: 1e200, metaConfidence: 0.5 }).finalSize, 1);
  const none = sizer.calculate({ signal: 1e200, metaConfidence: 0 });
  assert.is(none.finalSize, 0);
  assert.is(none.direction, 0);
});

test('a long and a short of the same strength have opposite sizes', () => {
  const signal = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
  const property = fc.property(
    options,
    signal,
    share,
    share,
    share,
    (limits, value, metaConfidence, regimeWeight, toxicity) => {
      const sizer = new IntegratedSizer(limits);
      const context = { metaConfidence, regimeWeight, toxicity };
      const long = sizer.calculate({ signal: value, ...context }).finalSize;
      const short = sizer.calculate({ signal: -value, ...context }).finalSize;
      assert.ok(long === -short && long >= 0, `${long}, ${short}`);
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('more confidence never makes a position smaller, more toxicity never larger', () => {
  const property = fc.property(options, share, share, share, share, (limits, one, other, regimeWeight, third) => {
    const sizer = new IntegratedSizer(limits);
    const [less, more] = one < other ? [one, other] : [other, one];
    const sizeAt = (metaConfidence: number, toxicity: number): number =>
      sizer.calculate({ signal: 0.7, metaConfidence, regimeWeight, toxicity }).finalSize;
    assert.ok(sizeAt(less, third) <= sizeAt(more, third));
    assert.ok(sizeAt(third, less) >= sizeAt(third, more));
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test.run();
