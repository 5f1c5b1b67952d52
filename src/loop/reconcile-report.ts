import type { SignalRecord } from '../state/records.js';
import type { FieldDifference } from './answer-differences.js';

/** Why an answer cannot be recomputed. */
export type UnknownReason =
  /** The registry has forgotten the model, as it does beyond the newest fifty. */
  | 'model-forgotten'
  /** The registry knows the model, but its file is gone. */
  | 'model-missing'
  /** The model's file is not what was written. */
  | 'model-damaged'
  /** Retention has removed bars of its window. */
  | 'bars-forgotten'
  /** Retention has removed the signal while the others were looked at. */
  | 'signal-forgotten'
  /** Where a default was the answer, another one is configured now. */
  | 'defaults-differ';

export interface SignalDifference {
  readonly ordinal: number;
  readonly signalId: string;
  readonly instrumentId: string;
  readonly asOf: number;
  readonly modelId: string;
  readonly fields: readonly FieldDifference[];
}

export interface UnknownAnswers {
  readonly reason: UnknownReason;
  readonly count: number;
  /** One of them, and what there is to say of it. */
  readonly signalId: string;
  readonly detail: string;
}

export interface ReconcileReport {
  readonly signals: number;
  readonly equal: number;
  /** Answers that were the configured defaults for a reason and are; nothing was computed for them. */
  readonly degraded: number;
  readonly different: number;
  /** The first of them. */
  readonly differences: readonly SignalDifference[];
  /** Whether sizes are all that differs: then sizing or cost were probably configured differently. */
  readonly onlySizesDiffer: boolean;
  readonly unknown: readonly UnknownAnswers[];
  /** Recomputed answers by model id, '' for none. */
  readonly equalByModel: Readonly<Record<string, number>>;
  /** Nothing differs and no model is missing or damaged that should be there. */
  readonly isSound: boolean;
}

const DIFFERENCES_SHOWN = 5;
const UNSOUND: readonly UnknownReason[] = ['model-missing', 'model-damaged'];

/** Adds up what became of each stored answer. */
export class ReconcileCounts {
  signals = 0;
  private degradedCount = 0;
  private differentCount = 0;
  private onlySizesDiffer = true;
  private readonly equalByModel = new Map<string, number>();
  private readonly differences: SignalDifference[] = [];
  private readonly unknowns = new Map<UnknownReason, UnknownAnswers>();

  equal({ modelId }: SignalRecord): void {
    this.signals++;
    this.equalByModel.set(modelId, (this.equalByModel.get(modelId) ?? 0) + 1);
  }

  degraded(): void {
    this.signals++;
    this.degradedCount++;
  }

  different(record: SignalRecord, fields: readonly FieldDifference[]): void {
    this.signals++;
    this.differentCount++;
    if (fields.some(({ field }) => field !== 'size' && field !== 'sizeReason')) this.onlySizesDiffer = false;
    if (this.differences.length >= DIFFERENCES_SHOWN) return;
    const { ordinal, signalId, instrumentId, asOf, modelId } = record;
    this.differences.push({ ordinal, signalId, instrumentId, asOf, modelId, fields });
  }

  unknown(reason: UnknownReason, signalId: string, detail: string): void {
    this.signals++;
    const first = this.unknowns.get(reason) ?? { reason, count: 0, signalId, detail };
    this.unknowns.set(reason, { ...first, count: first.count + 1 });
  }

  toReport(): ReconcileReport {
    const unknown = [...this.unknowns.values()];
    return {
      signals: this.signals,
      equal: [...this.equalByModel.values()].reduce((sum, count) => sum + count, 0),
      degraded: this.degradedCount,
      different: this.differentCount,
      differences: this.differences,
      onlySizesDiffer: this.differentCount > 0 && this.onlySizesDiffer,
      unknown,
      equalByModel: Object.fromEntries(this.equalByModel),
      isSound: this.differentCount === 0 && !unknown.some(({ reason }) => UNSOUND.includes(reason)),
    };
  }
}
