import type { BundleMetrics, ModelBundle } from '../model/bundle.js';
import { type FirstModelFinding, testFirstModel } from '../retrain/first-model.js';
import { type DecidedFirstModel, decideFirstModel, type IncumbentKind } from '../retrain/first-verdict.js';
import { slopeEvidence } from '../validation/slope.js';
import type { OutOfSample } from './folds.js';
import { judgedR, signalsPerDay } from './out-of-sample.js';
import type { TrainingPlan } from './training-plan.js';
import type { TrainingSet } from './training-set.js';

export interface FirstModelParts {
  readonly set: TrainingSet;
  readonly plan: TrainingPlan;
  readonly pooled: OutOfSample;
  readonly metrics: BundleMetrics;
  readonly lambda: number;
  readonly attempt: number;
  /** Install the trees, whatever the test says. */
  readonly force: boolean;
  readonly incumbent: ModelBundle | null;
}

/** The verdict on a model that no champion with trees stands against. */
export function judgeFirstModel(parts: FirstModelParts): DecidedFirstModel {
  const { pooled, plan, metrics, lambda, force } = parts;
  return decideFirstModel({
    nTest: pooled.rows.length,
    logLoss: metrics.logLoss,
    baseRateLogLoss: metrics.baseRateLogLoss,
    lambda,
    policy: plan.firstModel,
    force,
    finding: findFirstModel(parts),
    comparison: incumbentKind(parts.incumbent),
  });
}

/** The first-model test on the pooled test signals. */
function findFirstModel({ set, pooled, plan, metrics, attempt }: FirstModelParts): FirstModelFinding {
  const { rows, effectiveN, span, confidence } = pooled;
  return testFirstModel({
    attempt,
    slope: slopeEvidence(confidence, judgedR(set, rows, plan.labels), span),
    gain: metrics.baseRateLogLoss - metrics.logLoss,
    overlap: rows.length / effectiveN,
    signalsPerDay: signalsPerDay(set, rows.length, span),
    alphaPerTest: plan.alphaPerTest,
  });
}

function incumbentKind(incumbent: ModelBundle | null): IncumbentKind {
  if (incumbent === null) return 'no-incumbent';
  return incumbent.kind === 'base-rate' ? 'incumbent-without-trees' : 'incumbent-not-comparable';
}
