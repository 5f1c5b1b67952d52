import { join } from 'node:path';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from './captured-log.js';
import { COMMON_CONFIG, twoBundles } from './reference-answers.js';

let bundles: Promise<[ModelBundle, ModelBundle]> | undefined;

/** Nothing of an answer depends on how fast the machine is. */
export const DRILL_CONFIG = {
  ...COMMON_CONFIG,
  store: { instrumentsMax: 8, barsPerInstrument: 1024 },
  inferenceTimeoutMs: 60_000,
  workers: 1,
  barAgeMaxNs: String(2n ** 62n),
  retrain: { mode: 'manual' },
} satisfies OrchestratorConfigInput;

/** A configuration whose processes serve the one model from their start on. */
export async function withModel(root: string, name: string, isDurable: boolean): Promise<OrchestratorConfigInput> {
  bundles ??= twoBundles();
  const [bundle] = await bundles;
  const path = join(root, name);
  const config = { ...DRILL_CONFIG, ...(isDurable ? { dataDir: path } : { modelPath: path }) };
  const orchestrator = new ML4TOrchestrator(config, { logger: silentLogger });
  await orchestrator.start();
  await orchestrator.hotSwapModel(bundle);
  await orchestrator.stop();
  return config;
}
