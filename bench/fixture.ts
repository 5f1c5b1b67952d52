import type { OrchestratorConfigInput } from '../src/config.js';
import { createLogger } from '../src/log.js';
import type { SignalEvent } from '../src/market/events.js';
import type { ModelBundle } from '../src/model/bundle.js';
import { ML4TOrchestrator } from '../src/orchestrator.js';
import { primarySides } from '../src/primary/primary-signal.js';
import { simulateMarket } from '../src/simulation/simulated-market.js';
import { checkAnswer, SMOKE } from './measure.js';

const TRAINING_BARS = SMOKE ? 4_000 : 8_000;
const HISTORY_BARS = 256;
/** Different price histories; instruments beyond share them. */
const HISTORIES = 50;

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

/** A running system with bars of every instrument. */
export interface Rig {
  readonly orchestrator: ML4TOrchestrator;
  /** The k-th signal of the workload: instruments in turn, sides alternating, all on the newest bar. */
  readonly signal: (k: number) => SignalEvent;
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
  const histories = Array.from({ length: Math.min(HISTORIES, instrumentCount) }, (_, k) =>
    simulateMarket({ bars: HISTORY_BARS, edge: 0, seed: 100 + k }),
  );
  for (const [k, name] of names.entries()) {
    const history = histories[k % HISTORIES]!;
    for (let bar = 0; bar < HISTORY_BARS; bar++) orchestrator.addBar(name, history.at(bar));
  }
  const timestamp = histories[0]!.tsEventNs[HISTORY_BARS - 1]!;
  const signal = (k: number): SignalEvent => ({
    instrumentId: names[k % instrumentCount]!,
    signal: k % 2 === 0 ? 1 : -1,
    timestamp,
  });
  return { orchestrator, signal };
}
