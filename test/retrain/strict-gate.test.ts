import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededUniform } from '../../src/random.js';
import { criticalT } from '../../src/retrain/gate-power.js';
import { type GateEvidence, judgeChallenger } from '../../src/retrain/strict-gate.js';
import { batchMeans, type TimeSpan } from '../../src/validation/batch-means.js';
import { refusalOf } from '../support/refusal.js';

const ALPHA = 0.05 / 24;

function everyBar(count: number, dependenceBars = 1): TimeSpan {
  return { position: Int32Array.from({ length: count }, (_, bar) => bar), start: 0, end: count, dependenceBars };
}

/** What one model says in the two groups of signals. */
type Said = readonly [high: number, low: number];

/**
 * 64 rounds of twenty labels: ten good signals of which `ones[0]` come true, then ten poor ones of which `ones[1]` do. All rounds are alike, so whatever gain there is, is beyond
 * chance, and one condition at a time can be made to fail.
 */
function rounds(
  challenger: Said,
  champion: Said,
  overrides: Partial<GateEvidence> = {},
  ones: Said = [6, 4],
): GateEvidence {
  const count = 64 * 20;
  const good = (k: number): boolean => k % 20 < 10;
  const said = ([high, low]: Said): Float64Array =>
    Float64Array.from({ length: count }, (_, k) => (good(k) ? high : low));
  const metaLabel = Uint8Array.from({ length: count }, (_, k) => Number(k % 10 < (good(k) ? ones[0] : ones[1])));
  return {
    metaLabel,
    challenger: said(challenger),
    champion: said(champion),
    grossR: Float64Array.from(metaLabel, (label) => (label === 1 ? 2 : -1)),
    span: everyBar(count),
    baseRate: 0.5,
    challengerHasTrees: true,
    signalsPerDay: 100,
    freshShare: 1,
    // Power is asked for in tests of its own.
    meanConcurrency: Number.MIN_VALUE,
    alpha: ALPHA,
    alphaPerTest: ALPHA,
    ...overrides,
  };
}

function nearly(value: number, expected: number, tolerance = 1e-12): boolean {
  return Math.abs(value - expected) < tolerance;
}

function entropy(rate: number): number {
  return -rate * Math.log(rate) - (1 - rate) * Math.log(1 - rate);
}

test('a challenger that gains beyond chance and breaks no condition is promoted, and its test is spent', () => {
  const verdict = judgeChallenger(rounds([0.6, 0.4], [0.5, 0.5]));
  assert.is(verdict.verdict, 'promote');
  assert.is(verdict.spends, true);
  assert.equal(verdict.reasons, []);
  assert.match(verdict.sentence, /^The challenger is promoted: over 1,280 labels it gains 0\.0201 nats/);
});

test('every figure is what the labels say', () => {
  const verdict = judgeChallenger(rounds([0.6, 0.4], [0.5, 0.55], { baseRate: 0.45 }));
  const { log } = Math;
  assert.ok(nearly(verdict.challengerLogLoss, entropy(0.6)));
  const championLogLoss = (log(2) - 0.4 * log(0.55) - 0.6 * log(0.45)) / 2;
  assert.ok(nearly(verdict.championLogLoss, championLogLoss));
  assert.ok(nearly(verdict.baseRateLogLoss, -(log(0.45) + log(0.55)) / 2));
  assert.ok(nearly(verdict.meanGain, championLogLoss - entropy(0.6)));
  assert.ok(nearly(verdict.championGain, verdict.baseRateLogLoss - championLogLoss));
  assert.ok(nearly(verdict.challengerBrier, 0.24));
  assert.ok(nearly(verdict.championBrier, (0.25 + 0.4 * 0.45 ** 2 + 0.6 * 0.55 ** 2) / 2));
  // A fifth more confidence is a fifth more labels, and a label is worth 3 R.
  assert.ok(nearly(verdict.slope, 3));
  assert.ok(nearly(verdict.calibration.slope, 1, 1e-9));
  assert.equal([verdict.n, verdict.blocks, verdict.alpha], [1280, 32, ALPHA]);
});

test('t is that of the gains in blocks of time, judged by Student’s distribution of one degree of freedom less than there are blocks', () => {
  const random = seededUniform(3);
  const evidence = rounds([0.6, 0.4], [0.5, 0.5], { span: everyBar(1280, 20) });
  const noisy = evidence.challenger.map((p) => p + 0.2 * (random() - 0.5));
  const verdict = judgeChallenger({ ...evidence, challenger: noisy });
  const gains = noisy.map((p, k) => Math.log(evidence.metaLabel[k] === 1 ? p / 0.5 : (1 - p) / 0.5));
  const means = batchMeans(gains, evidence.span)!;
  assert.is(verdict.blocks, 12);
  // Blocks of 1280/12 bars, at whose borders labels of 20 bars share their paths.
  assert.ok(nearly(verdict.t, means.t * Math.sqrt(1 - 20 / (3 * (1280 / 12))), 1e-9));
  // The upper 0.05/24 point of t with 11 degrees of freedom, by numerical integration of its density.
  assert.ok(nearly(verdict.quantile, quantileByIntegration(ALPHA, 11), 1e-4), `${verdict.quantile}`);
});

/** P(T > t) = alpha, by Simpson's rule in the angle (density cos^(ν−1)) and bisection. */
function quantileByIntegration(alpha: number, freedom: number): number {
  const area = (from: number): number => {
    const steps = 2000;
    const width = (Math.PI / 2 - from) / steps;
    let sum = 0;
    for (let k = 0; k <= steps; k++) {
      const weight = k === 0 || k === steps ? 1 : k % 2 === 1 ? 4 : 2;
      sum += weight * Math.cos(from + k * width) ** (freedom - 1);
    }
    return (sum * width) / 3;
  };
  const whole = 2 * area(0);
  let [low, high] = [0, Math.PI / 2];
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2;
    if (area(middle) / whole > alpha) low = middle;
    else high = middle;
  }
  return Math.sqrt(freedom) * Math.tan(low);
}

test('changing places turns the gain round, and the worse model is rejected at the cost of a test', () => {
  const better = judgeChallenger(rounds([0.6, 0.4], [0.5, 0.5]));
  const worse = judgeChallenger(rounds([0.5, 0.5], [0.6, 0.4]));
  assert.is(worse.meanGain, -better.meanGain);
  assert.equal([worse.verdict, worse.spends, worse.neededLabels], ['reject', true, null]);
  assert.ok(worse.reasons.includes('gain-not-significant') && worse.reasons.includes('gain-too-small'));
});

test('a gain that may be chance is rejected', () => {
  const random = seededUniform(11);
  const evidence = rounds([0.6, 0.4], [0.5, 0.5]);
  const metaLabel = evidence.metaLabel.map(() => Number(random() < 0.5));
  const verdict = judgeChallenger({ ...evidence, metaLabel, challenger: evidence.champion.map(() => 0.502) });
  assert.ok(verdict.reasons.includes('gain-not-significant'), verdict.sentence);
  assert.ok(Math.abs(verdict.t) < 3);
});

test('a sure gain below 0.0005 nats is not worth a promotion', () => {
  const verdict = judgeChallenger(rounds([0.6, 0.4], [0.595, 0.405], { baseRate: 0.6 }));
  assert.ok(verdict.championGain > 0.005 * 5);
  const against = judgeChallenger(rounds([0.6, 0.4], [0.585, 0.6], { baseRate: 0.5 }));
  assert.is(against.gainMin, 0.0005, 'a champion worse than its base rate raises no bar');
  assert.is(against.verdict, 'promote');
  const tiny = judgeChallenger(rounds([0.5, 0.49], [0.5, 0.5], { baseRate: 0.5 }, [5, 5]));
  assert.ok(tiny.meanGain < 0);
  const small = judgeChallenger(rounds([0.5, 0.5], [0.51, 0.51], { challengerHasTrees: false }, [5, 5]));
  assert.ok(small.meanGain > 0.0001 && small.meanGain < 0.0005 && small.t > 1000);
  assert.equal([small.verdict, small.reasons], ['reject', ['gain-too-small']]);
});

test('a champion that gains much must be beaten by a tenth of it', () => {
  const verdict = judgeChallenger(rounds([0.6, 0.4], [0.58, 0.42]));
  assert.ok(verdict.meanGain > 0.0005 && verdict.meanGain < verdict.gainMin);
  assert.ok(nearly(verdict.gainMin, 0.1 * verdict.championGain));
  assert.equal(verdict.reasons, ['gain-too-small']);
  assert.is(judgeChallenger(rounds([0.6, 0.4], [0.55, 0.45])).verdict, 'promote', 'here it is more');
});

test('a challenger whose confidence does not pay is rejected, however well it predicts', () => {
  const evidence = rounds([0.6, 0.4], [0.5, 0.5]);
  const falling = evidence.grossR.map((_, k) => (evidence.challenger[k]! > 0.5 ? -1 : 1));
  assert.equal(judgeChallenger({ ...evidence, grossR: falling }).reasons, ['slope-not-positive']);
  const level = judgeChallenger({ ...evidence, grossR: new Float64Array(1280) });
  assert.equal(level.reasons, ['slope-not-positive'], 'a slope of 0 is not positive');
});

test('a worse Brier score vetoes a better log-loss', () => {
  // The champion all but rules out what comes true once in ten times: a disaster in nats, hardly a squared error.
  const verdict = judgeChallenger(rounds([0.5, 0.3], [0.5, 0.001], {}, [5, 1]));
  assert.ok(verdict.meanGain > 0.1 && verdict.challengerBrier > verdict.championBrier + 0.0005);
  assert.ok(verdict.reasons.includes('brier-worse'));
  assert.not.ok(verdict.reasons.includes('gain-not-significant') || verdict.reasons.includes('gain-too-small'));
});

test('a challenger that claims far too much, or far too little, is vetoed', () => {
  const over = judgeChallenger(rounds([0.9, 0.1], [0.05, 0.95]));
  assert.equal([over.verdict, over.reasons], ['reject', ['overconfident']]);
  assert.match(over.sentence, /overconfident \(calibration slope 0\.18/);
  const under = judgeChallenger(rounds([0.52, 0.48], [0.5, 0.5]));
  assert.equal([under.verdict, under.reasons], ['reject', ['underconfident']]);
});

test('a calibration slope that may well be right vetoes nothing, even if its estimate is off', () => {
  const random = seededUniform(23);
  const metaLabel = rounds([0.6, 0.4], [0.5, 0.5]).challenger.map((p) => Number(random() < p));
  const judged = (said: Said) => judgeChallenger(rounds(said, [0.5, 0.5], { metaLabel: Uint8Array.from(metaLabel) }));
  const { calibration: over, reasons: ofOver } = judged([0.67, 0.33]);
  assert.ok(over.slope < 0.7 && over.upper > 0.7, `${over.slope} up to ${over.upper}`);
  assert.not.ok(ofOver.includes('overconfident'));
  const { calibration: under, reasons: ofUnder } = judged([0.565, 0.435]);
  assert.ok(under.slope > 1.5 && under.lower < 1.5, `${under.slope} from ${under.lower}`);
  assert.not.ok(ofUnder.includes('underconfident'));
});

test('a base rate is asked for neither slope', () => {
  const evidence = rounds([0.5, 0.5], [0.6, 0.6], { challengerHasTrees: false });
  assert.is(judgeChallenger(evidence).verdict, 'promote');
  assert.equal(judgeChallenger({ ...evidence, challengerHasTrees: true }).reasons, ['slope-not-positive']);
});

test('a time that holds fewer than eight blocks of five dependences is no evidence, and costs nothing', () => {
  const evidence = rounds([0.6, 0.4], [0.5, 0.5]);
  const spanning = (dependenceBars: number) => judgeChallenger({ ...evidence, span: everyBar(1280, dependenceBars) });
  assert.is(spanning(32).verdict, 'promote', '1280 = 8 · 5 · 32');
  const short = spanning(33);
  assert.equal([short.verdict, short.spends, short.reasons], ['insufficient-evidence', false, ['too-few-blocks']]);
  assert.match(short.sentence, /^The challenger was not tested on its 1,280 labels: they fill too few/);
});

test('labels in a corner of the time are no evidence', () => {
  const evidence = rounds([0.6, 0.4], [0.5, 0.5], { span: { ...everyBar(1280), end: 12_800 } });
  const verdict = judgeChallenger(evidence);
  assert.equal([verdict.verdict, verdict.spends, verdict.blocks], ['insufficient-evidence', false, 0]);
  assert.equal([verdict.t, verdict.quantile, verdict.neededLabels], [Number.NaN, Number.NaN, null]);
  assert.ok(nearly(verdict.meanGain, Math.LN2 - entropy(0.6)), 'what is known is told');
});

test('no labels at all are no evidence', () => {
  const none = new Float64Array(0);
  const verdict = judgeChallenger({
    ...rounds([0.6, 0.4], [0.5, 0.5]),
    ...{ metaLabel: new Uint8Array(0), challenger: none, champion: none, grossR: none, span: everyBar(0) },
  });
  assert.equal([verdict.verdict, verdict.spends, verdict.n], ['insufficient-evidence', false, 0]);
});

test('without a token nothing is decided or spent, and every figure is told as if there were one', () => {
  const evidence = rounds([0.6, 0.4], [0.5, 0.5]);
  const withToken = judgeChallenger(evidence);
  const verdict = judgeChallenger({ ...evidence, alpha: null });
  assert.equal([verdict.verdict, verdict.spends, verdict.reasons], ['insufficient-evidence', false, ['no-token']]);
  const { sentence: _, ...figures } = withToken;
  const decision = { verdict: verdict.verdict, spends: false, reasons: verdict.reasons, sentence: verdict.sentence };
  assert.equal(verdict, { ...figures, alpha: null, ...decision });
});

test('less error asks for a larger t', () => {
  const quantile = (alpha: number): number => judgeChallenger(rounds([0.6, 0.4], [0.5, 0.5], { alpha })).quantile;
  assert.ok(quantile(ALPHA) > quantile(0.05) && quantile(0.05) > quantile(0.2));
  assert.is(quantile(0.05), criticalT(0.05, 32));
});

test('what is missing is told in labels and days', () => {
  const random = seededUniform(5);
  const evidence = rounds([0.55, 0.45], [0.5, 0.5]);
  const metaLabel = evidence.challenger.map((p) => Number(random() < p));
  const verdict = judgeChallenger({ ...evidence, metaLabel: Uint8Array.from(metaLabel), signalsPerDay: 250 });
  assert.is(verdict.verdict, 'reject');
  assert.ok(verdict.neededLabels! > 0);
  assert.is(verdict.etaDays, Math.ceil(verdict.neededLabels! / 250));
  assert.match(verdict.sentence, /would show on about [\d,]+ more labels, some [\d,]+ days/);
  const idle = judgeChallenger({ ...evidence, metaLabel: Uint8Array.from(metaLabel), signalsPerDay: 0 });
  assert.equal([idle.neededLabels, idle.etaDays], [verdict.neededLabels, null], 'no signals, no day');
});

test('a verdict is plain data', () => {
  const verdict = judgeChallenger(rounds([0.6, 0.4], [0.5, 0.55]));
  assert.equal(JSON.parse(JSON.stringify(verdict)), verdict);
});

test('evidence that cannot be is refused before anything is spent', async () => {
  const evidence = rounds([0.6, 0.4], [0.5, 0.5]);
  const broken = (values: Float64Array, value: number): Float64Array => values.map((p, k) => (k === 7 ? value : p));
  const cases: [Partial<GateEvidence>, string, string][] = [
    [{ champion: new Float64Array(3) }, 'LENGTH_MISMATCH', 'champion'],
    [{ grossR: new Float64Array(3) }, 'LENGTH_MISMATCH', 'grossR'],
    [{ span: everyBar(3) }, 'LENGTH_MISMATCH', 'position'],
    [{ challenger: broken(evidence.challenger, Number.NaN) }, 'OUT_OF_RANGE', 'challenger'],
    [{ champion: broken(evidence.champion, 1.01) }, 'OUT_OF_RANGE', 'champion'],
    [{ grossR: broken(evidence.grossR, Number.POSITIVE_INFINITY) }, 'OUT_OF_RANGE', 'grossR'],
    [{ alpha: 0 }, 'OUT_OF_RANGE', 'alpha'],
    [{ alpha: null, alphaPerTest: 1 }, 'OUT_OF_RANGE', 'alpha'],
  ];
  for (const [change, code, field] of cases) {
    const refusal = await refusalOf(() => judgeChallenger({ ...evidence, ...change }));
    assert.equal([refusal.code, refusal.field], [code, field]);
  }
});

test('a test that would mostly repeat an earlier one is not taken and costs nothing', () => {
  const promoted = rounds([0.6, 0.4], [0.5, 0.5]);
  assert.is(judgeChallenger({ ...promoted, freshShare: 0.5 }).verdict, 'promote');
  for (const freshShare of [0.49, 0, Number.NaN]) {
    const verdict = judgeChallenger({ ...promoted, freshShare });
    assert.equal([verdict.verdict, verdict.spends], ['insufficient-evidence', false]);
    assert.equal(verdict.reasons, ['tested-already']);
    assert.match(verdict.sentence, 'most of them have been tested on before');
  }
});

test('a test that a challenger would fail even if it were right in all it says is not taken, whatever the labels say', () => {
  const hopeless = rounds([0.51, 0.49], [0.5, 0.5], { meanConcurrency: 6 });
  const verdicts = [hopeless, { ...hopeless, metaLabel: hopeless.metaLabel.map((label) => 1 - label) }].map(
    judgeChallenger,
  );
  for (const verdict of verdicts) {
    assert.equal([verdict.verdict, verdict.spends], ['insufficient-evidence', false]);
    assert.ok(verdict.reasons.includes('too-little-power'));
  }
  assert.is(verdicts[0]!.expectedT, verdicts[1]!.expectedT, 'no label was looked at');
});

test('the expected t is that of labels which follow the challenger', () => {
  // Ones exactly as often as the challenger says: the gain it finds is the divergence it promises.
  const { expectedT, meanGain, n } = judgeChallenger(rounds([0.6, 0.4], [0.5, 0.5], { meanConcurrency: 4 }));
  const deviation = Math.sqrt(0.24) * 2 * Math.log(0.6 / 0.4) * 0.5;
  assert.ok(nearly(expectedT, (n * meanGain) / (deviation * Math.sqrt(4 * n)), 1e-9), String(expectedT));
});

test.run();
