import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { AnswerDesk } from '../../src/inference/answer-desk.js';
import { DispatchCosts } from '../../src/inference/dispatch-costs.js';
import { SignalEvaluator } from '../../src/inference/evaluator.js';
import { InlineEvaluation } from '../../src/inference/inline-evaluation.js';
import { ModelFollower } from '../../src/inference/model-follower.js';
import { Rehearsal } from '../../src/inference/rehearsal.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { ModelReader } from '../../src/shared-memory/model-reader.js';
import { createModelSlots } from '../../src/shared-memory/model-slots-layout.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import { fixtureBars } from './bundles.js';
import { silentLogger } from './captured-log.js';
import { ManualClock } from './manual-clock.js';

const INSTRUMENTS = 8;
const MODEL_BYTES = 64;

/** The main thread's real parts without threads and without a model, on a clock that moves by `answerNs` with every answer. */
export function mainSide(input: OrchestratorConfigInput = {}, answerNs = 0, clock = new ManualClock()) {
  const config = OrchestratorConfig.parse({ store: { instrumentsMax: INSTRUMENTS, barsPerInstrument: 128 }, ...input });
  const featureSet = featureSetOf(trainingPlanOf(config));
  const store = new FeatureStoreWriter({ ...config.store, vpin: config.vpin });
  const bars = fixtureBars(110, 3);
  for (let k = 0; k < INSTRUMENTS; k++) for (let i = 0; i < bars.length; i++) store.append(`I${k}`, bars.at(i));
  const answers: EnrichedSignalEvent[] = [];
  const desk = new AnswerDesk(config, store, clock, {
    recording: { recorded: Promise.resolve() },
    answered: (answer) => {
      answers.push(answer);
      clock.advanceNs(answerNs);
    },
  });
  const rehearsal = new Rehearsal(config, featureSet, clock);
  const models = new ModelFollower(new ModelReader(createModelSlots(1, MODEL_BYTES), 0), rehearsal);
  const evaluator = new SignalEvaluator(config, new FeatureStoreReader(store.shared), featureSet, clock);
  const inline = new InlineEvaluation(models, evaluator, desk, silentLogger, featureSet.columnCount);
  return {
    clock,
    config,
    featureSet,
    store,
    desk,
    models,
    evaluator,
    inline,
    costs: new DispatchCosts(config),
    answers,
  };
}
