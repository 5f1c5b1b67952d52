import type { OrchestratorConfig } from '../config.js';
import { paysItsCost } from '../labeling/barrier.js';
import { averageTrueRangeAt } from '../market/atr.js';
import type { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';

/** Tells the signals whose labels are of the kind that models are trained on: their profit barrier pays their cost. To be asked while the as-of bar lies in the feature store. */
export class JudgedSignals {
  constructor(
    private readonly labels: OrchestratorConfig['labels'],
    private readonly reader: FeatureStoreReader,
  ) {}

  has({ instrument, asOf }: { readonly instrument: number; readonly asOf: number }): boolean {
    const { ptMultiplier, costBps } = this.labels;
    if (costBps === 0) return true;
    if (instrument < 0 || asOf < 0) return false;
    const columns = this.reader.columnsOf(instrument);
    const close = columns.close[columns.base + (asOf & columns.mask)]!;
    return paysItsCost((ptMultiplier * averageTrueRangeAt(columns, asOf)) / close, costBps);
  }
}
