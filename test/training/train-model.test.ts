import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorConfig } from '../../src/config.js';
import { BarSeries } from '../../src/market/bar.js';
import { BundleScorer, type ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle } from '../../src/model/bundle-codec.js';
import { toxicityQuantiles } from '../../src/orderflow/toxicity.js';
import type { RegimeModel } from '../../src/regime/regime-model.js';
import type { FirstModelPolicy } from '../../src/retrain/first-model.js';
import { simulateMarket } from '../../src/simulation/simulated-market.js';
import { type Fold, runFold } from '../../src/training/folds.js';
import { fitRegime, windowOf, withRegime } from '../../src/training/regime-column.js';
import {
  type TrainedModel,
  type TrainingHooks,
  type TrainingProgress,
  type TrainingRequest,
  trainModel,
} from '../../src/training/train-model.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import type { TrainingSeries } from '../../src/training/training-series.js';
import { buildTrainingSet, type TrainingSet } from '../../src/training/training-set.js';
import { logLoss } from '../../src/validation/metrics.js';
import { ManualClock } from '../support/manual-clock.js';
import { randomBars } from '../support/market.js';
import { HINT, type PlantedSeries, plantedPlan, plantedSeries } from '../support/planted.js';
import { refusalOf } from '../support/refusal.js';
import { firstVerdict } from '../support/verdicts.js';

const BARS = 2000;
const HORIZON = plantedPlan().labels.maxHoldingBars;
/** Three folds, where more of them would only take longer. */
const FEW = { trainBars: 800, testBars: 400 };
const HONEST = plantedSeries(BARS, 61, 0.85);
const NOISE = plantedSeries(BARS, 62, 0.5);

function train(request: Partial<TrainingRequest> = {}, hooks: Partial<TrainingHooks> = {}): Promise<TrainedModel> {
  return trainModel(
    {
      series: [HONEST],
      plan: plantedPlan(),
      createdAtNs: 1_800_000_000_000_000_000n,
      attempt: 1,
      incumbent: null,
      alpha: null,
      testedUntilNs: null,
      force: false,
      ...request,
    },
    { clock: new ManualClock(), onProgress: () => undefined, isCancelled: () => false, ...hooks },
  );
}

let plantedTraining: Promise<TrainedModel> | undefined;

/** The training of {@link HONEST}, done once for all tests that only look at it. */
function planted(): Promise<TrainedModel> {
  plantedTraining ??= train();
  return plantedTraining;
}

let noiseTraining: Promise<TrainedModel> | undefined;

function noise(): Promise<TrainedModel> {
  noiseTraining ??= train({ series: [NOISE] });
  return noiseTraining;
}

function bytesOf({ bundle }: TrainedModel): Uint8Array {
  if (bundle === null) throw new Error('no bundle was made');
  return bundle;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function bundleOf(trained: TrainedModel): ModelBundle {
  return decodeBundle(bytesOf(trained));
}

/** The training set of a series under the plan of the planted markets. */
function setOf(series: TrainingSeries): TrainingSet {
  const plan = plantedPlan();
  return buildTrainingSet([series], featureSetOf(plan), plan.labels, plan.vpin);
}

/** Confidences of all training signals, hint and regime columns included. */
function scoreAll(bundle: ModelBundle, series: TrainingSeries): { y: Uint8Array; p: Float64Array } {
  const set = setOf(series);
  const complete = withRegime(set, featureSetOf(plantedPlan()), bundle.regime, set.start.keys());
  return { y: set.metaLabel, p: new BundleScorer(bundle).confidences(complete.rows) };
}

test('the same request gives the same bundle bytes and another seed does not', async () => {
  const bytes = bytesOf(await planted());
  assert.ok(same(bytes, bytesOf(await train())));
  assert.not.ok(same(bytes, bytesOf(await train({ plan: plantedPlan({ seed: 43 }) }))));
});

test('time enters a bundle through its stamp alone', async () => {
  const clock = new ManualClock();
  const onProgress = (): void => clock.advanceNs(1e9);
  const trained = await train({}, { clock, onProgress });
  const { report } = trained;
  assert.ok(same(bytesOf(trained), bytesOf(await planted())));
  assert.ok(report.timingsMs.folds > 0 && report.timingsMs.final > 0);
});

test('the same request gives the same model id whenever it is trained, and another seed gives another one', async () => {
  const later = await train({ createdAtNs: 5n });
  assert.is(bundleOf(later).modelId, bundleOf(await planted()).modelId);
  assert.not.ok(same(bytesOf(later), bytesOf(await planted())));
  const { modelId, createdAtNs } = decodeBundle(bytesOf(later));
  assert.equal([modelId, createdAtNs], [bundleOf(later).modelId, 5n]);
  const other = await train({ createdAtNs: 5n, plan: plantedPlan({ seed: 43 }) });
  assert.is.not(bundleOf(other).modelId, modelId);
});

test('a planted edge serves provisionally, and the planted feature carries it', async () => {
  const trained = await planted();
  const { report } = trained;
  assert.is(report.verdict.verdict, 'provisional');
  const { t, quantile, passed, gain } = firstVerdict(report).finding;
  assert.ok(passed && t > quantile && gain > 0.05, `t ${t}, needed ${quantile}, gain ${gain}`);
  assert.ok(report.restraint.lambda > 0.9, `lambda ${report.restraint.lambda}`);
  assert.ok(report.logLoss < report.baseRateLogLoss - 0.05, `${report.logLoss} against ${report.baseRateLogLoss}`);
  assert.ok(report.auc > 0.75, `AUC ${report.auc}`);
  assert.ok(report.accuracy > report.majorityAccuracy);
  const bundle = bundleOf(trained);
  assert.is(bundle.kind, 'trees');
  assert.is(bundle.rounds, plantedPlan().rounds);
  assert.is(bundle.forest.treeCount, bundle.rounds);
  assert.ok(bundle.importance[HINT]! > 0.5, `importance ${bundle.importance[HINT]}`);
  const total = Object.values(bundle.importance).reduce((sum, share) => sum + share, 0);
  assert.ok(Math.abs(total - 1) < 1e-9);
});

test('a bundle with trees tells winners from losers it has not seen', async () => {
  const bundle = bundleOf(await planted());
  const { y, p } = scoreAll(bundle, plantedSeries(BARS, 63, 0.85));
  assert.ok(logLoss(y, p) < logLoss(y, new Float64Array(y.length).fill(bundle.baseRate)) - 0.05);
});

for (const earlyStoppingRounds of [null, 10]) {
  test(`pure noise is refused with early stopping ${earlyStoppingRounds ?? 'off'}, and the base rate is served instead`, async () => {
    const trained = await train({ series: [NOISE], plan: plantedPlan({ earlyStoppingRounds, minChildWeight: 1 }) });
    assert.is(trained.report.verdict.verdict, 'refused');
    const bundle = bundleOf(trained);
    assert.equal([bundle.kind, bundle.rounds, bundle.forest.treeCount], ['base-rate', 0, 0]);
    assert.equal([bundle.evidence, bundle.calibration.lambda, bundle.edge.slope], ['none', 0, 0]);
    assert.ok(bundle.baseRate > 0.2 && bundle.baseRate < 0.5, `base rate ${bundle.baseRate}`);
    const { p } = scoreAll(bundle, NOISE);
    assert.ok(p.every((confidence) => Math.abs(confidence - bundle.baseRate) < 2e-16));
    assert.is(new Set(p).size, 1, 'every confidence is the same');
    assert.ok(Object.values(bundle.importance).every((share) => share === 0));
  });
}

test('a base-rate bundle loses what its rate is worth on the signals it was made from', async () => {
  const plan = plantedPlan();
  const bundle = bundleOf(await noise());
  const set = buildTrainingSet([NOISE], featureSetOf(plan), plan.labels, plan.vpin);
  const newest = Array.from(set.start.keys()).filter((k) => set.start[k]! >= BARS - Math.floor(0.6 * BARS));
  const y = Uint8Array.from(newest, (k) => set.metaLabel[k]!);
  const rate = y.reduce((sum, label) => sum + label, 0) / y.length;
  assert.is(bundle.baseRate, rate);
  const p = new Float64Array(y.length).fill(new BundleScorer(bundle).confidence(set.rows, 0));
  const entropy = -(rate * Math.log(rate) + (1 - rate) * Math.log(1 - rate));
  assert.ok(Math.abs(logLoss(y, p) - entropy) < 1e-12);
});

test('the pooled losses are those of the folds, weighted by their signals', async () => {
  const { report } = await noise();
  const nTest = report.folds.reduce((sum, fold) => sum + fold.nTest, 0);
  const pooled = (loss: 'logLoss' | 'baseRateLogLoss' | 'accuracy' | 'majorityAccuracy'): number =>
    report.folds.reduce((sum, fold) => sum + fold[loss] * fold.nTest, 0) / nTest;
  for (const name of ['logLoss', 'baseRateLogLoss', 'accuracy', 'majorityAccuracy'] as const) {
    assert.ok(Math.abs(report[name] - pooled(name)) < 1e-12, name);
  }
  assert.is(report.nFolds, report.folds.length);
  assert.ok(report.nFolds >= 5);
});

test('a bundle says what it was trained on', async () => {
  const plan = plantedPlan({ seed: 7 });
  const bundle = bundleOf(await train({ plan }));
  const set = buildTrainingSet([HONEST], featureSetOf(plan), plan.labels, plan.vpin);
  const first = set.start.find((start) => start >= BARS - Math.floor(0.6 * BARS))!;
  assert.is(bundle.trainingStartNs, HONEST.bars.tsEventNs[first]);
  assert.is(bundle.trainingEndNs, HONEST.bars.tsEventNs[set.end[set.end.length - 1]!]);
  assert.is(bundle.createdAtNs, 1_800_000_000_000_000_000n);
  assert.is(bundle.featureFingerprint, featureSetOf(plan).fingerprint);
  assert.equal(bundle.featureNames, featureSetOf(plan).names);
  assert.equal(bundle.labels, plan.labels);
  assert.equal(bundle.instrumentIds, ['PLANTED']);
  assert.equal([bundle.seed, bundle.boosterParameters.seed], [7, 7]);
});

test('without early stopping every fit that is trusted takes all its rounds, and with it noise takes fewer', async () => {
  const { report: whole } = await train({ plan: plantedPlan({ rounds: 23 }) });
  assert.equal(
    [...whole.folds, whole].map(({ rounds }) => rounds),
    new Array<number>(whole.nFolds + 1).fill(23),
  );
  const { report: noise } = await train({ series: [NOISE], plan: plantedPlan({ rounds: 23 }) });
  for (const { rounds, lambda } of noise.folds) assert.is(rounds, lambda > 0 ? 23 : 0);
  assert.ok(noise.folds.some(({ rounds }) => rounds === 0));
  const { report: stopped } = await train({
    series: [NOISE],
    plan: plantedPlan({ rounds: 60, earlyStoppingRounds: 5, minChildWeight: 1, eta: 0.3 }),
  });
  for (const { rounds } of [...stopped.folds, stopped]) assert.ok(rounds < 60, `${rounds} rounds on noise`);
  const { report: useful } = await train({ plan: plantedPlan({ rounds: 60, earlyStoppingRounds: 5 }) });
  for (const { rounds } of useful.folds) assert.ok(rounds >= 5, `${rounds} rounds on a planted edge`);
});

test('a bundle carries what its sizes, regimes and toxicity come from', async () => {
  const trained = await planted();
  const bundle = bundleOf(trained);
  assert.is(bundle.evidence, 'provisional');
  assert.equal(bundle.calibration, {
    baseMargin: Math.log(bundle.baseRate / (1 - bundle.baseRate)),
    lambda: trained.report.restraint.lambda,
  });
  assert.ok(bundle.edge.slope > 0);
  // Two thirds of the stop's loss on a loser, the profit of a winner: what the labels are made of.
  assert.ok(bundle.edge.squareWon > 1 && bundle.edge.squareLost > 0.2 && bundle.edge.squareLost < 1.5);
  const set = setOf(HONEST);
  const newest = [...set.start.keys()].filter((k) => set.start[k]! >= BARS - Math.floor(0.6 * BARS));
  const window = windowOf(set, Int32Array.from(newest));
  assert.equal(bundle.regime, fitRegime(set, window, 42));
  assert.ok(bundle.regime !== null && Object.hasOwn(bundle.regime.scales, 'PLANTED'));
  const inWindow = set.sources[0]!.vpin.subarray(window.start, window.end);
  assert.equal(bundle.toxicityQuantiles, { PLANTED: toxicityQuantiles(inWindow) });
});

test('where volume is unknown a bundle has no quantiles of toxicity', async () => {
  const { volume, ...rest } = HONEST.bars;
  const bars = BarSeries.from({ ...rest, volume: volume.map(() => Number.NaN) });
  assert.equal(bundleOf(await train({ series: [{ ...HONEST, bars }] })).toxicityQuantiles, {});
});

test('the policy decides whether trees that pass the first test, or fail it, serve', async () => {
  const withPolicy = (firstModel: FirstModelPolicy, training = {}) =>
    train({ plan: { ...plantedPlan(training), firstModel } });
  const strict = await withPolicy('strict');
  assert.equal([strict.report.verdict.verdict, firstVerdict(strict.report).finding.passed], ['refused', true]);
  assert.equal([bundleOf(strict).kind, bundleOf(strict).evidence], ['base-rate', 'none']);
  const hardly = { rounds: 1, eta: 0.01 };
  const asked = await withPolicy('provisional', hardly);
  assert.equal([asked.report.verdict.verdict, firstVerdict(asked.report).finding.passed], ['refused', false]);
  assert.ok(asked.report.restraint.lambda > 0);
  const forced = await withPolicy('always', hardly);
  assert.is(forced.report.verdict.verdict, 'forced');
  assert.equal([bundleOf(forced).kind, bundleOf(forced).evidence], ['trees', 'forced']);
  assert.is(bundleOf(forced).calibration.lambda, asked.report.restraint.lambda);
});

test('every further attempt is held to a stricter test, and nothing else about it changes', async () => {
  const first = await planted();
  const second = await train({ attempt: 2 });
  const late = await train({ attempt: 1e9 });
  const findings = [first, second, late].map(({ report }) => firstVerdict(report).finding);
  assert.ok(Math.abs(findings[0]!.alpha / findings[1]!.alpha - 4) < 1e-9);
  assert.ok(findings[1]!.quantile > findings[0]!.quantile);
  for (const { t } of findings) assert.is(t, findings[0]!.t);
  assert.ok(same(bytesOf(first), bytesOf(second)), 'both pass, with the same bundle');
  assert.is(late.report.verdict.verdict, 'refused');
});

const simulated = (bars: number, edge: number): TrainingSeries => ({
  instrumentId: 'SIMULATED',
  bars: simulateMarket({ bars, edge, seed: 1 }),
  primarySignal: 'momentum',
});

test('a market without an edge is refused with the default configuration', async () => {
  const plan = trainingPlanOf(OrchestratorConfig.parse());
  const trained = await train({ series: [simulated(5000, 0)], plan });
  assert.is(trained.report.verdict.verdict, 'refused');
  const bundle = bundleOf(trained);
  assert.equal([bundle.kind, bundle.evidence, bundle.edge.slope], ['base-rate', 'none', 0]);
  assert.equal(new Set(bundle.goldenConfidences).size, 1);
  assert.ok(Math.abs(bundle.goldenConfidences[0]! - bundle.baseRate) < 2e-16);
});

test('a market that is easy to read serves provisionally with the default configuration, its trees trusted', async () => {
  const plan = trainingPlanOf(OrchestratorConfig.parse());
  const trained = await train({ series: [simulated(8000, 1)], plan });
  const { report } = trained;
  assert.is(report.verdict.verdict, 'provisional');
  assert.ok(report.restraint.lambda > 0.5, `lambda ${report.restraint.lambda}`);
  assert.ok(report.logLoss < report.baseRateLogLoss - 0.01, `${report.logLoss} against ${report.baseRateLogLoss}`);
  assert.ok(report.aucInterval.auc > 0.55);
  const bundle = bundleOf(trained);
  assert.equal([bundle.kind, bundle.evidence, bundle.rounds], ['trees', 'provisional', 80]);
  assert.ok(bundle.edge.slope > 0);
  assert.ok(bundle.importance.regime! > 0, 'the regime is one of the features that are used');
});

test('fewer than a thousand bars are refused with both numbers', async () => {
  const { code, message, field } = await refusalOf(() => train({ series: [plantedSeries(999, 64, 0.85)] }));
  assert.equal([code, field], ['INSUFFICIENT_DATA', 'series']);
  assert.match(message, '1000');
  assert.match(message, '999');
  assert.ok((await train({ series: [plantedSeries(1000, 64, 0.85)] })).report.nFolds >= 5);
});

/** The series with only the first `count` of the signals that can be trained on. */
function withSignals(series: PlantedSeries, count: number): PlantedSeries {
  const sides = new Int8Array(series.bars.length);
  let taken = 0;
  for (let bar = 99; taken < count; bar++) {
    sides[bar] = series.sides[bar]!;
    if (sides[bar] !== 0) taken++;
  }
  return { ...series, sides };
}

test('fewer than a hundred labelled signals are refused with the counts of both classes', async () => {
  const series = withSignals(HONEST, 99);
  const plan = plantedPlan({ trainBars: 100, testBars: 40 });
  const { code, message } = await refusalOf(() => train({ series: [series], plan }));
  assert.is(code, 'INSUFFICIENT_DATA');
  const counts = /at least 100 labelled signals .* (\d+) winners and (\d+) losers/.exec(message);
  assert.is(Number(counts?.[1]) + Number(counts?.[2]), 99, message);
});

test('signals of one class are refused', async () => {
  const { tsEventNs, volume } = HONEST.bars;
  const close = Float64Array.from({ length: BARS }, (_, i) => 100 * 1.001 ** i);
  const rising = BarSeries.from({ tsEventNs, open: close, high: close, low: close, close, volume });
  const series = { ...HONEST, bars: rising, sides: new Int8Array(BARS).fill(1) };
  const { code, message } = await refusalOf(() => train({ series: [series] }));
  assert.is(code, 'INSUFFICIENT_DATA');
  assert.match(message, /both classes; there are \d+ winners and 0 losers/);
});

test('windows the series cannot hold are refused with their sizes', async () => {
  const { code, message, field } = await refusalOf(() =>
    train({ plan: plantedPlan({ trainBars: 1995, testBars: 50 }) }),
  );
  assert.equal([code, field], ['INSUFFICIENT_DATA', 'training.trainBars']);
  for (const figure of ['2000', '1995', '50']) assert.match(message, figure);
});

test('signals that all lie before the newest training window are refused', async () => {
  const plan = plantedPlan({ trainBars: 300, testBars: 100 });
  const { code } = await refusalOf(() => train({ series: [withSignals(HONEST, 500)], plan }));
  assert.is(code, 'INSUFFICIENT_DATA');
});

for (const expanding of [false, true]) {
  test(`no label trained on reaches into the test window, ${expanding ? 'expanding' : 'rolling'}`, async () => {
    const embargoBars = 5;
    const [trainBars, testBars] = [800, 200];
    const plan = plantedPlan({ trainBars, testBars, embargoBars, expanding, rounds: 5 });
    const { report } = await train({ plan });
    const { start, end, calendarNs } = buildTrainingSet([HONEST], featureSetOf(plan), plan.labels, plan.vpin);
    const bars = end[end.length - 1]! + 1;
    let purged = 0;
    let k = 0;
    for (let testStart = trainBars + embargoBars; testStart + testBars / 2 <= bars; testStart += testBars) {
      const fold = report.folds[k++]!;
      const trainEnd = testStart - embargoBars;
      const inWindow = [...start.keys()].filter(
        (row) => start[row]! < trainEnd && (expanding || start[row]! >= trainEnd - trainBars),
      );
      const kept = inWindow.filter((row) => end[row]! < testStart);
      const tested = start.filter((at) => at >= testStart && at < testStart + testBars);
      assert.is(fold.nTrain, kept.length);
      assert.is(fold.nTest, tested.length);
      assert.is(fold.testStartNs, calendarNs[tested[0]!]);
      assert.is(fold.testEndNs, calendarNs[tested[tested.length - 1]!]);
      purged += inWindow.length - kept.length;
    }
    assert.is(report.nFolds, k);
    assert.ok(purged > 0, 'some labels had to be purged');
  });
}

/** The series with everything from bar `from` on replaced: prices that go one way by `drift` a bar, other volumes, another feature. */
function garbledFrom(series: PlantedSeries, from: number, drift: number): PlantedSeries {
  const other = randomBars(series.bars.length, 999, { volatility: 0.0001 });
  const scale = series.bars.close[from - 1]! / other.close[from - 1]!;
  const priced = (own: Float64Array, foreign: Float64Array): Float64Array =>
    own.map((value, i) => (i < from ? value : foreign[i]! * scale * Math.exp(drift * (i - from + 1))));
  const { tsEventNs, open, high, low, close, volume } = series.bars;
  const bars = BarSeries.from({
    tsEventNs,
    open: priced(open, other.open),
    high: priced(high, other.high),
    low: priced(low, other.low),
    close: priced(close, other.close),
    volume: volume.map((value, i) => (i < from ? value : 1 + other.volume[i]!)),
  });
  const hint = series.features[HINT]!.map((value, i) => (i < from ? value : 7 + i));
  return { ...series, bars, features: { [HINT]: hint } };
}

for (const earlyStoppingRounds of [null, 10]) {
  test(`garbling all bars after the last label's horizon changes no byte, early stopping ${earlyStoppingRounds ?? 'off'}`, async () => {
    const last = 1700;
    const series = { ...HONEST, sides: HONEST.sides.map((side, bar) => (bar <= last ? side : 0)) };
    series.sides[last] = 1;
    const plan = plantedPlan({ earlyStoppingRounds, ...FEW });
    const trained = await train({ series: [series], plan });
    assert.is(trained.report.verdict.verdict, 'provisional');
    const garbledAt = async (from: number, drift: number): Promise<Uint8Array> =>
      bytesOf(await train({ series: [garbledFrom(series, from, drift)], plan }));
    const afterHorizon = last + HORIZON + 1;
    const garbled = await train({ series: [garbledFrom(series, afterHorizon, 0.01)], plan });
    assert.ok(same(bytesOf(trained), bytesOf(garbled)));
    assert.ok(same(bytesOf(trained), await garbledAt(afterHorizon, -0.01)));
    const [{ timingsMs: _mine, ...report }, { timingsMs: _other, ...garbledReport }] = [trained.report, garbled.report];
    assert.equal(garbledReport, report);
    // The control: the same garbling inside the last horizon makes that signal win or lose, and shows.
    assert.not.ok(same(await garbledAt(last + 1, 0.01), await garbledAt(last + 1, -0.01)));
  });
}

test('a fold is judged the same whatever happens after its last horizon', async () => {
  const plan = plantedPlan({ trainBars: 800, testBars: 200, earlyStoppingRounds: 10 });
  const { report: whole } = await train({ plan });
  const { report: garbled } = await train({ plan, series: [garbledFrom(HONEST, 1400 + HORIZON, 0.01)] });
  const known = 3; // tested on bars 800–999, 1000–1199 and 1200–1399
  assert.equal(garbled.folds.slice(0, known), whole.folds.slice(0, known));
  assert.not.equal(garbled.folds[known], whole.folds[known], 'the control: the next fold sees the garbled bars');
});

test('the fit, the regimes and the trust of a fold know nothing of the bars it is tested on', async () => {
  const plan = plantedPlan();
  const features = featureSetOf(plan);
  const cut = 1200;
  const quiet = {
    progress: () => undefined,
    async timed<T>(call: () => T | Promise<T>): Promise<T> {
      return call();
    },
  };
  const foldOf = async (series: PlantedSeries): Promise<{ fold: Fold; regime: RegimeModel | null }> => {
    const set = setOf(series);
    const rows = Int32Array.from(set.start.keys());
    const train = rows.filter((row) => set.end[row]! < cut);
    const test = rows.filter((row) => set.start[row]! >= cut && set.start[row]! < cut + 200);
    const fold = await runFold(set, { train, test }, features, plan, quiet);
    return { fold, regime: fitRegime(set, windowOf(set, train), plan.seed) };
  };
  const whole = await foldOf(HONEST);
  assert.ok(whole.fold.fit.restraint.lambda > 0 && whole.regime !== null);
  for (const drift of [0.01, -0.01]) {
    const garbled = await foldOf(garbledFrom(HONEST, cut, drift));
    assert.equal(garbled.fold.fit, whole.fold.fit);
    assert.equal(garbled.regime, whole.regime);
    assert.equal(garbled.fold.baseRate[0], whole.fold.baseRate[0]);
    assert.not.equal(garbled.fold.confidence, whole.fold.confidence, 'the control: the tested rows did change');
  }
  const inside = await foldOf(garbledFrom(HONEST, cut - 100, 0.01));
  assert.not.equal(inside.fold.fit.forest, whole.fold.fit.forest, 'the control: bars inside the window count');
  assert.not.equal(inside.regime, whole.regime);
});

test('of a longer series the folds begin as those of its beginning do', async () => {
  const plan = plantedPlan({ trainBars: 800, testBars: 200 });
  const { report: short } = await train({ plan, series: [plantedSeries(1410, 61, 0.85)] });
  const { report: long } = await train({ plan });
  assert.is(short.nFolds, 3);
  assert.equal(long.folds.slice(0, 3), short.folds);
});

/** A bundle trained on the first 1400 bars, so that it has not seen the last fold of all 2000. */
async function earlierBundle(training: Parameters<typeof plantedPlan>[0] = {}): Promise<Uint8Array> {
  return bytesOf(await train({ series: [plantedSeries(1400, 61, 0.85)], plan: plantedPlan(training) }));
}

test('a damaged incumbent is refused with its code', async () => {
  const incumbent = (await earlierBundle()).slice(0, 500);
  assert.is((await refusalOf(() => train({ incumbent }))).code, 'MODEL_CORRUPT');
});

test('two series train one model, ordered by time', async () => {
  const other = { ...plantedSeries(BARS, 65, 0.85), instrumentId: 'OTHER' };
  const { report } = await train({ series: [HONEST, other] });
  assert.is(report.verdict.verdict, 'provisional');
  const alone = (await planted()).report;
  assert.is(report.labelCounts.trained, report.nSamples);
  assert.ok(report.nSamples > 1.8 * alone.nSamples);
  for (const [k, fold] of report.folds.slice(1).entries()) assert.ok(fold.testStartNs > report.folds[k]!.testEndNs);
  // Twice as many labels are open at once, and detectors and bets go by those of all instruments.
  const concurrencyOf = ({ bundle }: TrainedModel): number => decodeBundle(bundle).meanConcurrency;
  const ratio = concurrencyOf(await train({ series: [HONEST, other] })) / concurrencyOf(await planted());
  assert.ok(Math.abs(ratio - 2) < 0.1, `${ratio}`);
});

test('progress goes from nothing to everything, never back, through every fold', async () => {
  const seen: TrainingProgress[] = [];
  const { report } = await train(
    { plan: plantedPlan({ earlyStoppingRounds: 10 }) },
    { onProgress: (one) => seen.push(one) },
  );
  assert.equal(seen[0], { step: 'set', fold: 0, folds: 0, share: 0 });
  for (const [k, { share }] of seen.slice(1).entries()) assert.ok(share >= seen[k]!.share && share <= 1);
  assert.ok(Math.abs(seen[seen.length - 1]!.share - 1) < 1e-9);
  const folds = new Set(seen.filter(({ step }) => step === 'folds').map(({ fold }) => fold));
  assert.equal([...folds], [...report.folds.keys()]);
  assert.ok(seen.some(({ step }) => step === 'final'));
});

test('a training that is cancelled stops between two steps of rounds', async () => {
  let asked = 0;
  const isCancelled = (): boolean => ++asked === 3;
  const { code } = await refusalOf(() => train({}, { isCancelled }));
  assert.is(code, 'TRAINING_CANCELLED');
  assert.is(asked, 3, 'nothing was asked or trained after it');
});

test.run();
