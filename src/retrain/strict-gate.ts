import { OrchestratorError } from '../errors.js';
import { type BatchMeans, batchMeans, type TimeSpan } from '../validation/batch-means.js';
import { blockOverlapFactor } from '../validation/block-overlap.js';
import { type CalibrationSlope, calibrationSlope } from '../validation/calibration-slope.js';
import { brierScore, logLoss, logLossOf } from '../validation/metrics.js';
import { slopeEvidence } from '../validation/slope.js';
import { criticalT, expectedT, holdsEightBlocks, labelsForPower, smallestDetectableGain } from './gate-power.js';
import { describeVerdict } from './gate-sentence.js';

/** A challenger and a champion on identical horizon-closed labels that neither used for fitting, shrinking or calibrating. */
export interface GateEvidence {
  /** 0/1, and what the two models said of it, in [0, 1]. */
  readonly metaLabel: Uint8Array;
  readonly challenger: Float64Array;
  readonly champion: Float64Array;
  /** R-multiple of each signal before cost. */
  readonly grossR: Float64Array;
  /** Where the labels lie in time. */
  readonly span: TimeSpan;
  /** The champion's base rate: its own gain is counted from there. */
  readonly baseRate: number;
  /** A challenger without trees is a base rate: its confidence is constant and sizes nothing, so neither R's slope nor its calibration slope is asked for. */
  readonly challengerHasTrees: boolean;
  readonly signalsPerDay: number;
  /** Labels open at once, on average. */
  readonly meanConcurrency: number;
  /** Share of the labels that came after the last test that was taken. */
  readonly freshShare: number;
  /** Error this test may spend; null when no token is left. It must not depend on these labels: a token asked for after a look at the figures is spent too late. */
  readonly alpha: number | null;
  /** Error of one test, for which the figures are drawn up when there is no token. */
  readonly alphaPerTest: number;
}

/** Why a challenger was not promoted; stable. */
export type GateReason =
  /** No error is left to spend. */
  | 'no-token'
  /** Most of these labels have been tested on before: it would be the same test once more. */
  | 'tested-already'
  /** Even if the challenger were right in all it says, the test would not show it. Found from the two models' confidences alone, so nothing is spent on it. */
  | 'too-little-power'
  /** Fewer than eight blocks of five dependences, or labels in fewer than eight blocks. */
  | 'too-few-blocks'
  /** t does not exceed its quantile. */
  | 'gain-not-significant'
  /** Less than gainMin. */
  | 'gain-too-small'
  /** R does not rise with the challenger's confidence. */
  | 'slope-not-positive'
  | 'brier-worse'
  /** The calibration slope is below 0.7, or above 1.5, at 95 %. */
  | 'overconfident'
  | 'underconfident';

/** Everything that was weighed; losses and gains are means per label in nats, a gain is positive when the challenger is better. */
export interface GateFigures {
  readonly n: number;
  /** Blocks of time; 0, and NaN for what follows from them, when the labels fill fewer than eight. */
  readonly blocks: number;
  /** Of the sum of gains, by blocks of time that are allowed to share their borders' labels. */
  readonly t: number;
  /** What t must exceed at `alpha`, or at the error of one test when that is null. */
  readonly quantile: number;
  /** null when there was no token. */
  readonly alpha: number | null;
  /** What t would be if the challenger were right in all it says. */
  readonly expectedT: number;
  readonly meanGain: number;
  /** The least mean gain that is worth a promotion. */
  readonly gainMin: number;
  /** The champion's gain over the base rate. */
  readonly championGain: number;
  readonly challengerLogLoss: number;
  readonly championLogLoss: number;
  readonly baseRateLogLoss: number;
  readonly challengerBrier: number;
  readonly championBrier: number;
  /** Of R on the challenger's confidence, and its t by blocks of time; NaN for insufficient evidence. */
  readonly slope: number;
  readonly slopeT: number;
  readonly calibration: CalibrationSlope;
  /** The true gain that this test would find in 80 of 100 cases. */
  readonly smallestDetectableGain: number;
  /** Labels still missing for 80 % power of the test at the larger of meanGain and gainMin; null when no gain was seen. */
  readonly neededLabels: number | null;
  /** Days until they are there at the present rate of signals; null when neededLabels is null or no signals come. */
  readonly etaDays: number | null;
}

export interface GateVerdict extends GateFigures {
  readonly verdict: 'promote' | 'reject' | 'insufficient-evidence';
  /** Whether the test was taken, which costs its token. */
  readonly spends: boolean;
  /** Every condition that failed; empty for a promotion. */
  readonly reasons: readonly GateReason[];
  /** The decision in one or two sentences. */
  readonly sentence: string;
}

/** A test is not taken again before so much of it is new. */
const FRESH_SHARE_MIN = 0.5;
/** Below this not even one in thirty challengers that are right would pass. */
const EXPECTED_T_MIN = 1;
const GAIN_MIN_NATS = 0.0005;
const GAIN_MIN_SHARE = 0.1;
const BRIER_WORSE_MAX = 0.0005;
const CALIBRATION_UPPER_MIN = 0.7;
const CALIBRATION_LOWER_MAX = 1.5;

/**
 * Whether the challenger takes the champion's place: the paired log-loss difference is tested with batch means over blocks of time (Diebold & Mariano 1995 for the pairing;
 * Schmeiser 1982 for the blocks; {@link blockOverlapFactor} for their borders), so labels that overlap count once, against Student's t with one degree of freedom less than there
 * are blocks. A challenger as good as the champion is promoted with probability at most about alpha. Pure. Throws LENGTH_MISMATCH for arrays that differ in length, OUT_OF_RANGE
 * for a confidence outside [0, 1], an R that is not finite and an error outside (0, 1).
 */
export function judgeChallenger(evidence: GateEvidence): GateVerdict {
  checkEvidence(evidence);
  const { metaLabel, challenger, champion, span, alpha } = evidence;
  const gains = challenger.map((p, k) => logLossOf(metaLabel[k]!, champion[k]!) - logLossOf(metaLabel[k]!, p));
  const means = batchMeans(gains, span);
  const figures = figuresOf(evidence, gains, means);
  const missing: GateReason[] = [];
  if (alpha === null) missing.push('no-token');
  if (means === null || !holdsEightBlocks(span)) missing.push('too-few-blocks');
  if (!(evidence.freshShare >= FRESH_SHARE_MIN)) missing.push('tested-already');
  if (!(figures.expectedT >= EXPECTED_T_MIN)) missing.push('too-little-power');
  const reasons = [...missing, ...failedConditions(figures, evidence.challengerHasTrees)];
  const taken = missing.length === 0;
  const verdict = !taken ? 'insufficient-evidence' : reasons.length === 0 ? 'promote' : 'reject';
  return {
    verdict,
    spends: taken,
    reasons,
    ...figures,
    sentence: describeVerdict(verdict, taken ? reasons : missing, figures),
  };
}

function figuresOf(evidence: GateEvidence, gains: Float64Array, means: BatchMeans | null): GateFigures {
  const { metaLabel, challenger, champion, span, baseRate, signalsPerDay, alpha } = evidence;
  const n = metaLabel.length;
  const meanGain = gains.reduce((sum, gain) => sum + gain, 0) / n;
  const championLogLoss = logLoss(metaLabel, champion);
  const baseRateLogLoss = logLoss(metaLabel, new Float64Array(n).fill(baseRate));
  const championGain = baseRateLogLoss - championLogLoss;
  const gainMin = Math.max(GAIN_MIN_NATS, championGain > 0 ? GAIN_MIN_SHARE * championGain : 0);
  const tested = means === null ? null : { n, means, span, alpha: alpha ?? evidence.alphaPerTest };
  const neededLabels =
    tested !== null && meanGain > 0 ? Math.max(0, labelsForPower(Math.max(meanGain, gainMin), tested) - n) : null;
  const line = slopeEvidence(challenger, evidence.grossR, span);
  return {
    n,
    blocks: means?.blocks ?? 0,
    t: means === null ? Number.NaN : means.t * blockOverlapFactor(span, means.blocks),
    quantile: tested === null ? Number.NaN : criticalT(tested.alpha, tested.means.blocks),
    alpha,
    expectedT: expectedT(challenger, champion, evidence.meanConcurrency),
    meanGain,
    gainMin,
    championGain,
    challengerLogLoss: logLoss(metaLabel, challenger),
    championLogLoss,
    baseRateLogLoss,
    challengerBrier: brierScore(metaLabel, challenger),
    championBrier: brierScore(metaLabel, champion),
    slope: line.slope,
    slopeT: line.evidence?.t ?? Number.NaN,
    calibration: calibrationSlope(metaLabel, challenger, span),
    smallestDetectableGain: tested === null ? Number.NaN : smallestDetectableGain(tested),
    neededLabels,
    etaDays: neededLabels === null || !(signalsPerDay > 0) ? null : Math.ceil(neededLabels / signalsPerDay),
  };
}

/** Negated comparisons, so that a figure that is NaN fails its condition; the vetoes need evidence against the challenger. */
function failedConditions(figures: GateFigures, hasTrees: boolean): GateReason[] {
  const { calibration } = figures;
  const failed: GateReason[] = [];
  if (!(figures.t > figures.quantile)) failed.push('gain-not-significant');
  if (!(figures.meanGain >= figures.gainMin)) failed.push('gain-too-small');
  if (hasTrees && !(figures.slope > 0)) failed.push('slope-not-positive');
  if (!(figures.challengerBrier - figures.championBrier <= BRIER_WORSE_MAX)) failed.push('brier-worse');
  if (hasTrees && calibration.upper < CALIBRATION_UPPER_MIN) failed.push('overconfident');
  if (hasTrees && calibration.lower > CALIBRATION_LOWER_MAX) failed.push('underconfident');
  return failed;
}

function checkEvidence({ metaLabel, challenger, champion, grossR, alpha, alphaPerTest }: GateEvidence): void {
  for (const [field, values] of Object.entries({ challenger, champion, grossR })) {
    if (values.length !== metaLabel.length) {
      throw new OrchestratorError('LENGTH_MISMATCH', `${metaLabel.length} labels, ${values.length} of ${field}`, {
        field,
      });
    }
    const isRight = field === 'grossR' ? Number.isFinite : (p: number) => p >= 0 && p <= 1;
    const wrong = values.findIndex((value) => !isRight(value));
    if (wrong >= 0) throw new OrchestratorError('OUT_OF_RANGE', `${field} ${wrong} is ${values[wrong]}`, { field });
  }
  for (const [field, error] of Object.entries({ alpha: alpha ?? alphaPerTest, alphaPerTest })) {
    if (!(error > 0 && error < 1)) {
      throw new OrchestratorError('OUT_OF_RANGE', `an error of ${error} is not inside (0, 1)`, { field });
    }
  }
}
