import type { OrchestratorConfigInput } from '../../src/config.js';
import { OrchestratorConfig } from '../../src/config.js';
import type { BarSeries } from '../../src/market/bar.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { featureSetOf } from '../../src/training/training-plan.js';
import { FAST_VPIN, FIXTURE_INSTRUMENT, fastTrainedBundle, fixtureBars } from './bundles.js';
import { silentLogger } from './captured-log.js';
import { randomBars, seededRandom } from './market.js';
import { randomlyTreed, rivalsOf } from './rival-bundles.js';

/** An id as nasty as an instrument's may be, of bars without volume. */
export const NASTY_INSTRUMENT = 'BRK,"B"\n £';
export const RECORDED_BARS = 700;
/** Of the bundle's own instrument, of one it does not know, and of one without volume. */
export const RECORDED: Readonly<Record<string, BarSeries>> = {
  [FIXTURE_INSTRUMENT]: fixtureBars(RECORDED_BARS, 21),
  unknown: randomBars(RECORDED_BARS, 22, { volatility: 0.004 }),
  [NASTY_INSTRUMENT]: randomBars(RECORDED_BARS, 23, { volume: false }),
};

/** As it has to be given to whoever looks at the run. */
export const RECORDED_CONFIG = {
  vpin: FAST_VPIN,
  userFeatures: ['mood'],
  // Small, so that few sizes end at the largest.
  sizing: { kappa: 0.0005, minSize: 0.001 },
  labels: { costBps: 1 },
  // Half a ring is less than the run: windows wrap.
  store: { instrumentsMax: 4, barsPerInstrument: 256 },
} satisfies OrchestratorConfigInput;

/** Bars at which another model comes into service; at the last of them the one before comes back. */
const SWAPS = [200, 330, 460, 590];
/** Signals are sent from before there is a window. */
const FIRST_SIGNAL = 90;

/** Records bars, signals and model swaps under `dataDir`; the models, oldest first. */
export async function recordRun(dataDir: string): Promise<ModelBundle[]> {
  const config = { ...RECORDED_CONFIG, dataDir, dispatch: 'inline', retrain: { mode: 'manual' } } as const;
  const features = featureSetOf(OrchestratorConfig.parse(config));
  const bundle = await fastTrainedBundle();
  const models = rivalsOf(randomlyTreed(bundle, features, 5), SWAPS.length - 1);
  const orchestrator = new ML4TOrchestrator(config, { logger: silentLogger });
  await orchestrator.start();
  const random = seededRandom(31);
  const series = Object.entries(RECORDED);
  for (let bar = 0; bar < RECORDED_BARS; bar++) {
    const swap = SWAPS.indexOf(bar);
    if (swap === models.length) await orchestrator.rollback();
    else if (swap >= 0) await orchestrator.hotSwapModel(models[swap]!);
    for (const [instrumentId, bars] of series) {
      orchestrator.addBar(instrumentId, bars.at(bar));
      if (bar < FIRST_SIGNAL || random() < 0.3) continue;
      // Now and then about an earlier bar: as-of does not only grow.
      const seen = Math.max(0, bar - (random() < 0.1 ? Math.floor(100 * random()) : 0));
      const mood = random() < 0.2 ? Number.NaN : random();
      const signal = random() < 0.5 ? 1 : -1;
      const timestamp = bars.tsEventNs[seen]! + 1n;
      const signalId = `${instrumentId.slice(0, 5)},${bar}`;
      orchestrator.processSignalSync({ instrumentId, signal, timestamp, signalId, features: { mood } });
    }
  }
  await orchestrator.stop();
  return models;
}
