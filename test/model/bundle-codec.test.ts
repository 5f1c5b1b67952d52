import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { type BundleHeader, BundleScorer, GOLDEN_ROW_COUNT, type ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle, encodeBundle, MODEL_BYTES_MAX } from '../../src/model/bundle-codec.js';
import { flattenForest } from '../../src/model/forest.js';
import { bundleContent, randomModel, randomRows } from '../support/forests.js';
import { seededRandom } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';
import { BIT_FLIPS } from '../support/sizes.js';

const CHECKSUM_BYTES = 32;

/** The bytes with a checksum that fits them again. */
function resealed(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const body = copy.subarray(0, copy.length - CHECKSUM_BYTES);
  copy.set(createHash('sha256').update(body).digest(), body.length);
  return copy;
}

function bitsOf(array: Float32Array | Float64Array | Uint16Array): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex');
}

/** A bundle as plain data, its arrays bit for bit. */
function described({ modelId: _id, forest, goldenRows, goldenConfidences, ...rest }: ModelBundle): unknown {
  const { feature, threshold, leaf, ...shape } = forest;
  const arrays = [feature, threshold, leaf, goldenRows, goldenConfidences].map(bitsOf);
  return { ...rest, shape, arrays };
}

test('a bundle is read back as it was written, to the last bit', () => {
  const content = bundleContent();
  const bundle = decodeBundle(encodeBundle(content));
  assert.equal(described(bundle), described({ ...content, modelId: '' }));
  assert.is(bundle.createdAtNs, 1_700_000_000_123_456_789n);
  assert.ok(Number.isNaN(bundle.metrics.auc), 'an undefined metric stays undefined');
  assert.ok(
    bundle.goldenRows.some((value) => Number.isNaN(value)),
    'missing values stay missing',
  );
});

test('a bundle read back scores as the forest it was made of', () => {
  const content = bundleContent();
  const rows = randomRows(200, 3, 31);
  const read = new BundleScorer(decodeBundle(encodeBundle(content)));
  assert.is(bitsOf(read.confidences(rows)), bitsOf(new BundleScorer(content).confidences(rows)));
});

test('a bundle without trees and one of full depth are read back too', () => {
  for (const [treeCount, depth] of [
    [0, 1],
    [5, 8],
  ] as const) {
    const forest = flattenForest(randomModel(treeCount, depth, 3, 32));
    const content = bundleContent();
    const goldenConfidences = new BundleScorer({ ...content, forest }).confidences(content.goldenRows);
    const bundle = decodeBundle(encodeBundle({ ...content, forest, goldenConfidences }));
    assert.is(bundle.forest.treeCount, treeCount);
    assert.is(bitsOf(bundle.forest.leaf), bitsOf(forest.leaf));
  }
});

test('a bundle is read the same from the middle of a larger buffer', () => {
  const bytes = encodeBundle(bundleContent());
  for (const larger of [new Uint8Array(bytes.length + 20), Buffer.alloc(bytes.length + 20)]) {
    larger.set(bytes, 7);
    const bundle = decodeBundle(larger.subarray(7, 7 + bytes.length));
    assert.equal(described(bundle), described(decodeBundle(bytes)), larger.constructor.name);
  }
});

test('what was decoded does not change with the bytes it came from', () => {
  const bytes = encodeBundle(bundleContent());
  const bundle = decodeBundle(bytes);
  const before = described(bundle);
  bytes.fill(0);
  assert.equal(described(bundle), before);
});

test('equal content has an equal id and any other content another one', () => {
  const idOf = (content: Omit<ModelBundle, 'modelId'>): string => decodeBundle(encodeBundle(content)).modelId;
  const id = idOf(bundleContent());
  assert.match(id, /^[0-9a-f]{16}$/);
  assert.is(idOf(bundleContent()), id);
  assert.is.not(idOf(bundleContent({}, 2)), id);
  assert.is.not(idOf(bundleContent({ seed: 43 })), id);
  assert.is.not(idOf(bundleContent({ trainingEndNs: 1_600_000_600_000_000_002n })), id);
});

test('when a bundle was made is in its file and under its checksum, and no part of its id', async () => {
  const [one, other] = [5n, -(2n ** 63n)].map((createdAtNs) => encodeBundle(bundleContent({ createdAtNs })));
  const [first, second] = [decodeBundle(one!), decodeBundle(other!)];
  assert.is(first.modelId, second.modelId);
  assert.equal([first.createdAtNs, second.createdAtNs], [5n, -(2n ** 63n)]);
  const differing = one!.filter((byte, at) => byte !== other![at]).length;
  assert.ok(differing > 0 && differing <= 8 + CHECKSUM_BYTES, `${differing} bytes differ`);
  const stamped = one!.slice();
  new DataView(stamped.buffer).setBigInt64(16, 6n, true);
  assert.is((await refusalOf(() => decodeBundle(stamped))).code, 'MODEL_CORRUPT');
});

test('a file of format 4 is read with the id it always had, and written again to the byte', () => {
  const old = encodeBundle({ ...bundleContent(), formatVersion: 4 });
  const bundle = decodeBundle(old);
  // What the version that wrote format 4 made of this content.
  assert.equal([bundle.modelId, old.length], ['e54baf30d299a658', 3920]);
  assert.is(bundle.createdAtNs, bundleContent().createdAtNs);
  assert.is(Buffer.compare(encodeBundle(bundle), old), 0);
  const later = encodeBundle({ ...bundle, createdAtNs: 5n });
  assert.is.not(decodeBundle(later).modelId, bundle.modelId);
});

test('a file of format 5 under the number 4 is refused', async () => {
  const renumbered = encodeBundle(bundleContent());
  new DataView(renumbered.buffer).setUint32(8, 4, true);
  assert.is((await refusalOf(() => decodeBundle(resealed(renumbered)))).code, 'MODEL_CORRUPT');
});

test('a bundle cut off at any byte is refused', async () => {
  const bytes = encodeBundle(bundleContent());
  for (let length = 0; length < bytes.length; length++) {
    const { code } = await refusalOf(() => decodeBundle(bytes.subarray(0, length)));
    assert.is(code, 'MODEL_CORRUPT', `cut off at byte ${length}`);
  }
});

test('a bundle cut off at any byte and sealed again is refused', async () => {
  const bytes = encodeBundle(bundleContent());
  for (let length = CHECKSUM_BYTES; length < bytes.length; length++) {
    const { code } = await refusalOf(() => decodeBundle(resealed(bytes.subarray(0, length))));
    assert.is(code, 'MODEL_CORRUPT', `cut off at byte ${length}`);
  }
});

test('a bundle with bytes too many is refused', async () => {
  const bytes = encodeBundle(bundleContent());
  const longer = new Uint8Array(bytes.length + 8);
  longer.set(bytes);
  assert.is((await refusalOf(() => decodeBundle(longer))).code, 'MODEL_CORRUPT');
  assert.is((await refusalOf(() => decodeBundle(resealed(longer)))).code, 'MODEL_CORRUPT');
});

test('any flipped bit is refused as corrupt', async () => {
  const seed = 33;
  const bytes = encodeBundle(bundleContent());
  const random = seededRandom(seed);
  for (let k = 0; k < BIT_FLIPS; k++) {
    const damaged = bytes.slice();
    const at = Math.floor(random() * damaged.length);
    const bit = Math.floor(random() * 8);
    damaged[at] = damaged[at]! ^ (1 << bit);
    const { code } = await refusalOf(() => decodeBundle(damaged));
    assert.is(code, 'MODEL_CORRUPT', `bit ${bit} of byte ${at}, seed ${seed}`);
  }
});

test('a flipped bit under a checksum that fits is refused with a code, or the bundle still proves its golden rows', () => {
  const seed = 34;
  const bytes = encodeBundle(bundleContent());
  const random = seededRandom(seed);
  for (let k = 0; k < BIT_FLIPS; k++) {
    const damaged = bytes.slice();
    const at = Math.floor(random() * (damaged.length - CHECKSUM_BYTES));
    damaged[at] = damaged[at]! ^ (1 << Math.floor(random() * 8));
    try {
      const bundle = decodeBundle(resealed(damaged));
      const scored = new BundleScorer(bundle).confidences(bundle.goldenRows);
      assert.is(bitsOf(scored), bitsOf(bundle.goldenConfidences), `byte ${at}, seed ${seed}`);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      assert.ok(['MODEL_CORRUPT', 'MODEL_VERSION_UNKNOWN'].includes(error.code), `${error.code}, byte ${at}`);
    }
  }
});

test('a golden row that scores one bit differently is refused although the checksum fits', async () => {
  const content = bundleContent();
  for (const row of [0, GOLDEN_ROW_COUNT - 1]) {
    const goldenConfidences = content.goldenConfidences.slice();
    const bits = new BigInt64Array(goldenConfidences.buffer);
    bits[row] = bits[row]! + 1n;
    const { code, message } = await refusalOf(() => decodeBundle(encodeBundle({ ...content, goldenConfidences })));
    assert.is(code, 'MODEL_CORRUPT');
    assert.match(message, 'golden rows');
  }
});

test('a format version this build does not know is refused as such', async () => {
  const bytes = encodeBundle(bundleContent());
  for (const version of [0, 3, 6, 0xffffffff]) {
    const other = bytes.slice();
    new DataView(other.buffer).setUint32(8, version, true);
    const { code, message } = await refusalOf(() => decodeBundle(resealed(other)));
    assert.is(code, 'MODEL_VERSION_UNKNOWN');
    assert.match(message, String(version));
  }
});

test('regimes, toxicity, edge, evidence and calibration are read back as they were written', () => {
  const content = bundleContent();
  const bundle = decodeBundle(encodeBundle(content));
  for (const name of ['calibration', 'evidence', 'edge', 'regime', 'toxicityQuantiles'] as const) {
    assert.equal(bundle[name], content[name], name);
  }
  const without = decodeBundle(encodeBundle(bundleContent({ regime: null, toxicityQuantiles: {}, evidence: 'none' })));
  assert.equal([without.regime, without.toxicityQuantiles, without.evidence], [null, {}, 'none']);
});

test('the trust in its trees is part of what a bundle scores and of its id', () => {
  const content = bundleContent();
  const rows = randomRows(200, 3, 36);
  const raw = new BundleScorer({ ...content, calibration: { baseMargin: 5, lambda: 1 } }).confidences(rows);
  const read = decodeBundle(encodeBundle(content));
  const { baseMargin, lambda } = content.calibration;
  for (const [k, confidence] of new BundleScorer(read).confidences(rows).entries()) {
    const margin = Math.log(raw[k]! / (1 - raw[k]!));
    const wanted = 1 / (1 + Math.exp(-(baseMargin + lambda * (margin - baseMargin))));
    assert.ok(Math.abs(confidence - wanted) < 1e-12, `row ${k}: ${confidence}, expected ${wanted}`);
  }
  const trustless = decodeBundle(encodeBundle(bundleContent({ calibration: { baseMargin, lambda: 0 } })));
  const base = 1 / (1 + Math.exp(-baseMargin));
  assert.equal(new Set(new BundleScorer(trustless).confidences(rows)), new Set([base]));
  assert.is.not(trustless.modelId, read.modelId);
});

test('golden confidences of another trust than the bundle states are refused', async () => {
  const content = bundleContent();
  const calibration = { ...content.calibration, lambda: 0.5 };
  const { code, message } = await refusalOf(() => decodeBundle(encodeBundle({ ...content, calibration })));
  assert.is(code, 'MODEL_CORRUPT');
  assert.match(message, 'golden rows');
});

test('a header that no training writes is refused as corrupt', async () => {
  const { regime, toxicityQuantiles } = bundleContent();
  const quantiles = toxicityQuantiles['BTC-PERP']!;
  const cases: readonly (readonly [string, Partial<BundleHeader>])[] = [
    ['trust above the whole', { calibration: { baseMargin: 0, lambda: 1.01 } }],
    ['a base margin that is no number', { calibration: { baseMargin: Number.NaN, lambda: 1 } }],
    ['an endless slope', { edge: { intercept: 0, slope: Number.POSITIVE_INFINITY, squareWon: 1, squareLost: 1 } }],
    ['a quantile too few', { toxicityQuantiles: { 'BTC-PERP': quantiles.slice(1) } }],
    ['a quantile that is no number', { toxicityQuantiles: { 'BTC-PERP': quantiles.with(0, Number.NaN) } }],
    ['a state without a weight', { regime: { ...regime!, weights: regime!.weights.slice(1) } }],
    ['a transition too many', { regime: { ...regime!, transition: [...regime!.transition, 0.5] } }],
    ['a state without variance', { regime: { ...regime!, variance: regime!.variance.with(0, 0) } }],
    ['more states than are named', { regime: { ...regime!, stateCount: 3 } }],
    ['a weight above 1', { regime: { ...regime!, weights: [0.5, 1.5] } }],
  ];
  for (const [what, overrides] of cases) {
    const { code } = await refusalOf(() => decodeBundle(encodeBundle(bundleContent(overrides))));
    assert.is(code, 'MODEL_CORRUPT', what);
  }
});

test('a file that is something else is refused as corrupt', async () => {
  const text = new TextEncoder().encode('time,open,high,low,close\n'.repeat(20));
  for (const bytes of [text, resealed(text)]) {
    assert.is((await refusalOf(() => decodeBundle(bytes))).code, 'MODEL_CORRUPT');
  }
});

test('a split on a column the bundle does not have is refused, whatever its golden rows score', async () => {
  const content = bundleContent();
  const feature = content.forest.feature.slice();
  feature[1] = 2 * content.forest.featureCount;
  const forest = { ...content.forest, feature };
  const goldenConfidences = new BundleScorer({ ...content, forest }).confidences(content.goldenRows);
  const { code } = await refusalOf(() => decodeBundle(encodeBundle({ ...content, forest, goldenConfidences })));
  assert.is(code, 'MODEL_CORRUPT');
});

test('a bundle whose feature names are not as many as its columns is refused', async () => {
  const { code } = await refusalOf(() => decodeBundle(encodeBundle(bundleContent({ featureNames: ['momentum'] }))));
  assert.is(code, 'MODEL_CORRUPT');
});

test('a bundle too large for its slot is neither written nor read', async () => {
  const content = bundleContent();
  const forest = flattenForest(randomModel(1664, 8, 3, 35));
  const written = await refusalOf(() => encodeBundle({ ...content, forest }));
  assert.equal([written.code, written.field], ['MODEL_TOO_LARGE', 'model']);
  const read = await refusalOf(() => decodeBundle(new Uint8Array(MODEL_BYTES_MAX + 1)));
  assert.equal([read.code, read.field], ['MODEL_TOO_LARGE', 'model']);
  assert.is((await refusalOf(() => decodeBundle(new Uint8Array(MODEL_BYTES_MAX)))).code, 'MODEL_CORRUPT');
});

test.run();
