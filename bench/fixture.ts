import type { OrchestratorConfigInput } from '../src/config.js';
import { createLogger } from '../src/log.js';
import type { Bar } from '../src/market/bar.js';
import type { SignalEvent } from '../src/market/events.js';
import type { ModelBundle } from '../src/model/bundle.js';
import { ML4TOrchestrator } from '../src/orchestrator.js';
import { primarySides } from '../src/primary/primary-signal.js';
import { simulateMarket } from '../src/simulation/simulated-market.js';
import { checkAnswer, SMOKE } from './measure.js';

const TRAINING_BARS = SMOKE ? 4_000 : 8_000;
export const HISTORY_BARS = 256;
/** Different price histories; instruments beyond share them. */
const HISTORIES = 50;

const BAR_NS = 60_000_000_000n;

/** A bundle of real trees on a market with a planted edge: what is measured is the cost of a real model. */
export async function trainedBundle(rounds: number, maxDepth = 3): Promise<ModelBundle> {
  const bars = simulateMarket({ bars: TRAINING_BARS, edge: 1, seed: 1 });
  const sides = primarySides('momentum', bars);
  const orchestrator = new ML4TOrchestrator(
    { dispatch: 'inline', firstModel: 'always', training: { rounds, earlyStoppingRounds: null, maxDepth, eta: 0.2 } },
    { logger: createLogger('error') },
  );
  await orchestrator.start();
  await orchestrator.train({ instrumentId: 'training', bars, sides });
  const { model } = orchestrator;
  await orchestrator.stop();
  checkAnswer(model?.kind === 'trees' && model.rounds === rounds, `a model of ${rounds} rounds`);
  return model!;
}

/** The model as if it had been trained on all these instruments: every answer then pays for its regime and its toxicity. */
export function knowing(model: ModelBundle, names: readonly string[]): ModelBundle {
  const scale = model.regime!.scales.training!;
  const quantiles = model.toxicityQuantiles.training!;
  return {
    ...model,
    instrumentIds: names,
    regime: { ...model.regime!, scales: Object.fromEntries(names.map((name) => [name, scale])) },
    toxicityQuantiles: Object.fromEntries(names.map((name) => [name, quantiles])),
  };
}

export function instrumentNames(count: number): string[] {
  return Array.from({ length: count }, (_, k) => `I${k}`);
}

const histories = new Map<number, readonly Bar[]>();

/** The bars of the k-th instrument; all instruments have the same times. */
export function barsOf(k: number): readonly Bar[] {
  const seed = 100 + (k % HISTORIES);
  const known = histories.get(seed);
  if (known !== undefined) return known;
  const series = simulateMarket({ bars: HISTORY_BARS, edge: 0, seed });
  const bars = Array.from({ length: HISTORY_BARS }, (_, bar) => series.at(bar));
  histories.set(seed, bars);
  return bars;
}

/** A running system with bars of every instrument. */
export interface Rig {
  readonly orchestrator: ML4TOrchestrator;
  /** The k-th signal of the workload: instruments in turn, sides alternating, all on the newest bar. */
  readonly signal: (k: number) => SignalEvent;
  /** So many more bars of every instrument: signals whose horizon that is are closed, as they would be in service. */
  readonly advance: (bars: number) => void;
}

export async function startRig(
  config: OrchestratorConfigInput,
  model: ModelBundle | null,
  instrumentCount: number,
): Promise<Rig> {
  const orchestrator = new ML4TOrchestrator(config, { logger: createLogger('error') });
  await orchestrator.start();
  const names = instrumentNames(instrumentCount);
  if (model !== null) await orchestrator.hotSwapModel(knowing(model, names));
  for (const [k, name] of names.entries()) for (const bar of barsOf(k)) orchestrator.addBar(name, bar);
  let timestamp = barsOf(0)[HISTORY_BARS - 1]!.tsEventNs;
  const advance = (bars: number): void => {
    for (let bar = 0; bar < bars; bar++) {
      timestamp += BAR_NS;
      for (const [k, name] of names.entries()) {
        orchestrator.addBar(name, { ...barsOf(k)[HISTORY_BARS - 1]!, tsEventNs: timestamp });
      }
    }
  };
  const signal = (k: number): SignalEvent => ({
    instrumentId: names[k % instrumentCount]!,
    signal: k % 2 === 0 ? 1 : -1,
    timestamp,
  });
  return { orchestrator, signal, advance };
}
