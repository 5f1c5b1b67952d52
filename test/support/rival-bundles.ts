import type { FeatureSet } from '../../src/features/feature-set.js';
import { BundleScorer, GOLDEN_ROW_COUNT, type ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle, encodeBundle } from '../../src/model/bundle-codec.js';
import { flattenForest } from '../../src/model/forest.js';
import { randomModel, randomRows } from './forests.js';

const LAMBDAS = [1, 0.8, 0.55, 0.3, 0.9, 0.7, 0.45, 0.2];

/** The bundle calibrated in `count` ways: no two of them answer an evaluated signal alike. */
export function rivalsOf(bundle: ModelBundle, count: number): ModelBundle[] {
  return LAMBDAS.slice(0, count).map((lambda, k) =>
    resealed({ ...bundle, calibration: { baseMargin: bundle.calibration.baseMargin + k / 16, lambda } }),
  );
}

const NO_DECILES = new Float64Array(9).fill(Number.NaN);

/** The bundle with random trees over another set of features, the user's included. */
export function randomlyTreed(bundle: ModelBundle, features: FeatureSet, seed: number): ModelBundle {
  const { columnCount, names, fingerprint } = features;
  return resealed({
    ...bundle,
    featureNames: names,
    featureFingerprint: fingerprint,
    forest: flattenForest(randomModel(20, 4, columnCount, seed)),
    goldenRows: randomRows(GOLDEN_ROW_COUNT, columnCount, seed + 1),
    featureDeciles: names.map((name) => bundle.featureDeciles[bundle.featureNames.indexOf(name)] ?? NO_DECILES),
    importance: Object.fromEntries(names.map((name) => [name, 1 / columnCount])),
  });
}

function resealed(content: Omit<ModelBundle, 'modelId'>): ModelBundle {
  const goldenConfidences = new BundleScorer(content).confidences(content.goldenRows);
  return decodeBundle(encodeBundle({ ...content, goldenConfidences }));
}
