import { OrchestratorError } from '../errors.js';
import { BundleScorer, type ModelBundle } from '../model/bundle.js';
import { decodeBundle, encodeBundle } from '../model/bundle-codec.js';
import { flattenForest } from '../model/forest.js';
import { judgeChallenger } from '../retrain/strict-gate.js';
import type { StrictVerdict } from '../retrain/verdict.js';
import { NO_EDGE } from '../sizing/edge.js';
import { answersSameQuestion, judgeAgainst, pairedEvidence, predictWith, rowsFrom } from './challenge.js';
import { checkLookAhead } from './check-look-ahead.js';
import { featureSetOf, type TrainingPlan } from './training-plan.js';
import type { TrainingSeries } from './training-series.js';
import { buildTrainingSet } from './training-set.js';

export interface TrialRequest {
  readonly series: readonly TrainingSeries[];
  readonly plan: TrainingPlan;
  /** File of the champion: a provisional one where it is itself on trial. */
  readonly champion: Uint8Array;
  /** File of a model that was kept and wants the champion's place; null: the champion is on trial. */
  readonly candidate: Uint8Array | null;
  /** Error to spend; null: no test is left. */
  readonly alpha: number | null;
  /** As for a training; a trial of the champion takes every label since its training. */
  readonly testedUntilNs: bigint | null;
}

export interface TrialResult {
  readonly verdict: StrictVerdict;
  /** File of the bundle the verdict installs: the same trees in full standing, or the base rate in their place; null for none. */
  readonly bundle: Uint8Array | null;
}

/**
 * The strict test of a candidate against the champion, or of a provisional champion against its
 * base rate, on labels that no model on trial has seen. Throws as {@link buildTrainingSet} does,
 * LOOK_AHEAD_SUSPECTED, and USAGE for a model that cannot be tried.
 */
export function runTrial(request: TrialRequest): TrialResult {
  return request.candidate === null ? tryChampion(request) : tryCandidate(request, request.candidate);
}

function tryCandidate(request: TrialRequest, candidateFile: Uint8Array): TrialResult {
  const { series, plan, champion: file } = request;
  const champion = decodeBundle(file);
  const candidate = decodeBundle(candidateFile);
  const features = featureSetOf(plan);
  if (![champion, candidate].every((bundle) => answersSameQuestion(bundle, features, plan.labels))) {
    throw new OrchestratorError('USAGE', 'champion and candidate must have these features and labels', {
      field: 'candidate',
    });
  }
  const ends = BigInt64Array.of(champion.trainingEndNs, candidate.trainingEndNs).sort();
  const testStartNs = ends[1]! + 1n;
  const verdict = judgeAgainst(
    { champion, testStartNs, series, plan },
    candidate,
    { ...request, force: false },
    features,
  );
  const evidence = candidate.kind === 'trees' ? 'strict' : 'none';
  return { verdict, bundle: verdict.installs === null ? null : encodeBundle({ ...candidate, evidence }) };
}

/**
 * The strict test of a provisional champion against its own base rate, on every label since its training: it becomes full, is withdrawn when the base rate beats it,
 * or stays as it is. Each direction spends half of the error.
 */
function tryChampion({ series, plan, champion: file, alpha }: TrialRequest): TrialResult {
  const champion = decodeBundle(file);
  const features = featureSetOf(plan);
  if (champion.evidence !== 'provisional' || !answersSameQuestion(champion, features, plan.labels)) {
    throw new OrchestratorError('USAGE', 'only a provisional champion with these features and labels can be tried', {
      field: 'champion',
    });
  }
  const set = buildTrainingSet(series, features, plan.labels, plan.vpin);
  checkLookAhead(set, plan);
  const rows = rowsFrom(set, champion.trainingEndNs + 1n);
  const trees = predictWith(champion, set, features, rows);
  const base = new Float64Array(rows.length).fill(champion.baseRate);
  const shared = {
    ...pairedEvidence(set, rows, plan.labels),
    baseRate: champion.baseRate,
    freshShare: 1,
    alpha: alpha === null ? null : alpha / 2,
    alphaPerTest: plan.alphaPerTest / 2,
  };
  const gate = judgeChallenger({ ...shared, challenger: trees, champion: base, challengerHasTrees: true });
  if (gate.verdict === 'promote') {
    const sentence = `The provisional model keeps its place at full size. ${gate.sentence}`;
    const verdict: StrictVerdict = { kind: 'strict', verdict: 'promote', installs: 'trees', gate, sentence };
    return { verdict, bundle: encodeBundle({ ...champion, evidence: 'strict' }) };
  }
  const against = judgeChallenger({ ...shared, challenger: base, champion: trees, challengerHasTrees: false });
  if (against.verdict === 'promote') {
    const sentence = `The provisional model is withdrawn: its base rate does better. ${against.sentence}`;
    const verdict: StrictVerdict = {
      kind: 'strict',
      verdict: 'withdraw',
      installs: 'base-rate',
      gate: against,
      sentence,
    };
    return { verdict, bundle: encodeBundle(baseRateOf(champion)) };
  }
  const sentence = `The provisional model stays provisional. ${gate.sentence}`;
  const taken = { ...gate, spends: gate.spends || against.spends };
  return { verdict: { kind: 'strict', verdict: gate.verdict, installs: null, gate: taken, sentence }, bundle: null };
}

/** The same bundle without its trees. */
function baseRateOf(bundle: ModelBundle): ModelBundle {
  const { baseMargin } = bundle.calibration;
  const featureCount = bundle.featureNames.length;
  const forest = flattenForest({ baseMargin: Math.fround(baseMargin), featureCount, trees: [] });
  const calibration = { baseMargin, lambda: 0 };
  return {
    ...bundle,
    kind: 'base-rate',
    evidence: 'none',
    detectors: bundle.detectors === null ? null : { ...bundle.detectors, skillThreshold: null },
    edge: NO_EDGE,
    rounds: 0,
    forest,
    calibration,
    importance: Object.fromEntries(bundle.featureNames.map((name) => [name, 0])),
    goldenConfidences: new BundleScorer({ forest, calibration }).confidences(bundle.goldenRows),
  };
}
