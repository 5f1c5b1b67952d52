import type { Clock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import type { FeatureSet } from '../features/feature-set.js';
import { unreachable } from '../invariant.js';
import type { DegradedReason, EnrichedSignalEvent } from '../market/events.js';
import { IntegratedSizer } from '../sizing/integrated-sizer.js';
import type { BarStore } from '../store/bar-store.js';
import type { AdmittedSignal } from './admission.js';
import { EnrichedSignal } from './enriched-signal.js';
import { InferenceLoop } from './inference-loop.js';
import type { InferenceResult } from './inference-result.js';
import type { ServedModel } from './served-model.js';

/** There is no regime model yet: its feature is missing and its weight the configured default. */
const REGIME_UNKNOWN = Number.NaN;

/** An answer with what it took to compute it; no inference for flat and degraded signals. */
export interface Enrichment {
  readonly answer: EnrichedSignalEvent;
  readonly inference: InferenceResult | null;
}

/** Makes the answer to an admitted signal from the bars up to its as-of and one bundle. */
export class Enricher {
  private readonly loop: InferenceLoop;
  private readonly sizer: IntegratedSizer;

  constructor(
    private readonly config: OrchestratorConfig,
    private readonly store: BarStore,
    featureSet: FeatureSet,
    private readonly clock: Clock,
  ) {
    this.loop = new InferenceLoop(featureSet, config.defaultConfidence, clock);
    this.sizer = new IntegratedSizer(config.sizing);
  }

  /** `startNs`: monotonic time of the signal's arrival, from which its latency counts. */
  enrich(signal: AdmittedSignal, served: ServedModel | null, startNs: number): Enrichment {
    const { instrumentId, signal: side, timestamp } = signal.event;
    if (side === 0) return this.withoutInference(signal, served, startNs, 'flat', undefined);
    const read = this.store.read(instrumentId, signal.asOf);
    switch (read.kind) {
      case 'insufficient-history':
      case 'stale-window':
        return this.withoutInference(signal, served, startNs, read.kind, read.kind);
      case 'window':
        break;
      default:
        return unreachable(read);
    }
    if (this.store.isStale(instrumentId, signal.asOf, timestamp, this.config.barAgeMaxNs)) {
      return this.withoutInference(signal, served, startNs, 'stale-bars', 'stale-bars');
    }
    const { columns } = read;
    const inference = this.loop.evaluate(
      columns,
      read.asOf,
      side,
      REGIME_UNKNOWN,
      signal.userValues,
      served?.scorer ?? null,
    );
    const vpin = columns.vpin[columns.base + (read.asOf & columns.mask)]!;
    const toxicity = Number.isNaN(vpin) ? null : vpin;
    const sized = this.sizer.calculate({
      signal: side,
      metaConfidence: inference.confidence,
      regimeWeight: this.config.defaultRegimeWeight,
      toxicity: toxicity ?? this.config.defaultToxicity,
    });
    const sizeReason = sized.finalSize === 0 ? 'below-minimum-size' : undefined;
    return {
      answer: this.answer(signal, served, startNs, inference, toxicity, sized.finalSize, sizeReason, undefined),
      inference,
    };
  }

  private withoutInference(
    signal: AdmittedSignal,
    served: ServedModel | null,
    startNs: number,
    sizeReason: string,
    degraded: DegradedReason | undefined,
  ): Enrichment {
    return { answer: this.answer(signal, served, startNs, null, null, 0, sizeReason, degraded), inference: null };
  }

  private answer(
    signal: AdmittedSignal,
    served: ServedModel | null,
    startNs: number,
    inference: InferenceResult | null,
    toxicity: number | null,
    size: number,
    sizeReason: string | undefined,
    degraded: DegradedReason | undefined,
  ): EnrichedSignalEvent {
    const { config } = this;
    return new EnrichedSignal({
      signalId: signal.signalId,
      signalEvent: signal.event,
      metaConfidence: inference?.confidence ?? config.defaultConfidence,
      regimeWeight: config.defaultRegimeWeight,
      toxicity: toxicity ?? config.defaultToxicity,
      size,
      sizeReason,
      modelAvailable: served !== null,
      toxicityAvailable: toxicity !== null,
      regimeAvailable: false,
      asOfNs: this.store.tsEventNs(signal.event.instrumentId, signal.asOf),
      asOfSequence: signal.asOf,
      generation: served?.generation ?? 0,
      modelId: served?.bundle.modelId ?? '',
      latencyNs: Math.round(this.clock.monotonicNs() - startNs),
      degraded,
    });
  }
}
