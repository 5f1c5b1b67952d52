import type { Clock } from '../clock.js';
import { FEATURE_COUNT, FEATURE_NAMES, writeFeatureRow } from '../features/feature-row.js';
import type { FeatureSet } from '../features/feature-set.js';
import type { RowScorer } from '../model/bundle.js';
import type { StoredColumns } from '../shared-memory/feature-store-layout.js';
import { InferenceResult } from './inference-result.js';

const NORMALIZED_ATR = FEATURE_NAMES.indexOf('normalized_atr');

/**
 * Evaluates signals one after the other: window → feature row → confidence. The result is a function of the bars up to `asOf`, the side, the user's
 * values and the bundle; nothing else is remembered. Keeps scratch rows, so a loop belongs to one thread.
 */
export class InferenceLoop {
  private readonly row = new Float64Array(FEATURE_COUNT);
  /** The row that was evaluated last, as the model saw it. */
  readonly encodedRow: Float32Array;

  constructor(
    private readonly featureSet: FeatureSet,
    private readonly defaultConfidence: number,
    private readonly clock: Clock,
  ) {
    this.encodedRow = new Float32Array(featureSet.columnCount);
  }

  /** `asOf` must be a bar of a window that was read as complete. `regimeWeight` NaN while there is no regime model. */
  evaluate(
    columns: StoredColumns,
    asOf: number,
    side: -1 | 1,
    regimeWeight: number,
    userValues: Float64Array,
    scorer: RowScorer | null,
  ): InferenceResult {
    const start = this.clock.monotonicNs();
    const toxicity = columns.vpin[columns.base + (asOf & columns.mask)]!;
    writeFeatureRow(columns, asOf, side, toxicity, regimeWeight, this.row, 0);
    this.featureSet.encodeRow(this.row, userValues, this.encodedRow, 0);
    const extracted = this.clock.monotonicNs();
    const confidence = scorer === null ? this.defaultConfidence : scorer.confidence(this.encodedRow, 0);
    const end = this.clock.monotonicNs();
    return new InferenceResult(
      confidence,
      scorer !== null,
      this.row[NORMALIZED_ATR]!,
      extracted - start,
      end - extracted,
      end - start,
    );
  }
}
