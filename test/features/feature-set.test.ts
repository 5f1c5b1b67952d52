import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { FEATURE_COUNT, FEATURE_NAMES } from '../../src/features/feature-row.js';
import { FeatureSet, toModelValue } from '../../src/features/feature-set.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const SEED = 20_240_105;
const FLOAT32_MAX = 3.4028234663852886e38;

function refused(code: string, field: string): (error: unknown) => boolean {
  return (error) => error instanceof OrchestratorError && error.code === code && error.field === field;
}

/** A row in which every built-in feature holds its own index plus one half. */
const ROW = Float64Array.from({ length: FEATURE_COUNT }, (_, k) => k + 0.5);

test("a set without choices holds every built-in feature in its order, and the user's features follow", () => {
  assert.equal(new FeatureSet().names, [...FEATURE_NAMES]);
  const set = new FeatureSet(FEATURE_NAMES, ['spread', 'queue']);
  assert.equal(set.names, [...FEATURE_NAMES, 'spread', 'queue']);
  assert.is(set.columnCount, FEATURE_COUNT + 2);
});

test('a row is encoded in the order chosen, from its offset, and writes nothing else', () => {
  const set = new FeatureSet(['side', 'volatility', 'toxicity'], ['spread', 'queue']);
  const out = new Float32Array(8).fill(-7);
  set.encodeRow(ROW, Float64Array.of(100, 200), out, 2);
  const value = (name: (typeof FEATURE_NAMES)[number]): number => FEATURE_NAMES.indexOf(name) + 0.5;
  assert.equal([...out], [-7, -7, value('side'), value('volatility'), value('toxicity'), 100, 200, -7]);
});

test('missing stays missing and infinities become the largest finite values', () => {
  assert.ok(Number.isNaN(toModelValue(Number.NaN)));
  assert.is(toModelValue(Number.POSITIVE_INFINITY), FLOAT32_MAX);
  assert.is(toModelValue(Number.NEGATIVE_INFINITY), -FLOAT32_MAX);
  assert.is(toModelValue(1e300), FLOAT32_MAX);
  assert.is(toModelValue(-1e300), -FLOAT32_MAX);
});

test('a real minus one is told apart from the mark for missing by one float', () => {
  const below = -1 - 2 ** -23;
  assert.is(toModelValue(-1), below);
  assert.is(toModelValue(-1 - 1e-12), below);
  assert.is(toModelValue(-1 + 1e-12), below);
  assert.is(toModelValue(-0.9999), Math.fround(-0.9999));
  assert.is(toModelValue(1), 1);
});

test('a model value is missing, or a finite float that is not minus one and lies beside the value', () => {
  const property = fc.property(fc.double(), (value) => {
    const encoded = toModelValue(value);
    if (Number.isNaN(value)) return assert.ok(Number.isNaN(encoded));
    assert.ok(Number.isFinite(encoded) && encoded !== -1 && Math.fround(encoded) === encoded);
    const clamped = Math.min(Math.max(value, -FLOAT32_MAX), FLOAT32_MAX);
    assert.ok(Math.abs(encoded - clamped) <= Math.max(Math.abs(clamped) * 2 ** -23, 2 ** -149));
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test("encoding a row applies the model's rules to built-in and user features alike", () => {
  const set = new FeatureSet(['volatility', 'side'], ['spread', 'queue']);
  const row = ROW.slice();
  row[FEATURE_NAMES.indexOf('volatility')] = Number.NaN;
  row[FEATURE_NAMES.indexOf('side')] = -1;
  const out = new Float32Array(4);
  set.encodeRow(row, Float64Array.of(-1, Number.POSITIVE_INFINITY), out, 0);
  assert.ok(Number.isNaN(out[0]!));
  assert.equal([...out.subarray(1)], [Math.fround(-1.0000001), Math.fround(-1.0000001), FLOAT32_MAX]);
});

test("a signal's values are read in the order declared, whatever else it carries", () => {
  const set = new FeatureSet(FEATURE_NAMES, ['spread', 'queue']);
  const out = new Float64Array(2);
  set.readUserFeatures({ queue: 2, other: 9, spread: 1 }, out);
  assert.equal([...out], [1, 2]);
  set.readUserFeatures({ queue: Number.NaN, spread: 3 }, out);
  assert.equal([...out], [3, Number.NaN]);
});

test('a declared feature that a signal does not carry as a number is refused by its name', () => {
  const set = new FeatureSet(FEATURE_NAMES, ['spread', 'toString']);
  const out = new Float64Array(2);
  assert.throws(() => set.readUserFeatures(undefined, out), refused('MISSING_FEATURE', 'features.spread'));
  assert.throws(() => set.readUserFeatures({}, out), refused('MISSING_FEATURE', 'features.spread'));
  assert.throws(() => set.readUserFeatures({ spread: 1 }, out), refused('MISSING_FEATURE', 'features.toString'));
  const inherited = Object.create({ spread: 1, toString: 2 }) as Record<string, number>;
  assert.throws(() => set.readUserFeatures(inherited, out), refused('MISSING_FEATURE', 'features.spread'));
  const text = JSON.parse('{"spread":"1","toString":2}') as Record<string, number>;
  assert.throws(() => set.readUserFeatures(text, out), refused('MISSING_FEATURE', 'features.spread'));
  new FeatureSet().readUserFeatures(undefined, out);
});

test('a name taken twice is refused', () => {
  assert.throws(() => new FeatureSet(['side', 'side']), refused('CONFIG_INVALID', 'featureNames'));
  assert.throws(() => new FeatureSet(['side'], ['x', 'x']), refused('CONFIG_INVALID', 'featureNames'));
  assert.throws(() => new FeatureSet(['side'], ['side']), refused('CONFIG_INVALID', 'featureNames'));
});

test('the fingerprint is the same for the same meaning and another for any other', () => {
  const parameters = { nBuckets: 50, sigmaWindow: 50 };
  const fingerprint = new FeatureSet(['side', 'volatility'], ['spread'], parameters).fingerprint;
  assert.match(fingerprint, /^[0-9a-f]{16}$/);
  assert.is(new FeatureSet(['side', 'volatility'], ['spread'], { ...parameters }).fingerprint, fingerprint);
  const others = [
    new FeatureSet(['volatility', 'side'], ['spread'], parameters),
    new FeatureSet(['side'], ['spread'], parameters),
    new FeatureSet(['side', 'volatility'], [], parameters),
    new FeatureSet(['side', 'volatility'], ['Spread'], parameters),
    new FeatureSet(['side', 'volatility'], ['spread'], { ...parameters, nBuckets: 51 }),
    new FeatureSet(['side', 'volatility'], ['spread']),
  ].map((set) => set.fingerprint);
  assert.is(new Set([...others, fingerprint]).size, others.length + 1);
});

test('a feature of the user cannot pass for the built-in one of its name', () => {
  let user: FeatureSet;
  try {
    user = new FeatureSet(['side'], ['volatility']);
  } catch (error) {
    assert.ok(refused('CONFIG_INVALID', 'featureNames')(error) || refused('CONFIG_INVALID', 'userFeatures')(error));
    return;
  }
  assert.is.not(user.fingerprint, new FeatureSet(['side', 'volatility']).fingerprint);
});

test.run();
