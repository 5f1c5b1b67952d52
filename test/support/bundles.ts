import { systemClock } from '../../src/clock.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { BundleScorer, type ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle, encodeBundle } from '../../src/model/bundle-codec.js';
import { fitTrees } from '../../src/training/fit.js';
import { trainModel } from '../../src/training/train-model.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import { buildTrainingSet } from '../../src/training/training-set.js';
import { randomBars } from './market.js';

let cached: Promise<ModelBundle> | undefined;

/** A bundle with real trees for the default features, fitted to noise without asking whether it deserves its place: its answers vary, which is all tests need. */
export function trainedBundle(): Promise<ModelBundle> {
  cached ??= bundleFor({});
  return cached;
}

export async function bundleFor(input: OrchestratorConfigInput, createdAtNs = 1n): Promise<ModelBundle> {
  const config = OrchestratorConfig.parse({
    ...input,
    training: { rounds: 20, earlyStoppingRounds: null, minChildWeight: 1, ...input.training },
  });
  const plan = trainingPlanOf(config);
  const series = [{ instrumentId: 'fixture', bars: randomBars(2000, 77), primarySignal: 'momentum' as const }];
  const hooks = { clock: systemClock, onProgress: () => undefined, isCancelled: () => false };
  const trained = await trainModel({ series, plan, createdAtNs, incumbent: null }, hooks);
  const base = decodeBundle(trained.bundle!);
  const set = buildTrainingSet(series, featureSetOf(plan), plan.labels, plan.vpin);
  const rows = Int32Array.from(set.metaLabel.keys());
  const fit = await fitTrees(set, rows, plan, { progress: () => undefined, timed: async (call) => call() });
  const goldenConfidences = new BundleScorer(fit).confidences(base.goldenRows);
  return decodeBundle(
    encodeBundle({ ...base, kind: 'trees', rounds: fit.rounds, forest: fit.forest, goldenConfidences }),
  );
}
