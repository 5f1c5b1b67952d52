import {
  BUNDLE_FORMAT,
  type BundleHeader,
  BundleScorer,
  GOLDEN_ROW_COUNT,
  type ModelBundle,
} from '../../src/model/bundle.js';
import { flattenForest } from '../../src/model/forest.js';
import type { ModelFile, TreeNodes } from '../../src/model/model-file.js';
import { TOXICITY_QUANTILES } from '../../src/orderflow/toxicity.js';
import type { RegimeModel } from '../../src/regime/regime-model.js';
import { seededRandom } from './market.js';

const REGIME: RegimeModel = {
  stateCount: 2,
  names: ['ranging', 'volatile'],
  weights: [0.5, 0.25],
  stationary: [0.75, 0.25],
  transition: [0.95, 0.05, 0.15, 0.85],
  mean: [0.01, -0.5, -0.02, 1.5],
  variance: [0.5, 0.3, 2.5, 0.6],
  scales: {
    'BTC-PERP': { returnMean: 1e-6, returnDeviation: 0.001, logVolatilityMean: -7, logVolatilityDeviation: 0.3 },
  },
};

/** Row-major float32 rows in [−2, 2), every twentieth value or so missing. */
export function randomRows(count: number, columnCount: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count * columnCount }, () => (random() < 0.05 ? Number.NaN : 4 * random() - 2));
}

/** Labels that depend on the first two columns and on chance. */
export function noisyLabels(rows: Float32Array, columnCount: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length: rows.length / columnCount }, (_, k) => {
    const first = rows[k * columnCount]!;
    const second = columnCount > 1 ? rows[k * columnCount + 1]! : 0;
    const score = (Number.isNaN(first) ? 1 : first) - Math.max(Number.isNaN(second) ? 0 : second, 0);
    return Number(score + 3 * (random() - 0.5) > 0);
  });
}

/** A model of perfect random trees. */
export function randomModel(treeCount: number, depth: number, featureCount: number, seed: number): ModelFile {
  const random = seededRandom(seed);
  const trees = Array.from({ length: treeCount }, () => randomTree(depth, featureCount, random));
  return { baseMargin: Math.fround(random() - 0.5), featureCount, trees };
}

function randomTree(depth: number, featureCount: number, random: () => number): TreeNodes {
  const count = 2 ** (depth + 1) - 1;
  const inner = 2 ** depth - 1;
  const indices = Array.from({ length: count }, (_, node) => node);
  return {
    left: Int32Array.from(indices, (node) => (node < inner ? 2 * node + 1 : -1)),
    right: Int32Array.from(indices, (node) => (node < inner ? 2 * node + 2 : -1)),
    feature: Int32Array.from(indices, () => Math.floor(random() * featureCount)),
    defaultLeft: Uint8Array.from(indices, () => Number(random() < 0.5)),
    value: Float32Array.from(indices, () => 2 * random() - 1),
    gain: Float32Array.from(indices, () => random()),
    cover: Float32Array.from(indices, () => 100 * random()),
  };
}

/** A complete bundle over three features, small enough to be damaged byte by byte. */
export function bundleContent(overrides: Partial<BundleHeader> = {}, seed = 1): Omit<ModelBundle, 'modelId'> {
  const forest = flattenForest(randomModel(3, 2, 3, seed));
  const goldenRows = randomRows(GOLDEN_ROW_COUNT, 3, seed + 1);
  const header: BundleHeader = {
    kind: 'trees',
    createdAtNs: 1_700_000_000_123_456_789n,
    featureNames: ['momentum', 'side', 'über'],
    featureFingerprint: '0123456789abcdef',
    labels: {
      ptMultiplier: 2,
      slMultiplier: 1,
      maxHoldingBars: 10,
      touch: 'high-low',
      entry: 'next-open',
      costBps: 1.5,
      minReturn: 0,
      labelCost: 'gross',
    },
    trainingStartNs: 1_600_000_000_000_000_001n,
    trainingEndNs: 1_600_000_600_000_000_001n,
    instrumentIds: ['BTC-PERP'],
    baseRate: 0.4,
    seed: 42,
    boosterParameters: { eta: 0.1, max_depth: 2 },
    rounds: 3,
    calibration: { baseMargin: -0.4, lambda: 0.75 },
    evidence: 'provisional',
    edge: { intercept: -0.9, slope: 2.7, squareWon: 3.5, squareLost: 1.25 },
    regime: REGIME,
    toxicityQuantiles: { 'BTC-PERP': Float64Array.from({ length: TOXICITY_QUANTILES }, (_, k) => k / 200) },
    importance: { momentum: 0.5, side: 0.25, über: 0.25 },
    metrics: {
      nFolds: 5,
      nSamples: 1000,
      effectiveN: 250.5,
      accuracy: 0.6,
      majorityAccuracy: 0.6,
      auc: Number.NaN,
      logLoss: 0.66,
      baseRateLogLoss: 0.67,
      brier: 0.23,
      baseRateBrier: 0.24,
    },
    meanConcurrency: 3.5,
    detectors: {
      labelsPerFalseAlarm: 20_000,
      skillThreshold: 5.5,
      rateThreshold: 28.25,
      rateAllowance: 0.025,
      verified: { labels: 19_500, lower: 17_600, upper: 21_700 },
    },
    featureDeciles: [0, 1, 2].map((column) => Float64Array.from({ length: 9 }, (_, k) => column + k / 10)),
    ...overrides,
  };
  const { calibration } = header;
  const goldenConfidences = new BundleScorer({ forest, calibration }).confidences(goldenRows);
  return { ...header, formatVersion: BUNDLE_FORMAT, forest, goldenRows, goldenConfidences };
}
