import type { RegistryJournal } from '../../src/loop/model-keeper.js';
import { decodeBundle } from '../../src/model/bundle-codec.js';
import type { ModelPersistence } from '../../src/model/persistence.js';
import type { ModelRecord, ModelRole } from '../../src/state/records.js';

/** A registry in memory that remembers in which order it was asked for what. Flushes wait for {@link release} while {@link isHeld}. */
export class RecordingJournal implements RegistryJournal {
  readonly records = new Map<string, ModelRecord>();
  isHeld = false;
  /** What a flush fails with, if it does. */
  fault: Error | null = null;
  private waiting: (() => void)[] = [];

  constructor(readonly calls: string[]) {}

  model(record: ModelRecord): void {
    this.records.set(record.modelId, record);
    this.calls.push(`record ${record.role}`);
  }

  forgetModel(modelId: string): void {
    this.records.delete(modelId);
    this.calls.push('forget');
  }

  async flush(): Promise<void> {
    this.calls.push('flush');
    if (this.isHeld) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (this.fault !== null) throw this.fault;
  }

  release(): void {
    this.isHeld = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Ids of the models in a role. */
  inRole(role: ModelRole): string[] {
    return [...this.records.values()].filter((record) => record.role === role).map(({ modelId }) => modelId);
  }
}

/** Model files in memory, as far as a keeper asks for them. Storing waits for {@link release} while {@link isHeld}, and fails while there is a {@link fault}. */
export class RecordingFiles {
  readonly stored = new Map<string, Uint8Array>();
  fault: Error | null = null;
  isHeld = false;
  private waiting: (() => void)[] = [];

  constructor(readonly calls: string[]) {}

  /** As the keeper knows it. */
  get asPersistence(): ModelPersistence {
    return this as unknown as ModelPersistence;
  }

  async store(bytes: Uint8Array): Promise<string> {
    if (this.isHeld) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (this.fault !== null) throw this.fault;
    const name = `file of ${decodeBundle(bytes).modelId}`;
    // As on disk: a model that was made again is not written again.
    if (!this.stored.has(name)) this.stored.set(name, bytes.slice());
    this.calls.push('store');
    return name;
  }

  async read(name: string): Promise<Uint8Array> {
    const bytes = this.stored.get(name);
    if (bytes === undefined) throw new Error(`no ${name}`);
    return bytes;
  }

  async remove(name: string): Promise<void> {
    this.stored.delete(name);
    this.calls.push('remove');
  }

  release(): void {
    this.isHeld = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
