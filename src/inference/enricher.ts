import type { Clock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import type { FeatureSet } from '../features/feature-set.js';
import { unreachable } from '../invariant.js';
import type { DegradedReason, EnrichedSignalEvent } from '../market/events.js';
import { toxicityShare } from '../orderflow/toxicity.js';
import { PositionSizer } from '../sizing/position-sizer.js';
import type { BarStore } from '../store/bar-store.js';
import type { AdmittedSignal } from './admission.js';
import { EnrichedSignal } from './enriched-signal.js';
import { InferenceLoop } from './inference-loop.js';
import type { InferenceResult } from './inference-result.js';
import type { InstrumentContext, ServedModel } from './served-model.js';

/** An answer with what it took to compute it; no inference for flat and degraded signals. */
export interface Enrichment {
  readonly answer: EnrichedSignalEvent;
  readonly inference: InferenceResult | null;
}

/** Makes the answer to an admitted signal from the bars up to its as-of and one bundle. */
export class Enricher {
  private readonly loop: InferenceLoop;
  private readonly sizer: PositionSizer;

  constructor(
    private readonly config: OrchestratorConfig,
    private readonly store: BarStore,
    featureSet: FeatureSet,
    private readonly clock: Clock,
  ) {
    this.loop = new InferenceLoop(featureSet, config.defaultConfidence, clock);
    this.sizer = new PositionSizer(config.sizing);
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
    const context = served?.contextOf(instrumentId) ?? UNKNOWN_INSTRUMENT;
    const regimeWeight = context.regime?.weightAt(columns, read.asOf) ?? Number.NaN;
    const inference = this.loop.evaluate(
      columns,
      read.asOf,
      side,
      regimeWeight,
      signal.userValues,
      served?.scorer ?? null,
    );
    const vpin = columns.vpin[columns.base + (read.asOf & columns.mask)]!;
    const toxicity = this.toxicityOf(vpin, context, served !== null);
    const { size, reason } = this.sizer.size({
      side,
      confidence: inference.confidence,
      regimeWeight: orDefault(regimeWeight, this.config.defaultRegimeWeight),
      toxicity: orDefault(toxicity, this.config.defaultToxicity),
      barrierUnit: inference.barrierUnit,
      cost: this.config.labels.costBps / 10_000,
      model: served?.bundle ?? null,
    });
    const answer = this.answer(signal, served, startNs, {
      inference,
      regimeWeight,
      toxicity,
      size,
      sizeReason: reason,
      degraded: undefined,
    });
    return { answer, inference };
  }

  /** Its place among the training interval's values; raw VPIN before any model; NaN where either is unknown. */
  private toxicityOf(vpin: number, context: InstrumentContext, modelAvailable: boolean): number {
    if (!modelAvailable || Number.isNaN(vpin)) return vpin;
    return context.toxicityQuantiles === null ? Number.NaN : toxicityShare(context.toxicityQuantiles, vpin);
  }

  private withoutInference(
    signal: AdmittedSignal,
    served: ServedModel | null,
    startNs: number,
    sizeReason: string,
    degraded: DegradedReason | undefined,
  ): Enrichment {
    const computed = { inference: null, regimeWeight: Number.NaN, toxicity: Number.NaN, size: 0, sizeReason, degraded };
    return { answer: this.answer(signal, served, startNs, computed), inference: null };
  }

  private answer(
    signal: AdmittedSignal,
    served: ServedModel | null,
    startNs: number,
    computed: Computed,
  ): EnrichedSignalEvent {
    const { config } = this;
    const { inference, regimeWeight, toxicity, size, sizeReason, degraded } = computed;
    return new EnrichedSignal({
      signalId: signal.signalId,
      signalEvent: signal.event,
      metaConfidence: inference?.confidence ?? config.defaultConfidence,
      regimeWeight: orDefault(regimeWeight, config.defaultRegimeWeight),
      toxicity: orDefault(toxicity, config.defaultToxicity),
      size,
      sizeReason,
      modelAvailable: served !== null,
      toxicityAvailable: !Number.isNaN(toxicity),
      regimeAvailable: !Number.isNaN(regimeWeight),
      asOfNs: this.store.tsEventNs(signal.event.instrumentId, signal.asOf),
      asOfSequence: signal.asOf,
      generation: served?.generation ?? 0,
      modelId: served?.bundle.modelId ?? '',
      latencyNs: Math.round(this.clock.monotonicNs() - startNs),
      degraded,
    });
  }
}

/** What was computed for an answer; NaN for a number that is unknown. */
interface Computed {
  readonly inference: InferenceResult | null;
  readonly regimeWeight: number;
  readonly toxicity: number;
  readonly size: number;
  readonly sizeReason: string | undefined;
  readonly degraded: DegradedReason | undefined;
}

const UNKNOWN_INSTRUMENT: InstrumentContext = { regime: null, toxicityQuantiles: null };

function orDefault(value: number, defaultValue: number): number {
  return Number.isNaN(value) ? defaultValue : value;
}
