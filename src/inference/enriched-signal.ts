import type { DegradedReason, EnrichedSignalEvent, MetaOutput, SignalEvent } from '../market/events.js';
import type { Recording } from './recording.js';

type Fields = Omit<EnrichedSignalEvent, 'toMetaOutput' | 'sizeReason' | 'degraded' | 'recorded'> & {
  readonly sizeReason: string | undefined;
  readonly degraded: DegradedReason | undefined;
};

/** The answer as an object; absent reasons are absent properties. */
export class EnrichedSignal implements EnrichedSignalEvent {
  readonly signalId: string;
  readonly signalEvent: SignalEvent;
  readonly metaConfidence: number;
  readonly regimeWeight: number;
  readonly toxicity: number;
  readonly size: number;
  declare readonly sizeReason?: string;
  readonly modelAvailable: boolean;
  readonly toxicityAvailable: boolean;
  readonly regimeAvailable: boolean;
  readonly asOfNs: bigint;
  readonly asOfSequence: number;
  readonly generation: number;
  readonly modelId: string;
  readonly latencyNs: number;
  declare readonly degraded?: DegradedReason;

  // Private, so that it is neither copied nor printed with the answer.
  readonly #recording: Recording;

  constructor(fields: Fields, recording: Recording) {
    this.#recording = recording;
    this.signalId = fields.signalId;
    this.signalEvent = fields.signalEvent;
    this.metaConfidence = fields.metaConfidence;
    this.regimeWeight = fields.regimeWeight;
    this.toxicity = fields.toxicity;
    this.size = fields.size;
    this.modelAvailable = fields.modelAvailable;
    this.toxicityAvailable = fields.toxicityAvailable;
    this.regimeAvailable = fields.regimeAvailable;
    this.asOfNs = fields.asOfNs;
    this.asOfSequence = fields.asOfSequence;
    this.generation = fields.generation;
    this.modelId = fields.modelId;
    this.latencyNs = fields.latencyNs;
    if (fields.sizeReason !== undefined) this.sizeReason = fields.sizeReason;
    if (fields.degraded !== undefined) this.degraded = fields.degraded;
  }

  get recorded(): Promise<void> {
    return this.#recording.recorded;
  }

  toMetaOutput(): MetaOutput {
    return { confidence: this.metaConfidence, regimeWeight: this.regimeWeight, toxicity: this.toxicity };
  }
}
