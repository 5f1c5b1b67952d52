import { calibrateDetectors } from '../drift/detector-calibration.js';
import type { DetectorPlan } from '../drift/detector-plan.js';
import { featureQuantiles } from '../drift/population-stability.js';
import { averageUniqueness } from '../labeling/uniqueness.js';
import {
  BUNDLE_FORMAT,
  type BundleHeader,
  type BundleMetrics,
  BundleScorer,
  GOLDEN_ROW_COUNT,
  type ModelBundle,
} from '../model/bundle.js';
import { encodeBundle } from '../model/bundle-codec.js';
import { splitImportance } from '../model/forest.js';
import { toxicityQuantiles } from '../orderflow/toxicity.js';
import type { RegimeModel } from '../regime/regime-model.js';
import { type EdgeModel, fitEdge, NO_EDGE } from '../sizing/edge.js';
import { slopeEvidence } from '../validation/slope.js';
import { type Fit, labelsOf, withoutTrees } from './fit.js';
import type { OutOfSample } from './folds.js';
import { barsInside, type CalendarWindow, windowOf } from './regime-column.js';
import { featureSetOf, type TrainingPlan } from './training-plan.js';
import type { ImportanceReport } from './training-report.js';
import type { TrainingSet } from './training-set.js';

/** Each feature's share of the fit's gain, cover and splits, in column order. */
export function importanceOf(fit: Fit, names: readonly string[]): ImportanceReport[] {
  const { gain, cover, splits } = splitImportance(fit.model);
  const shares = [gain, cover, splits].map((column) => {
    const total = column.reduce((sum, value) => sum + value, 0);
    return column.map((value) => (total > 0 ? value / total : 0));
  });
  return names.map((name, k) => ({ name, gain: shares[0]![k]!, cover: shares[1]![k]!, splits: shares[2]![k]! }));
}

/** What a bundle is made of: a fit, the rows it was fitted to, what the walk-forward found out about its kind, and the verdict on it. */
export interface BundleParts {
  readonly plan: TrainingPlan;
  readonly set: TrainingSet;
  readonly rows: Int32Array;
  readonly fit: Fit;
  readonly regime: RegimeModel | null;
  readonly pooled: OutOfSample;
  readonly metrics: BundleMetrics;
  /** With the fit's trees, or with its base rate in their place. */
  readonly kind: BundleHeader['kind'];
  readonly evidence: BundleHeader['evidence'];
  readonly createdAtNs: bigint;
}

/** The file of a bundle. The same parts give the same bytes. Throws MODEL_TOO_LARGE. */
export function assembleBundle(parts: BundleParts): Uint8Array {
  const { plan, set, rows, regime, metrics, kind, evidence, createdAtNs } = parts;
  const trees = kind === 'trees';
  const fit = trees ? parts.fit : withoutTrees(set.columnCount, parts.fit.baseRate, rows.length, parts.fit.restraint);
  const features = featureSetOf(plan);
  const window = windowOf(set, rows);
  return encodeBundle({
    formatVersion: BUNDLE_FORMAT,
    kind,
    createdAtNs,
    featureNames: features.names,
    featureFingerprint: features.fingerprint,
    labels: plan.labels,
    trainingStartNs: set.calendarNs[window.start]!,
    trainingEndNs: set.calendarNs[window.end - 1]!,
    instrumentIds: set.instrumentIds,
    baseRate: fit.baseRate,
    seed: plan.seed,
    boosterParameters: { ...plan.boosterParameters },
    rounds: fit.rounds,
    calibration: fit.calibration,
    evidence,
    edge: trees ? edgeOf(parts) : NO_EDGE,
    regime,
    toxicityQuantiles: quantilesByInstrument(set, window),
    importance: Object.fromEntries(importanceOf(fit, features.names).map(({ name, gain }) => [name, gain])),
    metrics: bundleMetricsOf(metrics),
    meanConcurrency: pooledConcurrency(parts),
    detectors: detectorsOf(parts, trees),
    featureDeciles: decilesByColumn(set, rows),
    forest: fit.forest,
    ...goldenRows(set, rows, fit),
  });
}

/** Without the figures that only the report has. */
function bundleMetricsOf(metrics: BundleMetrics): BundleMetrics {
  const { nFolds, nSamples, effectiveN, accuracy, majorityAccuracy, auc } = metrics;
  const { logLoss, baseRateLogLoss, brier, baseRateBrier } = metrics;
  return {
    nFolds,
    nSamples,
    effectiveN,
    accuracy,
    majorityAccuracy,
    auc,
    logLoss,
    baseRateLogLoss,
    brier,
    baseRateBrier,
  };
}

/** Labels open at once, those of all instruments together, since they come in one sequence; at least 1. */
function pooledConcurrency({ set, pooled: { rows } }: BundleParts): number {
  const horizons = { start: rows.map((row) => set.start[row]! + 1), end: rows.map((row) => set.end[row]!) };
  const independent = averageUniqueness(horizons, set.calendarNs.length).reduce((sum, one) => sum + one, 0);
  return Math.max(1, rows.length / independent);
}

/** Detectors set to how this kind of model did out of sample: what it will be watched for is its own usual behaviour. */
function detectorsOf(parts: BundleParts, trees: boolean): DetectorPlan | null {
  const { pooled, plan } = parts;
  return calibrateDetectors({
    metaLabel: pooled.metaLabel,
    confidence: trees ? pooled.confidence : pooled.baseRate,
    baseRate: pooled.baseRate,
    meanConcurrency: pooledConcurrency(parts),
    labelsPerFalseAlarm: plan.labelsPerFalseAlarm,
    seed: plan.seed,
  });
}

function decilesByColumn(set: TrainingSet, rows: Int32Array): Float64Array[] {
  return Array.from({ length: set.columnCount }, (_, column) => {
    const values = Float32Array.from(rows, (row) => set.rows[row * set.columnCount + column]!);
    return featureQuantiles(values);
  });
}

function edgeOf({ set, rows, pooled }: BundleParts): EdgeModel {
  const training = { metaLabel: labelsOf(set, rows), grossR: Float64Array.from(rows, (row) => set.grossR[row]!) };
  return fitEdge(slopeEvidence(pooled.confidence, pooled.grossR, pooled.span), pooled, training, pooled.effectiveN);
}

function quantilesByInstrument(set: TrainingSet, window: CalendarWindow): Record<string, Float64Array> {
  const known = set.sources.flatMap((source) => {
    const { start, end } = barsInside(source, window);
    const quantiles = toxicityQuantiles(source.vpin.subarray(start, end));
    return quantiles === null ? [] : [[source.instrumentId, quantiles] as const];
  });
  return Object.fromEntries(known);
}

function goldenRows(
  set: TrainingSet,
  rows: Int32Array,
  fit: Fit,
): Pick<ModelBundle, 'goldenRows' | 'goldenConfidences'> {
  const golden = new Float32Array(GOLDEN_ROW_COUNT * set.columnCount);
  for (let k = 0; k < GOLDEN_ROW_COUNT; k++) {
    const row = rows[Math.floor((k * rows.length) / GOLDEN_ROW_COUNT)]!;
    golden.set(set.rows.subarray(row * set.columnCount, (row + 1) * set.columnCount), k * set.columnCount);
  }
  return { goldenRows: golden, goldenConfidences: new BundleScorer(fit).confidences(golden) };
}
