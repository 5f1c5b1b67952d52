import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/clock.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { SignalEvaluator } from '../../src/inference/evaluator.js';
import { Rehearsal, WARM_UP_ROWS } from '../../src/inference/rehearsal.js';
import { ServedModel } from '../../src/inference/served-model.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { Evaluation } from '../../src/shared-memory/evaluation.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import { FAST_VPIN, fastTrainedBundle, fixtureBars, FIXTURE_INSTRUMENT as X } from '../support/bundles.js';
import { randomlyTreed } from '../support/rival-bundles.js';

const BARS = 300;
const bars = fixtureBars(BARS, 51);
const OTHER_FEATURES: OrchestratorConfigInput = {
  featureNames: ['volatility', 'regime', 'side'],
  userFeatures: ['spread'],
};

interface Served {
  readonly config: OrchestratorConfig;
  readonly bundle: ModelBundle;
}

async function served(input: OrchestratorConfigInput, change: Partial<ModelBundle> = {}): Promise<Served> {
  const config = OrchestratorConfig.parse({ vpin: FAST_VPIN, ...input });
  const bundle = randomlyTreed({ ...(await fastTrainedBundle()), ...change }, featureSetOf(trainingPlanOf(config)), 7);
  return { config, bundle };
}

/** The rows and numbers of signals along the bars, from newest to oldest and back. */
function evaluations({ config, bundle }: Served, prepare: (model: ServedModel) => void): string[] {
  const features = featureSetOf(trainingPlanOf(config));
  const store = new FeatureStoreWriter({ instrumentsMax: 1, barsPerInstrument: 512, vpin: config.vpin });
  for (let i = 0; i < BARS; i++) store.append(X, bars.at(i));
  const model = new ServedModel(1, bundle);
  prepare(model);
  const evaluator = new SignalEvaluator(config, new FeatureStoreReader(store.shared), features, systemClock);
  const out = new Evaluation(features.columnCount);
  const userValues = new Float64Array(features.user.length).fill(0.5);
  return Array.from({ length: 120 }, (_, k) => {
    const asOf = BARS - 1 - ((k * 37) % 160);
    evaluator.evaluate({ instrument: 0, asOf, side: k % 2 === 0 ? 1 : -1, userValues }, model, out);
    const { status, confidence, regimeWeight, toxicity, size, sizeReason, row } = out;
    return [status, confidence, regimeWeight, toxicity, size, sizeReason, ...new Uint32Array(row.slice().buffer)].join(
      ' ',
    );
  });
}

/** The whole rehearsal, as a thread goes through it. Returns the rows that were scored. */
function rehearse({ config }: Served, model: ServedModel): number {
  const rehearsal = new Rehearsal(config, featureSetOf(trainingPlanOf(config)), systemClock);
  rehearsal.runWithoutModel();
  let rows = 0;
  while (rows < WARM_UP_ROWS) {
    const step = rehearsal.step(model);
    assert.ok(step > 0, 'every step gets on');
    rows += step;
  }
  return rows;
}

const cases: Readonly<Record<string, () => Promise<Served>>> = {
  'a bundle with regimes': () => served({}),
  'features of the user and a choice of the built-in ones': () => served(OTHER_FEATURES),
  'a bundle without regimes that trusts its trees with nothing': () =>
    served({}, { regime: null, kind: 'base-rate', evidence: 'none', calibration: { baseMargin: -0.3, lambda: 0 } }),
  'a bundle that knows no instrument': () => served({}, { instrumentIds: [], regime: null, toxicityQuantiles: {} }),
};

for (const [name, make] of Object.entries(cases)) {
  test(`a rehearsal leaves no trace in the answers: ${name}`, async () => {
    const subject = await make();
    const without = evaluations(subject, () => undefined);
    const after = evaluations(subject, (model) => {
      rehearse(subject, model);
    });
    assert.equal(after, without);
    assert.ok(new Set(without).size > 100, 'the signals are answered differently');
  });
}

test('the rehearsal of a second model leaves no trace either', async () => {
  const subject = await served({});
  const rehearsal = new Rehearsal(subject.config, featureSetOf(trainingPlanOf(subject.config)), systemClock);
  for (const generation of [1, 2]) {
    const model = new ServedModel(generation, subject.bundle);
    for (let rows = 0; rows < WARM_UP_ROWS; ) rows += rehearsal.step(model);
  }
  assert.equal(
    evaluations(subject, (model) => void rehearsal.step(model)),
    evaluations(subject, () => undefined),
  );
});

test.run();
