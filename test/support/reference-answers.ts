import type { BarSeries } from '../../src/market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { ANSWER_FIELDS } from './answer-bits.js';
import { bundleFor, FAST_VPIN, FIXTURE_INSTRUMENT, fixtureBars, relabelled } from './bundles.js';
import { silentLogger } from './captured-log.js';
import { FAULT_FEATURE } from './faults.js';

export const INSTRUMENTS = [FIXTURE_INSTRUMENT, 'A', 'B', 'C', 'D', 'E', 'F', 'G'];
export const BAR_COUNT = 300;
/** What is common to the system under faults and to the one without. */
export const COMMON_CONFIG = {
  userFeatures: [FAULT_FEATURE],
  vpin: FAST_VPIN,
  sizing: { kappa: 0.002 },
  store: { instrumentsMax: 16 },
};
/** Bars that come when the test says so. */
const LATER_BARS = 128;
const BARS = INSTRUMENTS.map((_name, k) => fixtureBars(BAR_COUNT + LATER_BARS, 9 + k));

/** Gives every instrument its bars. */
export function storeBars(orchestrator: ML4TOrchestrator): void {
  for (const [k, name] of INSTRUMENTS.entries())
    for (let i = 0; i < BAR_COUNT; i++) orchestrator.addBar(name, BARS[k]!.at(i));
}

/** The bars of an instrument that follow those of {@link storeBars}. */
export function laterBars(instrument: number, count = LATER_BARS): BarSeries {
  return BARS[instrument]!.slice(BAR_COUNT, BAR_COUNT + count);
}

/** A signal at an instrument's bar that carries a fault's code, 0 for none. */
export function signalAt(instrument: number, bar: number, side: 1 | -1 = 1, code = 0): SignalEvent {
  const timestamp = BARS[instrument]!.tsEventNs[bar]!;
  return { instrumentId: INSTRUMENTS[instrument]!, signal: side, timestamp, features: { [FAULT_FEATURE]: code } };
}

/** Two bundles that answer the same signal differently and know every instrument. */
export async function twoBundles(): Promise<[ModelBundle, ModelBundle]> {
  return [await knowingBundle(1), await knowingBundle(2)];
}

async function knowingBundle(seed: number): Promise<ModelBundle> {
  const { userFeatures, vpin } = COMMON_CONFIG;
  const bundle = await bundleFor({ userFeatures, vpin, training: { seed } });
  const regime = bundle.regime!;
  const [scale, quantiles] = [regime.scales[FIXTURE_INSTRUMENT]!, bundle.toxicityQuantiles[FIXTURE_INSTRUMENT]!];
  return relabelled(bundle, {
    instrumentIds: INSTRUMENTS,
    regime: { ...regime, scales: Object.fromEntries(INSTRUMENTS.map((name) => [name, scale])) },
    toxicityQuantiles: Object.fromEntries(INSTRUMENTS.map((name) => [name, quantiles])),
  });
}

/** The same system without threads and so without faults, one for each bundle: what an answer must equal bit for bit. */
export class ReferenceAnswers {
  private readonly known = new Map<string, EnrichedSignalEvent>();

  private constructor(private readonly systems: ReadonlyMap<string, ML4TOrchestrator>) {}

  static async start(bundles: readonly ModelBundle[]): Promise<ReferenceAnswers> {
    const systems = new Map<string, ML4TOrchestrator>();
    for (const bundle of bundles) {
      const system = new ML4TOrchestrator({ ...COMMON_CONFIG, dispatch: 'inline' }, { logger: silentLogger });
      await system.start();
      storeBars(system);
      await system.hotSwapModel(bundle);
      systems.set(bundle.modelId, system);
    }
    return new ReferenceAnswers(systems);
  }

  /** Names what differs in an answer that is not degraded; empty when every bit is right. */
  differences(answer: EnrichedSignalEvent, modelId = answer.modelId): string[] {
    const { instrumentId, timestamp, signal } = answer.signalEvent;
    const key = `${modelId} ${instrumentId} ${timestamp} ${signal}`;
    const system = this.systems.get(modelId);
    if (system === undefined) return ['modelId'];
    const wanted = this.known.get(key) ?? system.processSignalSync(answer.signalEvent);
    this.known.set(key, wanted);
    return ANSWER_FIELDS.filter((name) => !Object.is(answer[name], wanted[name]));
  }

  async stop(): Promise<void> {
    for (const system of this.systems.values()) await system.stop();
  }
}
