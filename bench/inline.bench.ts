// How long does one signal take from admission to answer on the main thread, with one instrument and with a thousand?

import { createLogger } from '../src/log.js';
import type { ModelBundle } from '../src/model/bundle.js';
import { ML4TOrchestrator } from '../src/orchestrator.js';
import { primarySides } from '../src/primary/primary-signal.js';
import { simulateMarket } from '../src/simulation/simulated-market.js';
import { checkAnswer, nowNs, quantilesOf, report, SMOKE } from './measure.js';

const SIGNALS = SMOKE ? 2_000 : 200_000;
const WARM_UP = SMOKE ? 1_000 : 50_000;
const TRAINING_BARS = SMOKE ? 8_000 : 20_000;
const HISTORY_BARS = 1_100;

// A planted edge, so that the trees earn their place: what is measured is the cost of a real model.
const training = simulateMarket({ bars: TRAINING_BARS, edge: 1, seed: 1 });
const sides = primarySides('momentum', training);

/** The model as if it had been trained on all these instruments: every answer then pays for its regime and its toxicity. */
function knowing(model: ModelBundle, names: readonly string[]): ModelBundle {
  const regime = model.regime!;
  const scale = regime.scales.training!;
  const quantiles = model.toxicityQuantiles.training!;
  return {
    ...model,
    regime: { ...regime, scales: Object.fromEntries(names.map((name) => [name, scale])) },
    toxicityQuantiles: Object.fromEntries(names.map((name) => [name, quantiles])),
  };
}

for (const instruments of [1, SMOKE ? 20 : 1000]) {
  const orchestrator = new ML4TOrchestrator(
    { training: { rounds: 100, earlyStoppingRounds: null, maxDepth: 3 } },
    { logger: createLogger('error') },
  );
  await orchestrator.start();
  const { report: trained } = await orchestrator.train({ instrumentId: 'training', bars: training, sides });
  checkAnswer(orchestrator.model?.kind === 'trees' && trained.rounds === 100, 'the bench needs a model of 100 rounds');
  const names = Array.from({ length: instruments }, (_, k) => `I${k}`);
  await orchestrator.hotSwapModel(knowing(orchestrator.model!, names));
  const history = names.map((_name, k) => simulateMarket({ bars: HISTORY_BARS, edge: 0, seed: 100 + (k % 50) }));
  for (const [k, name] of names.entries())
    for (let i = 0; i < HISTORY_BARS; i++) orchestrator.addBar(name, history[k]!.at(i));
  const timestamp = history[0]!.tsEventNs[HISTORY_BARS - 1]!;
  const durations = new Float64Array(SIGNALS);
  let checksum = 0;
  for (let k = -WARM_UP; k < SIGNALS; k++) {
    const event = {
      instrumentId: names[(k + WARM_UP) % instruments]!,
      signal: k % 2 === 0 ? 1 : -1,
      timestamp,
    } as const;
    const start = nowNs();
    const answer = orchestrator.processSignalSync(event);
    const end = nowNs();
    checkAnswer(
      answer.degraded === undefined && answer.regimeAvailable,
      'every answer comes from the model, regime included',
    );
    checksum += answer.metaConfidence;
    if (k >= 0) durations[k] = end - start;
  }
  const { p50, p90, p99, p999, max } = quantilesOf(durations);
  report(`inline enrichment, ${instruments} instrument${instruments === 1 ? '' : 's'}, 100 trees of depth 3`, {
    'p50, us': p50 / 1000,
    'p90, us': p90 / 1000,
    'p99, us': p99 / 1000,
    'p99.9, us': p999 / 1000,
    'max, us': max / 1000,
    signals: SIGNALS,
    checksum: checksum.toFixed(6),
  });
  await orchestrator.stop();
}
