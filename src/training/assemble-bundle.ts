import { type BundleMetrics, BundleScorer, GOLDEN_ROW_COUNT, type ModelBundle } from '../model/bundle.js';
import { encodeBundle } from '../model/bundle-codec.js';
import { splitImportance } from '../model/forest.js';
import type { Fit } from './fit.js';
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

/** What a bundle is made of: a fit, the rows of the training set it was fitted to, and the walk-forward figures of its kind. */
export interface BundleParts {
  readonly plan: TrainingPlan;
  readonly set: TrainingSet;
  readonly rows: Int32Array;
  readonly fit: Fit;
  readonly metrics: BundleMetrics;
  readonly createdAtNs: bigint;
}

/** The bundle's file. The same parts give the same bytes. Throws MODEL_TOO_LARGE. */
export function assembleBundle({ plan, set, rows, fit, metrics, createdAtNs }: BundleParts): Uint8Array {
  const features = featureSetOf(plan);
  const lastEnd = rows.reduce((last, row) => Math.max(last, set.end[row]!), 0);
  return encodeBundle({
    kind: fit.rounds > 0 ? 'trees' : 'base-rate',
    createdAtNs,
    featureNames: features.names,
    featureFingerprint: features.fingerprint,
    labels: plan.labels,
    trainingStartNs: set.calendarNs[set.start[rows[0]!]!]!,
    trainingEndNs: set.calendarNs[lastEnd]!,
    instrumentIds: set.instrumentIds,
    baseRate: fit.baseRate,
    seed: plan.seed,
    boosterParameters: { ...plan.boosterParameters },
    rounds: fit.rounds,
    importance: Object.fromEntries(importanceOf(fit, features.names).map(({ name, gain }) => [name, gain])),
    metrics,
    forest: fit.forest,
    ...goldenRows(set, rows, fit),
  });
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
