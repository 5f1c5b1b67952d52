import type { ModelBundle } from '../model/bundle.js';
import { decodeBundle } from '../model/bundle-codec.js';
import type { ModelReader } from '../shared-memory/model-reader.js';
import { NO_VERSION } from '../shared-memory/model-slots-layout.js';
import { type Rehearsal, WARM_UP_ROWS } from './rehearsal.js';
import { ServedModel } from './served-model.js';

interface Held {
  readonly version: number;
  readonly model: ServedModel;
  warmUpRowsLeft: number;
}

/**
 * The published model as this thread serves it. A staged model is copied, decoded and warmed up step by step while the current one goes on answering;
 * with the switch it takes over between two signals. Belongs to one thread.
 */
export class ModelFollower {
  private serving: Held | null = null;
  private upcoming: Held | null = null;
  private readyVersion = NO_VERSION;
  /** Decoded by this thread already, before it was published. */
  private known: { readonly generation: number; readonly bundle: ModelBundle } | null = null;

  constructor(
    private readonly reader: ModelReader,
    private readonly rehearsal: Rehearsal,
  ) {}

  /** Spares decoding a bundle that this thread is about to publish itself. */
  expect(generation: number, bundle: ModelBundle): void {
    this.known = { generation, bundle };
  }

  /** The model to answer with now; null before the first. One atomic load unless it has changed. */
  current(): ServedModel | null {
    const version = this.reader.current;
    if (this.serving?.version === version) return this.serving.model;
    if (version === NO_VERSION) return null;
    if (this.upcoming?.version === version) {
      this.serving = this.upcoming;
      this.upcoming = null;
    } else {
      this.serving = this.reader.readCurrent(this.hold)?.() ?? null;
    }
    return this.serving?.model ?? null;
  }

  get hasWork(): boolean {
    return this.reader.staged !== this.readyVersion;
  }

  /** Does one step of getting ready for the staged model. False when there is nothing left to do. */
  step(): boolean {
    const version = this.reader.staged;
    if (version === this.readyVersion) return false;
    const held = this.holding(version);
    if (held === null) {
      this.upcoming = this.reader.readStaged(this.hold)?.() ?? null;
      return true;
    }
    if (held.warmUpRowsLeft > 0) {
      held.warmUpRowsLeft -= this.rehearsal.step(held.model);
      return true;
    }
    this.readyVersion = version;
    this.reader.ready(version);
    return false;
  }

  private holding(version: number): Held | null {
    if (this.upcoming?.version === version) return this.upcoming;
    return this.serving?.version === version ? this.serving : null;
  }

  /** Copies the bytes while they are announced; what takes longer is left for after. */
  private readonly hold = (bytes: Uint8Array, generation: number, version: number): (() => Held) => {
    const bundle = this.known?.generation === generation ? this.known.bundle : null;
    const copy = bundle === null ? bytes.slice() : null;
    return () => ({
      version,
      model: new ServedModel(generation, bundle ?? decodeBundle(copy!)),
      warmUpRowsLeft: WARM_UP_ROWS,
    });
  };
}
