import jstat from 'jstat';
import { labelsForPower } from '../../src/retrain/gate-power.js';
import { type GateVerdict, judgeChallenger } from '../../src/retrain/strict-gate.js';
import { TestTokens } from '../../src/retrain/test-tokens.js';
import type { TimeSpan } from '../../src/validation/batch-means.js';
import { blockOverlapFactor } from '../../src/validation/block-overlap.js';
import { accuracy, baseRateOf, logLossOf } from '../../src/validation/metrics.js';
import {
  calibratedConfidences,
  confidences,
  correlationOfAuc,
  drawsOf,
  rememberingNoise,
  simulateLabels,
} from './overlapping-labels.js';

export const ERROR_PER_YEAR = 0.05;
export const TESTS_PER_YEAR = 24;
/** Of one test. */
export const ALPHA = ERROR_PER_YEAR / TESTS_PER_YEAR;
const YEAR_NS = 365n * 86_400n * 1_000_000_000n;
const SIGNALS_PER_DAY = 100;
/** Bars over which factors remember themselves. */
const FACTOR_MEMORY_BARS = 20;
/** By how much both of two equal models miss the return, in deviations. */
const EQUAL_ERROR = 0.15;
const NAIVE_ALPHA = 0.05;

export interface EqualYears {
  readonly seed: number;
  readonly years: number;
  readonly overlap: number;
  readonly labelsPerTest: number;
  /** Bars over which the models' errors remember themselves. */
  readonly errorMemoryBars: number;
}

/** Years, and tests, in which a rule promoted a model that is only as good. */
export interface FalsePromotions {
  readonly years: number;
  readonly tests: number;
  readonly yearsPromoted: number;
  readonly testsPromoted: number;
  /** Tests beyond the t quantile, whatever the other conditions said. */
  readonly testsSignificant: number;
  /** Tests that each naive rule promoted: the better accuracy, a paired t-test at 5 % that takes labels for independent, and the same at the gate's own error. */
  readonly testsByAccuracy: number;
  readonly testsByPairedT: number;
  readonly testsByPairedTAtAlpha: number;
  /** Tests there was a token for, in the fullest year. */
  readonly testsPerYearMax: number;
}

/** Two models that know the same edge and miss it by errors of the same law, tested every 365/24 days on labels of their own. */
export function falsePromotions(plan: EqualYears): FalsePromotions {
  const count = { yearsPromoted: 0, testsPromoted: 0, testsSignificant: 0, tests: 0, testsPerYearMax: 0 };
  const naive = { testsByAccuracy: 0, testsByPairedT: 0, testsByPairedTAtAlpha: 0 };
  const naiveT = jstat.jStat.studentt.inv(1 - NAIVE_ALPHA, plan.labelsPerTest - 1);
  const naiveTAtAlpha = jstat.jStat.studentt.inv(1 - ALPHA, plan.labelsPerTest - 1);
  for (let year = 0; year < plan.years; year++) {
    const draw = drawsOf(plan.seed, year, plan.years);
    const tokens = new TestTokens({ errorPerYear: ERROR_PER_YEAR, maxTestsPerYear: TESTS_PER_YEAR });
    let promoted = 0;
    let taken = 0;
    for (let test = 0; test < TESTS_PER_YEAR; test++) {
      const nowNs = YEAR_NS + (BigInt(test) * YEAR_NS) / BigInt(TESTS_PER_YEAR);
      const models = equalModels(plan, draw);
      const verdict = judge(models, tokens.alphaFor(['X'], nowNs));
      if (verdict.spends) {
        tokens.spend(['X'], nowNs);
        taken++;
      }
      if (verdict.verdict === 'promote') promoted++;
      if (verdict.t > verdict.quantile) count.testsSignificant++;
      const { metaLabel, challenger, champion } = models;
      if (accuracy(metaLabel, challenger) > accuracy(metaLabel, champion)) naive.testsByAccuracy++;
      const t = pairedT(models);
      if (t > naiveT) naive.testsByPairedT++;
      if (t > naiveTAtAlpha) naive.testsByPairedTAtAlpha++;
    }
    count.tests += taken;
    count.testsPerYearMax = Math.max(count.testsPerYearMax, taken);
    count.testsPromoted += promoted;
    if (promoted > 0) count.yearsPromoted++;
  }
  return { years: plan.years, ...count, ...naive };
}

export interface PowerCell {
  readonly seed: number;
  readonly runs: number;
  readonly championAuc: number;
  readonly challengerAuc: number;
  readonly overlap: number;
  readonly labels: number;
}

/** What the gate made of one cell; figures are means over the runs, but for the labels needed. */
export interface Power {
  readonly promoted: number;
  readonly significant: number;
  readonly meanGain: number;
  readonly smallestDetectableGain: number;
  /** Labels in all that the verdicts asked for: the median run's, Infinity where it saw no gain. */
  readonly labelsAskedFor: number;
  /** Labels in all that the gate's formula asks for at the true gain, taken from all runs together; Infinity for none. */
  readonly labelsForPower: number;
}

/** Tests a challenger against a champion, both calibrated, of which one knows all that the other knows. */
export function powerOf(cell: PowerCell): Power {
  const { runs, labels } = cell;
  const span = spanOf(labels, cell.overlap);
  const asked: number[] = [];
  let [promoted, significant, meanGain, detectable, variance] = [0, 0, 0, 0, 0];
  for (let run = 0; run < runs; run++) {
    const models = nestedModels(cell, drawsOf(cell.seed, run, runs));
    const verdict = judge(models, ALPHA);
    if (verdict.verdict === 'promote') promoted++;
    if (verdict.t > verdict.quantile) significant++;
    meanGain += verdict.meanGain / runs;
    detectable += verdict.smallestDetectableGain / runs;
    variance += ((verdict.meanGain * labels * blockOverlapFactor(span, verdict.blocks)) / verdict.t) ** 2 / runs;
    asked.push(verdict.neededLabels === null ? Number.POSITIVE_INFINITY : labels + verdict.neededLabels);
  }
  asked.sort((a, b) => a - b);
  const means = { t: Number.NaN, standardError: Math.sqrt(variance), blocks: 0 };
  const needed =
    meanGain > 0 ? labelsForPower(meanGain, { n: labels, means, span, alpha: ALPHA }) : Number.POSITIVE_INFINITY;
  return {
    promoted: promoted / runs,
    significant: significant / runs,
    meanGain,
    smallestDetectableGain: detectable,
    labelsAskedFor: asked[Math.floor(runs / 2)]!,
    labelsForPower: needed,
  };
}

interface TestedModels {
  readonly metaLabel: Uint8Array;
  readonly grossR: Float64Array;
  readonly challenger: Float64Array;
  readonly champion: Float64Array;
  readonly span: TimeSpan;
}

function judge(models: TestedModels, alpha: number | null): GateVerdict {
  return judgeChallenger({
    ...models,
    baseRate: baseRateOf(models.metaLabel),
    challengerHasTrees: true,
    signalsPerDay: SIGNALS_PER_DAY,
    // Every test is taken, however hopeless: that is what can go wrong most often.
    freshShare: 1,
    meanConcurrency: Number.MIN_VALUE,
    alpha,
    alphaPerTest: ALPHA,
  });
}

function equalModels({ overlap, labelsPerTest, errorMemoryBars }: EqualYears, draw: () => number): TestedModels {
  const strengths = [correlationOfAuc(0.55)];
  const world = { labels: labelsPerTest, overlap, strengths, memoryBars: FACTOR_MEMORY_BARS };
  const sample = simulateLabels(world, draw);
  const model = (): Float64Array => {
    const errors = rememberingNoise(labelsPerTest, errorMemoryBars, draw);
    return confidences(sample, strengths, (i) => EQUAL_ERROR * errors[i]!);
  };
  return { ...sample, challenger: model(), champion: model(), span: spanOf(labelsPerTest, overlap) };
}

function nestedModels({ championAuc, challengerAuc, overlap, labels }: PowerCell, draw: () => number): TestedModels {
  const best = Math.max(championAuc, challengerAuc);
  const least = Math.min(championAuc, challengerAuc);
  // The better one knows both factors, the other one the first: their parts of the return's variance, of which the rest is chance.
  const both = correlationOfAuc(best) ** 2;
  const first = correlationOfAuc(least) ** 2;
  const strengths = [Math.sqrt(first / (1 - both)), Math.sqrt((both - first) / (1 - both))];
  const sample = simulateLabels({ labels, overlap, strengths, memoryBars: FACTOR_MEMORY_BARS }, draw);
  const knowsAll = calibratedConfidences(sample, strengths, [true, true]);
  const knowsOne = calibratedConfidences(sample, strengths, [true, false]);
  const [challenger, champion] = challengerAuc >= championAuc ? [knowsAll, knowsOne] : [knowsOne, knowsAll];
  return { ...sample, challenger, champion, span: spanOf(labels, overlap) };
}

/** One signal a bar, labels that reach `overlap` bars. */
function spanOf(labels: number, overlap: number): TimeSpan {
  return {
    position: Int32Array.from({ length: labels }, (_, bar) => bar),
    start: 0,
    end: labels,
    dependenceBars: overlap,
  };
}

/** Student's t of the gains as if labels were independent. */
function pairedT({ metaLabel, challenger, champion }: TestedModels): number {
  const gains = challenger.map((p, k) => logLossOf(metaLabel[k]!, champion[k]!) - logLossOf(metaLabel[k]!, p));
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
  const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / (gains.length - 1);
  return mean / Math.sqrt(variance / gains.length);
}
