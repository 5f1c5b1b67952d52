import { OrchestratorError } from '../errors.js';
import { invariant } from '../invariant.js';
import {
  CURRENT,
  hazardAt,
  type ModelSlotViews,
  modelControlWords,
  modelSlotViews,
  NO_VERSION,
  READERS_MAX,
  readyAt,
  type SharedModelSlots,
  STAGED,
  slotOf,
  versionOf,
} from './model-slots-layout.js';

/** Writes models into the slots; main's alone. Never waits for a reader. */
export class ModelPublisher {
  private readonly control: Int32Array;
  private readonly slots: readonly ModelSlotViews[];
  private count = 0;

  constructor(readonly shared: SharedModelSlots) {
    invariant(shared.readerCount <= READERS_MAX, 'a version has eight bits for its slot');
    this.control = modelControlWords(shared);
    this.slots = modelSlotViews(shared);
  }

  /** Stages and switches at once. Throws MODEL_TOO_LARGE. */
  publish(bytes: Uint8Array, generation: number): void {
    this.stage(bytes, generation);
    this.switchToStaged();
  }

  /** Writes a model where readers can get ready for it; they answer with the current one until the switch. Throws MODEL_TOO_LARGE. */
  stage(bytes: Uint8Array, generation: number): void {
    const { control } = this;
    invariant(Atomics.load(control, STAGED) === Atomics.load(control, CURRENT), 'what was staged is switched to first');
    const slot = this.freeSlot();
    const views = this.slots[slot]!;
    if (bytes.length > views.bytes.length) {
      throw new OrchestratorError(
        'MODEL_TOO_LARGE',
        `a model of ${bytes.length} bytes; a slot has ${views.bytes.length}`,
        {
          field: 'model',
        },
      );
    }
    views.generation[0] = generation;
    views.byteCount[0] = bytes.length;
    views.bytes.set(bytes);
    // The bytes first, the version last: a reader that sees the version sees the model.
    Atomics.store(control, STAGED, this.nextVersion(slot));
  }

  switchToStaged(): void {
    Atomics.store(this.control, CURRENT, Atomics.load(this.control, STAGED));
  }

  /** Whether the reader has got ready for what is staged. */
  isReady(reader: number): boolean {
    return Atomics.load(this.control, readyAt(reader)) === Atomics.load(this.control, STAGED);
  }

  /** Only after the reader's thread has exited: its slot is free again, and its id may be given to another. */
  buryReader(reader: number): void {
    Atomics.store(this.control, hazardAt(reader), 0);
    Atomics.store(this.control, readyAt(reader), NO_VERSION);
  }

  /** The announced slot of a reader, or null. */
  announced(reader: number): number | null {
    const hazard = Atomics.load(this.control, hazardAt(reader));
    return hazard === 0 ? null : hazard - 1;
  }

  private freeSlot(): number {
    const taken = new Set<number | null>([this.slotInService()]);
    for (let reader = 0; reader < this.shared.readerCount; reader++) taken.add(this.announced(reader));
    const free = this.slots.findIndex((_views, slot) => !taken.has(slot));
    invariant(free >= 0, 'R readers and one current model leave one of R + 2 slots free');
    return free;
  }

  private slotInService(): number | null {
    const current = Atomics.load(this.control, CURRENT);
    return current === NO_VERSION ? null : slotOf(current);
  }

  private nextVersion(slot: number): number {
    this.count = (this.count + 1) | 0;
    const version = versionOf(this.count, slot);
    return version === NO_VERSION ? this.nextVersion(slot) : version;
  }
}
