import { join } from 'node:path';
import { toErrorRecord } from '../errors.js';
import type { ModelBundle } from '../model/bundle.js';
import { ModelPersistence } from '../model/persistence.js';
import { StateStore } from '../state/state-store.js';
import { checkFeatures } from './check-features.js';
import { ClosedLoop, type ClosedLoopParts } from './closed-loop.js';
import type { RestoredState } from './loop-events.js';
import type { BusPosition, LoopSnapshot } from './loop-snapshot.js';

export interface OpenedLoop {
  readonly loop: ClosedLoop;
  /** null without a data directory. */
  readonly state: StateStore<LoopSnapshot> | null;
  /** null without a data directory. */
  readonly restored: RestoredState | null;
}

/** Where a data directory keeps its model files. */
export const MODELS_FOLDER = 'models';

/**
 * The loop over what is recorded under `dataDir`, restored whole; or over the model under `modelPath`; or over nothing. A stored model that cannot be read or was trained on
 * other features is logged and left out. Throws DATA_DIR_IN_USE, DATA_DIR_UNUSABLE, STORE_DAMAGED, STORE_VERSION_UNKNOWN; then nothing is held.
 */
export async function openLoop(parts: Omit<ClosedLoopParts, 'state' | 'files'>): Promise<OpenedLoop> {
  const { config, logger, clock, store } = parts;
  const { dataDir, modelPath, retention } = config;
  if (dataDir === null) {
    const files = modelPath === null ? null : new ModelPersistence(modelPath, logger);
    const loop = new ClosedLoop({ ...parts, state: null, files });
    loop.keeper.adopt(await loadStored(files, parts));
    return { loop, state: null, restored: null };
  }
  let loop: ClosedLoop | undefined;
  // A commit is cut only after something was staged, which the loop does.
  const snapshot = (): LoopSnapshot => loop!.snapshot();
  const ordinalFloor = (): number => loop!.openFloor;
  const state = await StateStore.open<LoopSnapshot>({
    dataDir,
    logger,
    clock,
    snapshot,
    features: store,
    retention: { ...retention, ordinalFloor },
  });
  try {
    const { bars } = state.restoreWindows();
    // A process without a bus leaves what it was told by one that had it.
    const busPosition = (): BusPosition | null => parts.busPosition() ?? state.snapshot?.bus ?? null;
    const files = new ModelPersistence(join(dataDir, MODELS_FOLDER), logger);
    loop = new ClosedLoop({ ...parts, state, files, busPosition });
    const restored = await loop.restore(state, bars);
    logger.info(restored, 'restored');
    return { loop, state, restored };
  } catch (error) {
    await state.close();
    throw error;
  }
}

async function loadStored(
  files: ModelPersistence | null,
  { featureSet, logger }: Pick<ClosedLoopParts, 'featureSet' | 'logger'>,
): Promise<ModelBundle | null> {
  const stored = (await files?.loadCurrent()) ?? null;
  try {
    if (stored !== null) checkFeatures(stored, featureSet);
    return stored;
  } catch (error) {
    const { code, message } = toErrorRecord(error, 'MODEL_CORRUPT');
    logger.error({ code, reason: message }, 'the stored model cannot be used; starting without one');
    return null;
  }
}
