import type { Evaluation, EvaluationStatus, SignalRequest } from './evaluation.js';
import {
  EVALUATE,
  type SharedSignalRing,
  SLOTS_AT,
  type SlotLayout,
  type SlotOperation,
  slotLayout,
} from './signal-ring-layout.js';

/** A request as it is read from a slot; filled anew for every item. */
export class SlotRequest implements SignalRequest {
  operation: SlotOperation = EVALUATE;
  instrument = 0;
  asOf = 0;
  side: -1 | 0 | 1 = 0;
  readonly userValues: Float64Array;

  constructor(userFeatureCount: number) {
    this.userValues = new Float64Array(userFeatureCount);
  }
}

/** Both halves of a ring's slots by sequence number. Plain reads and writes: the counters around them say who may. */
export class SignalRingSlots {
  private readonly layout: SlotLayout;
  private readonly mask: number;
  private readonly words: Int32Array;
  private readonly values: Float64Array;
  private readonly floats: Float32Array;

  constructor(ring: SharedSignalRing) {
    this.layout = slotLayout(ring.userFeatureCount, ring.columnCount);
    this.mask = ring.slotCount - 1;
    const length = ring.slotCount * this.layout.slotBytes;
    this.words = new Int32Array(ring.buffer, SLOTS_AT, length / 4);
    this.floats = new Float32Array(ring.buffer, SLOTS_AT, length / 4);
    this.values = new Float64Array(ring.buffer, SLOTS_AT, length / 8);
  }

  writeRequest(sequence: number, operation: SlotOperation, request: SignalRequest): void {
    const at = this.at(sequence);
    const { words, values } = this;
    words[at >> 2] = operation;
    words[(at >> 2) + 1] = request.instrument;
    words[(at >> 2) + 2] = request.asOf;
    words[(at >> 2) + 3] = request.side;
    const valuesAt = (at + this.layout.userValuesAt) >> 3;
    for (let k = 0; k < request.userValues.length; k++) values[valuesAt + k] = request.userValues[k]!;
  }

  /** Changes what is to be done with a request that may be in the worker's hands already: then it is too late and does no harm. */
  setOperation(sequence: number, operation: SlotOperation): void {
    Atomics.store(this.words, this.at(sequence) >> 2, operation);
  }

  /** As {@link setOperation}, only if it was `from`; true if so. */
  replaceOperation(sequence: number, from: SlotOperation, to: SlotOperation): boolean {
    return Atomics.compareExchange(this.words, this.at(sequence) >> 2, from, to) === from;
  }

  readRequest(sequence: number, into: SlotRequest): void {
    const at = this.at(sequence);
    const { words, values } = this;
    into.operation = Atomics.load(words, at >> 2) as SlotOperation;
    into.instrument = words[(at >> 2) + 1]!;
    into.asOf = words[(at >> 2) + 2]!;
    into.side = words[(at >> 2) + 3] as -1 | 0 | 1;
    const valuesAt = (at + this.layout.userValuesAt) >> 3;
    for (let k = 0; k < into.userValues.length; k++) into.userValues[k] = values[valuesAt + k]!;
  }

  writeAnswer(sequence: number, evaluation: Evaluation): void {
    const at = this.at(sequence);
    const { words, values, floats, layout } = this;
    const headAt = (at + layout.answerAt) >> 2;
    words[headAt] = evaluation.status;
    words[headAt + 1] = evaluation.sizeReason;
    words[headAt + 2] = evaluation.modelIdHigh;
    words[headAt + 3] = evaluation.modelIdLow;
    const valuesAt = (at + layout.answerValuesAt) >> 3;
    values[valuesAt] = evaluation.confidence;
    values[valuesAt + 1] = evaluation.regimeWeight;
    values[valuesAt + 2] = evaluation.toxicity;
    values[valuesAt + 3] = evaluation.size;
    values[valuesAt + 4] = evaluation.generation;
    values[valuesAt + 5] = evaluation.featureNs;
    values[valuesAt + 6] = evaluation.predictionNs;
    const rowAt = (at + layout.rowAt) >> 2;
    for (let k = 0; k < evaluation.row.length; k++) floats[rowAt + k] = evaluation.row[k]!;
  }

  readAnswer(sequence: number, into: Evaluation): void {
    const at = this.at(sequence);
    const { words, values, floats, layout } = this;
    const headAt = (at + layout.answerAt) >> 2;
    into.status = words[headAt] as EvaluationStatus;
    into.sizeReason = words[headAt + 1]!;
    into.modelIdHigh = words[headAt + 2]!;
    into.modelIdLow = words[headAt + 3]!;
    const valuesAt = (at + layout.answerValuesAt) >> 3;
    into.confidence = values[valuesAt]!;
    into.regimeWeight = values[valuesAt + 1]!;
    into.toxicity = values[valuesAt + 2]!;
    into.size = values[valuesAt + 3]!;
    into.generation = values[valuesAt + 4]!;
    into.featureNs = values[valuesAt + 5]!;
    into.predictionNs = values[valuesAt + 6]!;
    const rowAt = (at + layout.rowAt) >> 2;
    for (let k = 0; k < into.row.length; k++) into.row[k] = floats[rowAt + k]!;
  }

  private at(sequence: number): number {
    return (sequence & this.mask) * this.layout.slotBytes;
  }
}
