import {
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
import type { Verdict } from '../retrain/promotion-gate.js';
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
  readonly verdict: Verdict;
  readonly createdAtNs: bigint;
}

/** The file of the bundle the verdict installs, null when it installs none. The same parts give the same bytes. Throws MODEL_TOO_LARGE. */
export function assembleBundle(parts: BundleParts): Uint8Array | null {
  const { plan, set, rows, regime, metrics, verdict, createdAtNs } = parts;
  if (verdict.installs === null) return null;
  const trees = verdict.installs === 'trees';
  const fit = trees ? parts.fit : withoutTrees(set.columnCount, parts.fit.baseRate, rows.length, parts.fit.restraint);
  const features = featureSetOf(plan);
  const window = windowOf(set, rows);
  return encodeBundle({
    kind: verdict.installs,
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
    evidence: evidenceOf(verdict),
    edge: trees ? edgeOf(parts) : NO_EDGE,
    regime,
    toxicityQuantiles: quantilesByInstrument(set, window),
    importance: Object.fromEntries(importanceOf(fit, features.names).map(({ name, gain }) => [name, gain])),
    metrics,
    forest: fit.forest,
    ...goldenRows(set, rows, fit),
  });
}

function evidenceOf({ verdict }: Verdict): BundleHeader['evidence'] {
  return verdict === 'provisional' || verdict === 'forced' ? verdict : 'none';
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
