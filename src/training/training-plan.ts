import type { OrchestratorConfig } from '../config.js';
import type { FeatureName } from '../features/feature-row.js';
import { FeatureSet } from '../features/feature-set.js';
import type { TripleBarrier } from '../labeling/triple-barrier.js';
import type { BoosterParameters } from '../model/xgboost.js';
import type { FirstModelPolicy } from '../retrain/first-model.js';

/** The part of the configuration a training depends on, as plain data that crosses to the training thread. */
export interface TrainingPlan {
  readonly labels: TripleBarrier;
  readonly featureNames: readonly FeatureName[];
  readonly userFeatures: readonly string[];
  readonly vpin: OrchestratorConfig['vpin'];
  /** null: sizes from the length of the series. */
  readonly trainBars: number | null;
  readonly testBars: number | null;
  readonly embargoBars: number;
  readonly expanding: boolean;
  readonly rounds: number;
  readonly earlyStoppingRounds: number | null;
  readonly boosterParameters: BoosterParameters;
  readonly seed: number;
  readonly firstModel: FirstModelPolicy;
  /** Newest bars a challenger is tested on and not trained on; null: from the length of the series. */
  readonly gateBars: number | null;
  /** Error of one test at the promotion gate. */
  readonly alphaPerTest: number;
  readonly labelsPerFalseAlarm: number;
  /** What becomes of a training on sides that seem to know the bar they are labelled by. */
  readonly lookAhead: 'refuse' | 'allow';
}

export function trainingPlanOf(config: OrchestratorConfig): TrainingPlan {
  const { training } = config;
  return {
    labels: config.labels,
    featureNames: config.featureNames,
    userFeatures: config.userFeatures,
    vpin: config.vpin,
    trainBars: training.trainBars,
    testBars: training.testBars,
    embargoBars: training.embargoBars,
    expanding: training.expanding,
    rounds: training.rounds,
    earlyStoppingRounds: training.earlyStoppingRounds,
    boosterParameters: {
      max_depth: training.maxDepth,
      eta: training.eta,
      subsample: training.subsample,
      colsample_bytree: training.colsampleByTree,
      lambda: training.lambda,
      gamma: training.gamma,
      min_child_weight: training.minChildWeight,
      seed: training.seed,
    },
    seed: training.seed,
    firstModel: config.firstModel,
    gateBars: config.retrain.testBars,
    alphaPerTest: config.retrain.errorPerYear / config.retrain.maxTestsPerYear,
    labelsPerFalseAlarm: config.retrain.labelsPerFalseAlarm,
    lookAhead: training.lookAhead,
  };
}

/** The features of this configuration; VPIN's parameters are part of their meaning. */
export function featureSetOf(plan: Pick<TrainingPlan, 'featureNames' | 'userFeatures' | 'vpin'>): FeatureSet {
  return new FeatureSet(plan.featureNames, plan.userFeatures, { ...plan.vpin });
}
