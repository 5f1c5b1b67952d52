import type { FeatureSet } from '../features/feature-set.js';
import type { TripleBarrier } from '../labeling/triple-barrier.js';
import type { ModelBundle } from '../model/bundle.js';
import { type GateEvidence, judgeChallenger } from '../retrain/strict-gate.js';
import type { StrictVerdict } from '../retrain/verdict.js';
import { commonCalendar } from './calendar.js';
import { checkLookAhead } from './check-look-ahead.js';
import { labelsOf, predict } from './fit.js';
import { judgedR, signalsPerDay, spanOf } from './out-of-sample.js';
import { withRegime } from './regime-column.js';
import type { TrainingRequest } from './train-model.js';
import type { TrainingPlan } from './training-plan.js';
import type { TrainingSeries } from './training-series.js';
import { buildTrainingSet, type TrainingSet } from './training-set.js';
import { gateStart } from './windows.js';

/** A champion that defends its place, and the instant from which on the challenger is tested, having seen nothing of it. */
export interface Challenge {
  readonly champion: ModelBundle;
  readonly testStartNs: bigint;
  readonly series: readonly TrainingSeries[];
  readonly plan: TrainingPlan;
}

/** null where no champion defends its place: there is none, it answers another question, or it has no trees and a first model may serve provisionally. */
export function challengeOf(
  champion: ModelBundle | null,
  series: readonly TrainingSeries[],
  plan: TrainingPlan,
  features: FeatureSet,
): Challenge | null {
  if (champion === null || !answersSameQuestion(champion, features, plan.labels)) return null;
  if (champion.kind === 'base-rate' && plan.firstModel !== 'strict') return null;
  const calendarNs = commonCalendar(series.map(({ bars }) => bars));
  const start = gateStart(calendarNs, champion.trainingEndNs, plan);
  // With nothing unseen the challenger is trained on everything, and there is nothing to test it on.
  const testStartNs = calendarNs[start] ?? (calendarNs[calendarNs.length - 1] ?? 0n) + 1n;
  return { champion, testStartNs, series, plan };
}

export function answersSameQuestion(bundle: ModelBundle, features: FeatureSet, labels: TripleBarrier): boolean {
  const names = Object.keys(labels) as (keyof TripleBarrier)[];
  return (
    bundle.featureFingerprint === features.fingerprint && names.every((name) => bundle.labels[name] === labels[name])
  );
}

/**
 * The gate's verdict on a challenger that was trained on what came before the test. Throws
 * LOOK_AHEAD_SUSPECTED, and as {@link buildTrainingSet} does.
 */
export function judgeAgainst(
  { champion, testStartNs, series, plan }: Challenge,
  challenger: ModelBundle,
  options: Pick<TrainingRequest, 'alpha' | 'force' | 'testedUntilNs'>,
  features: FeatureSet,
): StrictVerdict {
  const installs = challenger.kind;
  const forced = (sentence: string, gate: StrictVerdict['gate']): StrictVerdict => ({
    kind: 'strict',
    verdict: 'forced',
    installs,
    gate,
    sentence: `Installed by request. ${sentence}`,
  });
  if (challenger.kind === 'base-rate' && champion.kind === 'base-rate') {
    const sentence = 'Neither the champion nor what was trained has trees: there is nothing to test.';
    if (options.force) return forced(sentence, null);
    return { kind: 'strict', verdict: 'insufficient-evidence', installs: null, gate: null, sentence };
  }
  const set = buildTrainingSet(series, features, plan.labels, plan.vpin);
  checkLookAhead(set, plan);
  const rows = rowsFrom(set, testStartNs);
  const gate = judgeChallenger({
    ...pairedEvidence(set, rows, plan.labels),
    challenger: predictWith(challenger, set, features, rows),
    champion: predictWith(champion, set, features, rows),
    baseRate: champion.baseRate,
    challengerHasTrees: challenger.kind === 'trees',
    freshShare: freshShareOf(set, rows, options.testedUntilNs),
    alpha: options.alpha,
    alphaPerTest: plan.alphaPerTest,
  });
  if (options.force) return forced(gate.sentence, gate);
  const { verdict, sentence } = gate;
  return { kind: 'strict', verdict, installs: verdict === 'promote' ? installs : null, gate, sentence };
}

function freshShareOf(set: TrainingSet, rows: Int32Array, testedUntilNs: bigint | null): number {
  if (testedUntilNs === null || rows.length === 0) return 1;
  return rows.filter((row) => set.calendarNs[set.start[row]!]! > testedUntilNs).length / rows.length;
}

/** Labelled signals from an instant on, in order of time. */
export function rowsFrom(set: TrainingSet, startNs: bigint): Int32Array {
  return Int32Array.from(set.start.keys()).filter((row) => set.calendarNs[set.start[row]!]! >= startNs);
}

/** What the gate needs to know of the labels, whoever predicts them. */
export function pairedEvidence(
  set: TrainingSet,
  rows: Int32Array,
  labels: TripleBarrier,
): Pick<GateEvidence, 'metaLabel' | 'grossR' | 'span' | 'signalsPerDay' | 'meanConcurrency'> {
  const none = { position: rows, start: 0, end: 1, dependenceBars: 1 };
  const span = rows.length === 0 ? none : spanOf(set, rows);
  const independent = rows.reduce((sum, row) => sum + set.uniqueness[row]!, 0);
  return {
    meanConcurrency: rows.length === 0 ? 1 : Math.max(1, rows.length / independent),
    metaLabel: labelsOf(set, rows),
    grossR: judgedR(set, rows, labels),
    span,
    signalsPerDay: rows.length === 0 ? Number.NaN : signalsPerDay(set, rows.length, span),
  };
}

/** A bundle's confidences, as it would have answered: its own regimes, its own trust. */
export function predictWith(
  bundle: ModelBundle,
  set: TrainingSet,
  features: FeatureSet,
  rows: Int32Array,
): Float64Array {
  return predict(bundle, withRegime(set, features, bundle.regime, rows), rows);
}
