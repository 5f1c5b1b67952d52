import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type TripleBarrierLabels, tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { fitLogistic } from '../../src/model/logistic-regression.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import { type SimulatedMarket, simulateMarketPath } from '../../src/simulation/simulated-market.js';
import { baseRateOf, logLoss, rocAuc } from '../../src/validation/metrics.js';
import { SIMULATED_MARKETS } from '../support/sizes.js';

const BARS = 120_000;

/** What about the best reading of the bars alone reaches on 20-bar momentum signals: AUC and gain over the base rate in nats, at cost 0. */
interface Reference {
  readonly edge: number;
  readonly labels: { readonly ptMultiplier: number; readonly slMultiplier: number; readonly maxHoldingBars: number };
  readonly auc: number;
  readonly gain: number;
}

const NARROW = { ptMultiplier: 2, slMultiplier: 1, maxHoldingBars: 10 };
const EVEN = { ptMultiplier: 1, slMultiplier: 1, maxHoldingBars: 20 };
const WIDE = { ptMultiplier: 3, slMultiplier: 2, maxHoldingBars: 60 };
const REFERENCES: readonly Reference[] = [
  { edge: 0, labels: NARROW, auc: 0.5, gain: 0 },
  { edge: 0, labels: EVEN, auc: 0.5, gain: 0 },
  { edge: 0, labels: WIDE, auc: 0.5, gain: 0 },
  { edge: 0.25, labels: NARROW, auc: 0.545, gain: 0.0028 },
  { edge: 0.25, labels: EVEN, auc: 0.53, gain: 0.0011 },
  { edge: 0.25, labels: WIDE, auc: 0.542, gain: 0.0024 },
  { edge: 0.5, labels: NARROW, auc: 0.591, gain: 0.0121 },
  { edge: 0.5, labels: EVEN, auc: 0.573, gain: 0.008 },
  { edge: 0.5, labels: WIDE, auc: 0.593, gain: 0.0134 },
  { edge: 1, labels: NARROW, auc: 0.697, gain: 0.0593 },
  { edge: 1, labels: EVEN, auc: 0.669, gain: 0.0436 },
  { edge: 1, labels: WIDE, auc: 0.708, gain: 0.0699 },
];

/**
 * Standard error of the AUC over the test halves: 0.01 was the largest deviation between markets of this length over all edges and labels.
 * It is far above that of independent signals, since a momentum side lasts and horizons overlap.
 */
const AUC_ERROR = 0.01 / Math.sqrt(SIMULATED_MARKETS);

/** The gain grows with the square of AUC − 1/2, so its relative error is twice that of AUC − 1/2. */
function gainError({ auc, gain }: Reference): number {
  return (2 * gain * AUC_ERROR) / (auc - 0.5);
}

/** A score by bar that should tell where the price goes next. */
type Oracle = (market: SimulatedMarket, edge: number) => Float64Array;

/** Is told the regime and sigma. */
const informed: Oracle = ({ pull }) => pull.map((_, i) => pull[i + 1] ?? 0);

/**
 * Reads closes alone: the regime by its likelihood (Hamilton 1989) with Student t returns, sigma by exponential smoothing. It knows the market's constants and its edge,
 * except that at edge 0, where nothing tells the regimes apart, it believes in edge 1.
 */
const observing: Oracle = ({ bars }, edge) => {
  const price = bars.close.map(Math.log);
  const score = new Float64Array(bars.length);
  let trending = 0.5;
  let sigma = 7e-4;
  const pulls = (i: number): readonly [reverting: number, trend: number] => {
    let average = 0;
    for (let j = i - 20; j < i; j++) average += price[j]! / 20;
    const spread = sigma * Math.sqrt(20);
    return [
      -0.45 * Math.tanh((price[i - 1]! - average) / (spread / 2)),
      0.35 * Math.tanh((price[i - 1]! - price[i - 21]!) / spread),
    ];
  };
  const density = (x: number): number => (1 + x ** 2 / 3) ** -3;
  const afterSwitch = (p: number): number => p + (1 - 2 * p) / 300;
  for (let i = 21; i < bars.length; i++) {
    const change = price[i]! - price[i - 1]!;
    const [reverting, trend] = pulls(i);
    const prior = afterSwitch(trending);
    const ofTrend = prior * density(change / sigma - (edge || 1) * trend);
    const ofReverting = (1 - prior) * density(change / sigma - (edge || 1) * reverting);
    trending = ofTrend / (ofTrend + ofReverting);
    sigma = Math.sqrt(0.94 * sigma ** 2 + 0.06 * change ** 2);
    const [nextReverting, nextTrend] = pulls(i + 1);
    score[i] = afterSwitch(trending) * nextTrend + (1 - afterSwitch(trending)) * nextReverting;
  }
  return score;
};

interface Figures {
  auc: number;
  gain: number;
}

type Labelled = Pick<TripleBarrierLabels, 'signalBar' | 'metaLabel' | 'horizonClosed'>;

/** Fits label ~ `score` on the signals of the first half of a market and scores the second, whose signals start after every training horizon. */
function measure(labelled: Labelled, score: Float32Array, maxHoldingBars: number): Figures {
  const { signalBar, metaLabel, horizonClosed } = labelled;
  const train = signalBar.findLastIndex((bar) => bar < BARS / 2) + 1;
  const start = signalBar.findIndex((bar) => bar >= BARS / 2 + maxHoldingBars);
  const end = horizonClosed.lastIndexOf(1) + 1;
  const model = fitLogistic(score.subarray(0, train), 1, metaLabel.subarray(0, train));
  const truth = metaLabel.subarray(start, end);
  const probability = Float64Array.from(truth, (_, k) => model.probability(score, start + k));
  const baseRate = new Float64Array(truth.length).fill(baseRateOf(metaLabel.subarray(0, train)));
  return { auc: rocAuc(truth, probability), gain: logLoss(truth, baseRate) - logLoss(truth, probability) };
}

/** Means over the markets by oracle, in the order of {@link REFERENCES}. */
function measureAll(oracles: readonly Oracle[]): readonly (readonly Figures[])[] {
  const means = oracles.map(() => REFERENCES.map(() => ({ auc: 0, gain: 0 })));
  for (const edge of new Set(REFERENCES.map((reference) => reference.edge))) {
    for (let k = 0; k < SIMULATED_MARKETS; k++) {
      const market = simulateMarketPath({ bars: BARS, edge, seed: 100 + k });
      const sides = primarySides('momentum', market.bars);
      const scores = oracles.map((oracle) => oracle(market, edge));
      for (const [at, reference] of REFERENCES.entries()) {
        if (reference.edge !== edge) continue;
        const labelled = tripleBarrierLabels(market.bars, sides, reference.labels);
        for (const [o, score] of scores.entries()) {
          const rows = Float32Array.from(labelled.signalBar, (bar) => sides[bar]! * score[bar]!);
          const { auc, gain } = measure(labelled, rows, reference.labels.maxHoldingBars);
          means[o]![at]!.auc += auc / SIMULATED_MARKETS;
          means[o]![at]!.gain += gain / SIMULATED_MARKETS;
        }
      }
    }
  }
  return means;
}

const [toldTheRegime, fromTheBars] = measureAll([informed, observing]) as [Figures[], Figures[]];

test('without edge nobody gains anything, not even who is told the regime', () => {
  for (const [at, { edge }] of REFERENCES.entries()) {
    if (edge > 0) continue;
    for (const { auc, gain } of [toldTheRegime[at]!, fromTheBars[at]!]) {
      assert.ok(Math.abs(auc - 0.5) < 3 * AUC_ERROR, `AUC ${auc}`);
      assert.ok(Math.abs(gain) < 0.001, `gain ${gain}`);
    }
  }
});

test('a filter of the regime that reads closes alone reaches the reference figures', () => {
  // The reference is the figure of one estimator, here is another one: 0.015 of AUC and a fifth of the gain beside the sampling error.
  for (const [at, reference] of REFERENCES.entries()) {
    if (reference.edge === 0) continue;
    const { auc, gain } = fromTheBars[at]!;
    const where = `edge ${reference.edge}, horizon ${reference.labels.maxHoldingBars}: AUC ${auc}, gain ${gain}`;
    assert.ok(Math.abs(auc - reference.auc) < 0.015 + 3 * AUC_ERROR, where);
    assert.ok(Math.abs(gain - reference.gain) < reference.gain / 5 + 3 * gainError(reference), where);
  }
});

test('who is told the regime does no worse than what can be read from the bars, and better where there is much to read', () => {
  for (const [at, reference] of REFERENCES.entries()) {
    if (reference.edge === 0) continue;
    const { auc, gain } = toldTheRegime[at]!;
    const where = `edge ${reference.edge}, horizon ${reference.labels.maxHoldingBars}: AUC ${auc}, gain ${gain}`;
    assert.ok(auc > reference.auc - 3 * AUC_ERROR, where);
    assert.ok(gain > reference.gain - 3 * gainError(reference), where);
    // Both read the same markets, so their difference has less error than either.
    if (reference.edge === 1) assert.ok(gain > 1.2 * fromTheBars[at]!.gain, where);
  }
});

test.run();
