import type { OrchestratorConfigInput } from '../../src/config.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { silentLogger } from './captured-log.js';
import { HINT, type PlantedSeries } from './planted.js';

/** What a live system needs to see planted markets with the features of `plantedPlan`. */
export const PLANTED_CONFIG = {
  userFeatures: [HINT],
  vpin: { nBuckets: 10, volumeWindow: 100 },
  dispatch: 'inline',
  store: { instrumentsMax: 4 },
} as const satisfies OrchestratorConfigInput;

/** What a system that serves the bundle answers to every signal of the series at its own bar, before any later bar has come; by bar. */
export async function liveAnswers(
  bundle: ModelBundle,
  series: PlantedSeries,
): Promise<Map<number, EnrichedSignalEvent>> {
  const { instrumentId, bars, sides, features } = series;
  const system = new ML4TOrchestrator(PLANTED_CONFIG, { logger: silentLogger });
  const answers = new Map<number, EnrichedSignalEvent>();
  try {
    await system.start();
    await system.hotSwapModel(bundle);
    for (let bar = 0; bar < bars.length; bar++) {
      system.addBar(instrumentId, bars.at(bar));
      const signal = sides[bar] as -1 | 0 | 1;
      if (signal === 0) continue;
      const timestamp = bars.tsEventNs[bar]!;
      const values = { [HINT]: features[HINT]![bar]! };
      answers.set(bar, system.processSignalSync({ instrumentId, signal, timestamp, features: values }));
    }
    return answers;
  } finally {
    await system.stop();
  }
}
