import {
  CURRENT,
  hazardAt,
  type ModelSlotViews,
  modelControlWords,
  modelSlotViews,
  NO_VERSION,
  readyAt,
  type SharedModelSlots,
  STAGED,
  slotOf,
} from './model-slots-layout.js';

/** Pulls models out of the slots under one reader id, which no other thread uses at the same time. */
export class ModelReader {
  private readonly control: Int32Array;
  private readonly slots: readonly ModelSlotViews[];

  constructor(
    shared: SharedModelSlots,
    private readonly id: number,
  ) {
    this.control = modelControlWords(shared);
    this.slots = modelSlotViews(shared);
  }

  /** Version to answer with; {@link NO_VERSION} before the first. One load: cheap enough for every batch. */
  get current(): number {
    return Atomics.load(this.control, CURRENT);
  }

  /** Version to get ready for; equal to the current one unless a swap is on its way. */
  get staged(): number {
    return Atomics.load(this.control, STAGED);
  }

  /** Says that nothing is left to do before this version can be answered with. */
  ready(version: number): void {
    Atomics.store(this.control, readyAt(this.id), version);
  }

  /**
   * Lets `use` read the current model where it lies. The writer leaves the slot alone until `use` returns, however many models it publishes meanwhile;
   * the bytes must not be kept. Undefined before the first model.
   */
  readCurrent<T>(use: (bytes: Uint8Array, generation: number, version: number) => T): T | undefined {
    return this.readAt(CURRENT, use);
  }

  /** As {@link readCurrent}, of the staged model. */
  readStaged<T>(use: (bytes: Uint8Array, generation: number, version: number) => T): T | undefined {
    return this.readAt(STAGED, use);
  }

  private readAt<T>(word: number, use: (bytes: Uint8Array, generation: number, version: number) => T): T | undefined {
    const { control } = this;
    const hazard = hazardAt(this.id);
    let version = Atomics.load(control, word);
    for (;;) {
      if (version === NO_VERSION) return undefined;
      Atomics.store(control, hazard, slotOf(version) + 1);
      // Announced first, looked at again after: the slot cannot have been given to another model in between.
      const again = Atomics.load(control, word);
      if (again === version) break;
      version = again;
    }
    try {
      const { bytes, byteCount, generation } = this.slots[slotOf(version)]!;
      return use(bytes.subarray(0, byteCount[0]), generation[0]!, version);
    } finally {
      Atomics.store(control, hazard, 0);
    }
  }
}
