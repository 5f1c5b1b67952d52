import { systemClock } from '../../src/clock.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import type { BarSeries } from '../../src/market/bar.js';
import { type BundleHeader, BundleScorer, type ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle, encodeBundle } from '../../src/model/bundle-codec.js';
import { marginOf } from '../../src/model/log-odds.js';
import { simulateMarket } from '../../src/simulation/simulated-market.js';
import { boost } from '../../src/training/fit.js';
import { fitRegime, windowOf, withRegime } from '../../src/training/regime-column.js';
import { trainModel } from '../../src/training/train-model.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import { buildTrainingSet } from '../../src/training/training-set.js';

/** The instrument every fixture knows. */
export const FIXTURE_INSTRUMENT = 'X';
/** VPIN that is known from the first bars a signal is answered on. */
export const FAST_VPIN = { barsPerBucket: 5, volumeWindow: 50, nBuckets: 10, sigmaWindow: 20 };

let cached: Promise<ModelBundle> | undefined;

/** A bundle with real trees for the default features, fitted to a simulated market without asking whether it deserves its place: its answers vary, which is all tests need. */
export function trainedBundle(): Promise<ModelBundle> {
  cached ??= bundleFor({});
  return cached;
}

let knowing: Promise<ModelBundle> | undefined;

/** {@link trainedBundle} for a configuration with {@link FAST_VPIN}. */
export function fastTrainedBundle(): Promise<ModelBundle> {
  knowing ??= bundleFor({ vpin: FAST_VPIN });
  return knowing;
}

/** Bars as the fixtures are trained on, another stretch of the market for another seed: regimes come and go in them. */
export function fixtureBars(count: number, seed: number): BarSeries {
  return simulateMarket({ bars: count, edge: 1, seed });
}

/** The same bundle saying something else of itself. */
export function relabelled(bundle: ModelBundle, header: Partial<Omit<BundleHeader, 'calibration'>>): ModelBundle {
  return decodeBundle(encodeBundle({ ...bundle, ...header }));
}

/** Regimes and quantiles as trained; trees of all rows, trusted entirely. */
export async function bundleFor(input: OrchestratorConfigInput): Promise<ModelBundle> {
  const config = OrchestratorConfig.parse({
    ...input,
    retrain: { labelsPerFalseAlarm: 200, ...input.retrain },
    training: { rounds: 20, eta: 0.2, minChildWeight: 100, ...input.training },
  });
  const plan = trainingPlanOf(config);
  // The user's features never change in training, so no tree asks for them.
  const userColumns = Object.fromEntries(config.userFeatures.map((name) => [name, new Float64Array(2000)]));
  const series = [
    {
      instrumentId: FIXTURE_INSTRUMENT,
      bars: fixtureBars(2000, 77),
      primarySignal: 'momentum' as const,
      features: userColumns,
    },
  ];
  const hooks = { clock: systemClock, onProgress: () => undefined, isCancelled: () => false };
  // One short fold, for the metrics and the quantiles alone.
  const short = { ...plan, rounds: 1, trainBars: 1500, testBars: 450 };
  const trained = await trainModel(
    {
      series,
      plan: short,
      createdAtNs: 1n,
      attempt: 1,
      incumbent: null,
      alpha: null,
      testedUntilNs: null,
      force: false,
    },
    hooks,
  );
  const base = decodeBundle(trained.bundle!);
  const features = featureSetOf(plan);
  const untold = buildTrainingSet(series, features, plan.labels, plan.vpin);
  const rows = Int32Array.from(untold.metaLabel.keys());
  const regime = fitRegime(untold, windowOf(untold, rows), plan.seed);
  const set = withRegime(untold, features, regime, rows);
  const fit = await boost(set, rows, plan.rounds, plan, {
    progress: () => undefined,
    timed: async (call) => call(),
  });
  const { forest, rounds } = fit!;
  const content = {
    ...base,
    kind: 'trees' as const,
    evidence: 'forced' as const,
    edge: { intercept: -0.5, slope: 3, squareWon: 3, squareLost: 1 },
    regime,
    rounds,
    forest,
    calibration: { baseMargin: marginOf(base.baseRate), lambda: 1 },
  };
  const goldenConfidences = new BundleScorer(content).confidences(base.goldenRows);
  return decodeBundle(encodeBundle({ ...content, goldenConfidences }));
}
