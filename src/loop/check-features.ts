import { OrchestratorError } from '../errors.js';
import type { FeatureSet } from '../features/feature-set.js';
import type { ModelBundle } from '../model/bundle.js';

/** Throws MODEL_FEATURES_DIFFER for a bundle that was trained on other features than these. */
export function checkFeatures(bundle: ModelBundle, features: FeatureSet): void {
  if (bundle.featureFingerprint === features.fingerprint) return;
  const message = 'the model was trained on other features than the configuration asks for';
  throw new OrchestratorError('MODEL_FEATURES_DIFFER', message, { field: 'featureNames' });
}
