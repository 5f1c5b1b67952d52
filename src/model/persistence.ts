import { mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { OrchestratorError, toErrorRecord } from '../errors.js';
import type { Logger } from '../log.js';
import type { ModelBundle } from './bundle.js';
import { decodeBundle } from './bundle-codec.js';

const VERSIONS_KEPT = 5;
const CURRENT_FILE = 'current';
const MODEL_FILE = /^\d{20}-[0-9a-f]{16}\.ml4t$/;

/**
 * Model bundles in one directory: immutable files named by the time of their first making and their
 * id, and a `current` pointer to the one in service. Every file is written under another name,
 * synced, renamed into place, and the directory synced, so a crash leaves the old state or the new
 * one.
 */
export class ModelPersistence {
  constructor(
    readonly directory: string,
    private readonly logger: Logger,
  ) {}

  /**
   * Stores the bundle, points `current` at it and forgets all but the newest five. What is stored,
   * as {@link store} says. Throws what {@link decodeBundle} throws, or MODEL_NOT_SAVED.
   */
  async save(bytes: Uint8Array): Promise<ModelBundle> {
    const { name, bundle } = await this.put(bytes);
    try {
      await this.replace(CURRENT_FILE, new TextEncoder().encode(`${name}\n`));
      await this.forgetOld(name);
    } catch (error) {
      throw this.notSaved(error);
    }
    return bundle;
  }

  /**
   * Stores a file and leaves `current` alone. A model has one file: one that was made again is not
   * written again. Its name; throws as {@link save} does.
   */
  async store(bytes: Uint8Array): Promise<string> {
    return (await this.put(bytes)).name;
  }

  private async put(bytes: Uint8Array): Promise<{ name: string; bundle: ModelBundle }> {
    const bundle = decodeBundle(bytes);
    try {
      await mkdir(this.directory, { recursive: true });
      const known = await this.nameOf(bundle.modelId);
      const stored = known === null ? null : await this.readIntact(known, bundle.modelId);
      const name = known ?? fileNameOf(bundle);
      // A damaged file is replaced under its name, which records may hold.
      if (stored === null) await this.replace(name, bytes);
      // A crash may have come between a file and its directory.
      else await this.syncDirectory();
      return { name, bundle: stored ?? bundle };
    } catch (error) {
      throw this.notSaved(error);
    }
  }

  private async nameOf(modelId: string): Promise<string | null> {
    return (await this.list()).find((name) => name.endsWith(`-${modelId}.ml4t`)) ?? null;
  }

  /** null for a file that does not hold this model whole. */
  private async readIntact(name: string, modelId: string): Promise<ModelBundle | null> {
    try {
      const bundle = decodeBundle(await this.read(name));
      return bundle.modelId === modelId ? bundle : null;
    } catch {
      return null;
    }
  }

  /** The bundle `current` points at, or null: then nothing was stored yet, or it is damaged or gone, which is logged with its code. Never throws for what is on disk. */
  async loadCurrent(): Promise<ModelBundle | null> {
    try {
      return await this.readCurrent();
    } catch (error) {
      const { code, message, field } = toErrorRecord(error, 'MODEL_CORRUPT');
      const nothingStored = code === 'MODEL_NOT_FOUND' && field === CURRENT_FILE;
      if (!nothingStored)
        this.logger.error({ code, reason: message }, 'the stored model cannot be used; starting without one');
      return null;
    }
  }

  /** As {@link loadCurrent}, but throws MODEL_NOT_FOUND, or what {@link decodeBundle} throws. */
  async readCurrent(): Promise<ModelBundle> {
    const name = new TextDecoder().decode(await this.read(CURRENT_FILE)).trim();
    if (!MODEL_FILE.test(name))
      throw new OrchestratorError('MODEL_CORRUPT', 'the pointer to the current model is damaged', { field: 'current' });
    return decodeBundle(await this.read(name));
  }

  /** File names of the stored bundles, newest first. */
  async list(): Promise<string[]> {
    const names = await readdir(this.directory);
    return names
      .filter((name) => MODEL_FILE.test(name))
      .sort()
      .reverse();
  }

  /** Forgets a file; one that is gone already is no error. */
  async remove(name: string): Promise<void> {
    await rm(join(this.directory, name), { force: true });
  }

  private notSaved(error: unknown): OrchestratorError {
    const reason = `cannot store a model in ${this.directory}: ${(error as Error).message}`;
    return new OrchestratorError('MODEL_NOT_SAVED', reason, { field: 'modelPath', cause: error });
  }

  /** Bytes of a stored file. Throws as {@link readModelFile} does. */
  async read(name: string): Promise<Uint8Array> {
    return readModelFile(join(this.directory, name), name === CURRENT_FILE ? CURRENT_FILE : 'model');
  }

  private async replace(name: string, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.directory, `.${name}.${process.pid}.tmp`);
    try {
      await this.writeSynced(temporary, bytes);
      await rename(temporary, join(this.directory, name));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await this.syncDirectory();
  }

  private async writeSynced(path: string, bytes: Uint8Array): Promise<void> {
    const file = await open(path, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  private async syncDirectory(): Promise<void> {
    const directory = await open(this.directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  private async forgetOld(inService: string): Promise<void> {
    const old = (await this.list()).slice(VERSIONS_KEPT).filter((name) => name !== inService);
    for (const name of old) await unlink(join(this.directory, name));
  }
}

function fileNameOf({ createdAtNs, modelId }: ModelBundle): string {
  return `${String(createdAtNs).padStart(20, '0')}-${modelId}.ml4t`;
}

/** Bytes of a model file. Throws MODEL_NOT_FOUND when there is none, FILE_UNREADABLE when it cannot be read. */
export async function readModelFile(path: string, field = 'model'): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new OrchestratorError(
      missing ? 'MODEL_NOT_FOUND' : 'FILE_UNREADABLE',
      `${path}: ${(error as Error).message}`,
      {
        field,
        cause: error,
      },
    );
  }
}
