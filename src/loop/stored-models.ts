import { join } from 'node:path';
import { OrchestratorError } from '../errors.js';
import type { ModelBundle } from '../model/bundle.js';
import { decodeBundle } from '../model/bundle-codec.js';
import { readModelFile } from '../model/persistence.js';
import type { ModelRecord } from '../state/records.js';
import { MODELS_FOLDER } from './open-loop.js';

/** The registry of a data directory with its model files, for tools that only read. */
export class StoredModels {
  /** Newest first. */
  readonly records: readonly ModelRecord[];

  constructor(
    private readonly dataDir: string,
    records: Iterable<ModelRecord>,
  ) {
    this.records = [...records].sort((a, b) => Number(b.createdAtNs - a.createdAtNs));
  }

  /** Throws NO_SUCH_MODEL. */
  recordOf(modelId: string): ModelRecord {
    const record = this.records.find((one) => one.modelId === modelId);
    if (record !== undefined) return record;
    const message = `no model ${modelId} is kept under ${this.dataDir}`;
    throw new OrchestratorError('NO_SUCH_MODEL', message, { field: 'modelId' });
  }

  /** Rejects with NO_SUCH_MODEL, MODEL_NOT_FOUND where the file is gone, FILE_UNREADABLE, as {@link decodeBundle} throws, and with MODEL_CORRUPT for a file that holds another model than it is kept as. */
  async read(modelId: string): Promise<ModelBundle> {
    const { fileName } = this.recordOf(modelId);
    const bundle = decodeBundle(await readModelFile(join(this.dataDir, MODELS_FOLDER, fileName)));
    if (bundle.modelId === modelId) return bundle;
    throw new OrchestratorError('MODEL_CORRUPT', `${fileName} holds model ${bundle.modelId}`, { field: 'model' });
  }
}
