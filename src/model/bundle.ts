import type { DetectorPlan } from '../drift/detector-plan.js';
import type { TripleBarrier } from '../labeling/triple-barrier.js';
import type { RegimeModel } from '../regime/regime-model.js';
import type { EdgeModel } from '../sizing/edge.js';
import type { Forest } from './forest.js';
import { ForestScorer } from './forest-scorer.js';
import { type Calibration, calibratedProbability } from './log-odds.js';

/** Out-of-sample figures of the walk-forward validation behind a bundle, each beside what knowing only the base rate would score. NaN = undefined. */
export interface BundleMetrics {
  readonly nFolds: number;
  readonly nSamples: number;
  readonly effectiveN: number;
  readonly accuracy: number;
  readonly majorityAccuracy: number;
  readonly auc: number;
  readonly logLoss: number;
  readonly baseRateLogLoss: number;
  readonly brier: number;
  readonly baseRateBrier: number;
}

/**
 * Of the file that a bundle is written as. In format 4 the model id depends on when the model was
 * made, too.
 */
export type BundleFormat = 4 | 5;
/** What new bundles are written as. */
export const BUNDLE_FORMAT = 5 satisfies BundleFormat;

/** What a bundle says about itself beside its numbers. */
export interface BundleHeader {
  /** 'base-rate': no trees, every confidence is the base rate. */
  readonly kind: 'trees' | 'base-rate';
  /** When it was made. No part of what `modelId` is derived from, but in files of format 4. */
  readonly createdAtNs: bigint;
  readonly featureNames: readonly string[];
  readonly featureFingerprint: string;
  readonly labels: TripleBarrier;
  /** First and last bar close the bundle has seen, label horizons included. */
  readonly trainingStartNs: bigint;
  readonly trainingEndNs: bigint;
  readonly instrumentIds: readonly string[];
  readonly baseRate: number;
  readonly seed: number;
  readonly boosterParameters: Readonly<Record<string, number>>;
  readonly rounds: number;
  readonly calibration: Calibration;
  /** On what ground the trees serve; 'none' for a base-rate bundle. 'strict': they serve only if they pass the promotion gate. */
  readonly evidence: 'none' | 'provisional' | 'forced' | 'strict';
  /** What a signal earns by its confidence; no edge for a base-rate bundle. */
  readonly edge: EdgeModel;
  /** null where there were too few bars to tell regimes apart. */
  readonly regime: RegimeModel | null;
  /** By instrument: 101 quantiles of its VPIN over the training interval; absent where volume is unknown. */
  readonly toxicityQuantiles: Readonly<Record<string, Float64Array>>;
  /** Share of the total gain by feature name; all 0 without trees. */
  readonly importance: Readonly<Record<string, number>>;
  readonly metrics: BundleMetrics;
  /** Labels that are open at once, on average over the validated signals; at least 1. */
  readonly meanConcurrency: number;
  /** What the detectors of drift are set to while this bundle serves; null where there were too few labels to calibrate them. */
  readonly detectors: DetectorPlan | null;
  /** By column: the nine deciles of the training rows, NaN where too few were known. */
  readonly featureDeciles: readonly Float64Array[];
}

/**
 * Everything one answer depends on. Immutable; `modelId` is derived from the content, so equal ids
 * mean equal bytes but for the time of making.
 */
export interface ModelBundle extends BundleHeader {
  readonly modelId: string;
  /** Kept, so that a bundle that was read is written again as it was. */
  readonly formatVersion: BundleFormat;
  readonly forest: Forest;
  /** Encoded rows and the confidences they must give, checked whenever the bundle is loaded. */
  readonly goldenRows: Float32Array;
  readonly goldenConfidences: Float64Array;
}

export const GOLDEN_ROW_COUNT = 64;

/** P(meta-label = 1) of an encoded feature row. */
export interface RowScorer {
  confidence(rows: Float32Array, offset: number): number;
}

/** Turns encoded feature rows into meta-confidences with one bundle. Belongs to one thread. */
export class BundleScorer implements RowScorer {
  private readonly scorer: ForestScorer;

  constructor(readonly bundle: Pick<ModelBundle, 'forest' | 'calibration'>) {
    this.scorer = new ForestScorer(bundle.forest);
  }

  confidence(rows: Float32Array, offset: number): number {
    return calibratedProbability(this.scorer.margin(rows, offset), this.bundle.calibration);
  }

  /** Confidences of all rows. */
  confidences(rows: Float32Array): Float64Array {
    const columnCount = this.bundle.forest.featureCount;
    const confidences = new Float64Array(rows.length / columnCount);
    for (let k = 0; k < confidences.length; k++) confidences[k] = this.confidence(rows, k * columnCount);
    return confidences;
  }
}
