import { type ErrorCode, OrchestratorError, toErrorRecord } from '../errors.js';
import type { ModelBundle } from '../model/bundle.js';
import { decodeBundle, encodeBundle } from '../model/bundle-codec.js';
import type { ModelPersistence } from '../model/persistence.js';
import type { InstallHow, ModelRecord } from '../state/records.js';

/** Where the registry is written; nothing is written without a data directory. */
export interface RegistryJournal {
  model(record: ModelRecord): void;
  forgetModel(modelId: string): void;
  flush(): Promise<void>;
}

export interface RollbackHooks {
  /** As of an installation. */
  readonly decided: (from: string, to: string) => void;
  readonly told: () => void;
  /** Model id of the champion that is to go: nothing is done when another one serves by then. Absent: whichever serves. */
  readonly from?: string;
}

export interface ModelKeeperParts {
  readonly files: ModelPersistence | null;
  readonly journal: RegistryJournal | null;
  readonly clock: { epochNs(): bigint };
  readonly publish: (bundle: ModelBundle, bytes: Uint8Array) => Promise<void>;
  /** A champion was decided on and will be published once that is durable; the model before it stays warm. */
  readonly onAdopted: (champion: ModelBundle, previous: ModelBundle | null, how: InstallHow) => void;
  /** `from`: the model id that served before, '' for none. */
  readonly onPublished: (from: string) => void;
}

/** Model files kept: those in a role, and the newest of the rest, which recorded answers may have come from. */
const FILES_KEPT = 50;

/**
 * 'kept': another champion than the decision was about serves. 'serves-already': the champion is
 * this very model, and goes on as it was.
 */
export type InstallEnd = 'installed' | 'kept' | 'serves-already';

export interface InstallHooks {
  /** Model id of the champion the decision is about, '' for none: if another one serves when its turn has come, the model is only kept. Absent: whichever serves. */
  readonly against?: string;
  /** Runs in the same step as the registry changes, so that what it records becomes durable with them or not at all. */
  readonly decided?: (end: InstallEnd) => void;
  /** Runs once that is durable, before the publication. */
  readonly told?: () => void;
}

/** Which model serves, which one before it stays warm, and which wait as candidates. Decisions come one after the other; each is persisted, then published. */
export class ModelKeeper {
  champion: ModelBundle | null = null;
  previous: ModelBundle | null = null;
  private readonly records = new Map<string, ModelRecord>();
  private turn: Promise<unknown> = Promise.resolve();
  private readonly forgotten: string[] = [];

  constructor(private readonly parts: ModelKeeperParts) {}

  /** Takes up what was stored. A file that cannot be read, or whose model `usable` refuses by throwing, is told to `onUnusable` and left out; its record stays. */
  async restore(
    records: Iterable<ModelRecord>,
    usable: (bundle: ModelBundle) => void,
    onUnusable: (record: ModelRecord, code: ErrorCode, reason: string) => void,
  ): Promise<void> {
    for (const record of records) this.records.set(record.modelId, record);
    const load = async (role: ModelRecord['role']): Promise<ModelBundle | null> => {
      const record = [...this.records.values()].find((one) => one.role === role);
      if (record === undefined || this.parts.files === null) return null;
      try {
        const bundle = decodeBundle(await this.parts.files.read(record.fileName));
        usable(bundle);
        return bundle;
      } catch (error) {
        const { code, message } = toErrorRecord(error, 'MODEL_CORRUPT');
        onUnusable(record, code, message);
        return null;
      }
    };
    this.champion = await load('champion');
    this.previous = await load('previous');
  }

  /** Model id of the registered champion, whether it could be loaded or not; '' for none. */
  get championId(): string {
    return [...this.records.values()].find(({ role }) => role === 'champion')?.modelId ?? this.champion?.modelId ?? '';
  }

  /** Whether a champion is registered that could not be loaded: then none serves until somebody restores its file, rolls back or installs another. */
  get isChampionMissing(): boolean {
    return this.champion === null && this.championId !== '';
  }

  /** Takes up the one model of a directory without a registry. */
  adopt(champion: ModelBundle | null): void {
    this.champion = champion;
    if (champion !== null) this.parts.onAdopted(champion, null, 'swapped');
  }

  /** Every model that is known, newest first. */
  get models(): ModelRecord[] {
    return [...this.records.values()].sort((a, b) => Number(b.createdAtNs - a.createdAtNs));
  }

  /**
   * Makes the bundle the champion. One that was made again and serves already changes nothing,
   * unless somebody swaps it in by hand. Rejects with MODEL_NOT_SAVED, or what {@link decodeBundle}
   * throws; the old champion then stays.
   */
  install(bytes: Uint8Array, how: InstallHow, hooks: InstallHooks = {}): Promise<InstallEnd> {
    return this.next(async () => {
      const bundle = decodeBundle(bytes);
      const before = this.champion;
      if (hooks.against !== undefined && hooks.against !== (before?.modelId ?? '')) {
        await this.keepNow(bytes, () => hooks.decided?.('kept'));
        hooks.told?.();
        return 'kept';
      }
      const fileName = await this.store(bytes, true);
      if (bundle.modelId === before?.modelId && how !== 'swapped') {
        hooks.decided?.('serves-already');
        await this.parts.journal?.flush();
        hooks.told?.();
        return 'serves-already';
      }
      hooks.decided?.('installed');
      // The same trees in another standing, or the same bundle once more, have the same rival as before.
      const isSame = how === 'full' || bundle.modelId === before?.modelId;
      this.assign(bundle, isSame ? this.previous : before, fileName, how);
      await this.parts.journal?.flush();
      hooks.told?.();
      await this.parts.publish(bundle, bytes);
      this.parts.onPublished(before?.modelId ?? '');
      await this.removeForgotten();
      return 'installed';
    });
  }

  /** Stores a model that does not serve. */
  keep(bytes: Uint8Array, decided: () => void): Promise<void> {
    return this.next(() => this.keepNow(bytes, decided));
  }

  /** Puts the previous champion back, if the one that serves is still the one named; the default names whichever serves. Rejects with NO_PREVIOUS_MODEL. */
  rollback({ decided, told, from }: RollbackHooks): Promise<void> {
    return this.next(async () => {
      const { previous, championId } = this;
      if (from !== undefined && from !== championId) return;
      if (previous === null) {
        throw new OrchestratorError('NO_PREVIOUS_MODEL', 'no earlier champion is kept to go back to');
      }
      const bytes = encodeBundle(previous);
      const fileName = await this.store(bytes, true);
      decided(championId, previous.modelId);
      this.assign(previous, null, fileName, 'rolled-back');
      await this.parts.journal?.flush();
      told();
      await this.parts.publish(previous, bytes);
      this.parts.onPublished(championId);
    });
  }

  /** File of a known model. Rejects with NO_SUCH_MODEL, or as {@link ModelPersistence.read} does. */
  async bytesOf(modelId: string): Promise<Uint8Array> {
    const record = this.records.get(modelId);
    if (record === undefined || this.parts.files === null) {
      throw new OrchestratorError('NO_SUCH_MODEL', `no model ${modelId} is kept`, { field: 'modelId' });
    }
    return this.parts.files.read(record.fileName);
  }

  /** Resolves when all decisions so far are carried out. */
  async settled(): Promise<void> {
    await this.turn;
  }

  private async keepNow(bytes: Uint8Array, decided: () => void): Promise<void> {
    const bundle = decodeBundle(bytes);
    const fileName = await this.store(bytes, false);
    decided();
    if (this.records.get(bundle.modelId) === undefined) this.record(bundle, 'candidate', 'candidate', fileName);
    this.forgetOld();
    await this.parts.journal?.flush();
    await this.removeForgotten();
  }

  private next<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.turn.then(step);
    this.turn = turn.catch(() => undefined);
    return turn;
  }

  /** Without a registry the directory's own pointer says which file serves. */
  private async store(bytes: Uint8Array, serves: boolean): Promise<string> {
    const { files, journal } = this.parts;
    if (files === null) return '';
    if (serves && journal === null) await files.save(bytes);
    return files.store(bytes);
  }

  private assign(champion: ModelBundle, previous: ModelBundle | null, fileName: string, how: InstallHow): void {
    for (const record of this.records.values()) {
      if (record.role === 'champion' || record.role === 'previous') this.rewrite({ ...record, role: 'retired' });
    }
    const kept = previous === null ? undefined : this.records.get(previous.modelId);
    if (kept !== undefined) this.rewrite({ ...kept, role: 'previous' });
    this.record(champion, 'champion', how, fileName);
    this.champion = champion;
    this.previous = previous;
    this.forgetOld();
    this.parts.onAdopted(champion, previous, how);
  }

  private record(bundle: ModelBundle, role: ModelRecord['role'], how: InstallHow, fileName: string): void {
    const { modelId } = bundle;
    // Of a model that was made again, the first time counts: its file is the first one's.
    const createdAtNs = this.records.get(modelId)?.createdAtNs ?? bundle.createdAtNs;
    this.rewrite({ modelId, fileName, createdAtNs, role, sinceNs: this.parts.clock.epochNs(), how });
  }

  private rewrite(record: ModelRecord): void {
    this.records.set(record.modelId, record);
    this.parts.journal?.model(record);
  }

  /**
   * After the registry no longer knows them, so that it never names a file that is gone: a
   * forgotten model may have been made again meanwhile.
   */
  private async removeForgotten(): Promise<void> {
    const named = new Set([...this.records.values()].map(({ fileName }) => fileName));
    for (const fileName of this.forgotten.splice(0)) {
      if (fileName !== '' && !named.has(fileName)) await this.parts.files?.remove(fileName);
    }
  }

  private forgetOld(): void {
    // Retired models have answered: their files go last.
    const of = (role: ModelRecord['role']): ModelRecord[] => this.models.filter((one) => one.role === role);
    const idle = [...of('retired'), ...of('candidate')];
    for (const { modelId, fileName } of idle.slice(FILES_KEPT)) {
      this.records.delete(modelId);
      this.parts.journal?.forgetModel(modelId);
      this.forgotten.push(fileName);
    }
  }
}
