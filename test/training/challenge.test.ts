import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { BarSeries } from '../../src/market/bar.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle, encodeBundle } from '../../src/model/bundle-codec.js';
import { judgeAgainst } from '../../src/training/challenge.js';
import { type TrainedModel, type TrainingRequest, trainModel } from '../../src/training/train-model.js';
import { featureSetOf } from '../../src/training/training-plan.js';
import { seriesBefore } from '../../src/training/training-series.js';
import { logLoss } from '../../src/validation/metrics.js';
import { relabelled } from '../support/bundles.js';
import { liveAnswers } from '../support/live-answers.js';
import { ManualClock } from '../support/manual-clock.js';
import { HINT, type PlantedSeries, plantedPlan, plantedSeries } from '../support/planted.js';
import { refusalOf } from '../support/refusal.js';
import { randomlyTreed } from '../support/rival-bundles.js';
import { firstVerdict, strictVerdict } from '../support/verdicts.js';

const BARS = 2700;
const KNOWN_BARS = 1150;
const TEST_BARS = 1000;
const ALPHA = 0.05;
const PLAN = { ...plantedPlan({ trainBars: 800, testBars: 800, rounds: 6 }), gateBars: TEST_BARS };
const SERIES = plantedSeries(BARS, 91, 0.8);
const TEST_START_NS = SERIES.bars.tsEventNs[BARS - TEST_BARS]!;

function train(request: Partial<TrainingRequest> = {}): Promise<TrainedModel> {
  return trainModel(
    {
      series: [SERIES],
      plan: PLAN,
      createdAtNs: 1_800_000_000_000_000_000n,
      attempt: 1,
      incumbent: null,
      alpha: ALPHA,
      testedUntilNs: null,
      force: false,
      ...request,
    },
    { clock: new ManualClock(), onProgress: () => undefined, isCancelled: () => false },
  );
}

/** The hint tells as much as `honesty` says in the bars up to one, and as much as `then` says from it on. */
function changing(honesty: number, then: number, at: number): PlantedSeries {
  const [before, after] = [plantedSeries(BARS, 91, honesty), plantedSeries(BARS, 91, then)];
  const hint = before.features[HINT]!.slice();
  hint.set(after.features[HINT]!.subarray(at), at);
  return { ...before, features: { [HINT]: hint } };
}

function cut(series: PlantedSeries, bars: number): PlantedSeries {
  return seriesBefore(series, series.bars.tsEventNs[bars]!) as PlantedSeries;
}

const memo = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
};

/** With trees that learned from lies: it has seen nothing of the test window. */
const misled = memo(async () => {
  const series = cut(plantedSeries(BARS, 91, 0.5), KNOWN_BARS);
  const plan = plantedPlan({ trainBars: 800, testBars: 300, minChildWeight: 5, rounds: 6 });
  const { bundle } = await train({ series: [series], plan, force: true });
  const champion = decodeBundle(bundle);
  if (champion.kind === 'trees') return bundle;
  // The restraint has seen through the lies: trees that know the truth by halves will do as well.
  const half = cut(plantedSeries(BARS, 91, 0.65), KNOWN_BARS);
  return (await train({ series: [half], plan, force: true })).bundle;
});

const challenged = memo(async () => train({ incumbent: await misled() }));

/** The series with everything from an instant on replaced by another market's. */
function replacedFrom(series: PlantedSeries, bar: number): PlantedSeries {
  const other = plantedSeries(BARS, 5000, 0.2);
  const column = (of: (one: PlantedSeries) => Float64Array): Float64Array => {
    const values = of(series).slice();
    values.set(of(other).subarray(bar), bar);
    return values;
  };
  const sides = series.sides.slice();
  sides.set(other.sides.subarray(bar), bar);
  const bars = BarSeries.from({
    tsEventNs: series.bars.tsEventNs,
    open: column(({ bars }) => bars.open),
    high: column(({ bars }) => bars.high),
    low: column(({ bars }) => bars.low),
    close: column(({ bars }) => bars.close),
    volume: column(({ bars }) => bars.volume),
  });
  return { ...series, bars, sides, features: { [HINT]: column(({ features }) => features[HINT]!) } };
}

/** Labelled test signals whose horizon closes inside the data: bar and meta-label. */
function testLabels(): { bar: number; label: number }[] {
  const { signalBar, metaLabel } = tripleBarrierLabels(SERIES.bars, SERIES.sides, PLAN.labels);
  const horizon = PLAN.labels.maxHoldingBars;
  return [...signalBar]
    .map((bar, k) => ({ bar, label: metaLabel[k]! }))
    .filter(({ bar }) => bar >= BARS - TEST_BARS && bar + horizon < BARS);
}

async function liveLoss(bundle: ModelBundle): Promise<number> {
  const answers = await liveAnswers(bundle, SERIES);
  const labels = testLabels();
  const confidences = Float64Array.from(labels, ({ bar }) => answers.get(bar)!.metaConfidence);
  return logLoss(
    Uint8Array.from(labels, ({ label }) => label),
    confidences,
  );
}

test('the challenger sees nothing of the test window: with another market in it, its bytes are the same', async () => {
  const incumbent = await misled();
  const { bundle, report } = await challenged();
  const other = await train({ series: [replacedFrom(SERIES, BARS - TEST_BARS)], incumbent });
  assert.is(decodeBundle(other.bundle).modelId, decodeBundle(bundle).modelId);
  assert.is(Buffer.compare(other.bundle, bundle), 0);
  assert.is.not(strictVerdict(other.report).gate!.meanGain, strictVerdict(report).gate!.meanGain);
  const earlier = await train({ series: [replacedFrom(SERIES, BARS - TEST_BARS - 200)], incumbent });
  assert.is.not(decodeBundle(earlier.bundle).modelId, decodeBundle(bundle).modelId, 'what comes before it matters');
});

test('no horizon the challenger learned from reaches into the test window', async () => {
  const { bundle } = await challenged();
  assert.ok(decodeBundle(bundle).trainingEndNs < TEST_START_NS);
});

test('a challenger that knows more is promoted on the newest bars, and serves with full standing', async () => {
  const { bundle, report } = await challenged();
  const verdict = strictVerdict(report);
  assert.equal([verdict.verdict, verdict.installs], ['promote', 'trees'], verdict.sentence);
  assert.is(verdict.gate!.alpha, ALPHA);
  assert.ok(verdict.gate!.spends);
  assert.equal([decodeBundle(bundle).kind, decodeBundle(bundle).evidence], ['trees', 'strict']);
});

test('both models are judged on the same horizon-closed labels, by the bits they would have answered live', async () => {
  const incumbent = decodeBundle(await misled());
  const { bundle, report } = await challenged();
  const { gate } = strictVerdict(report);
  assert.is(gate!.n, testLabels().length);
  assert.is(gate!.championLogLoss, await liveLoss(incumbent));
  assert.is(gate!.challengerLogLoss, await liveLoss(decodeBundle(bundle)));
});

test('a champion that asks for regimes is given its own, as it would be live', async () => {
  const features = featureSetOf(PLAN);
  const champion = randomlyTreed(decodeBundle(await misled()), features, 95);
  const challenger = decodeBundle((await challenged()).bundle);
  assert.ok(champion.regime !== null && challenger.regime !== null);
  const challenge = { champion, testStartNs: TEST_START_NS, series: [SERIES], plan: PLAN };
  const { gate } = judgeAgainst(challenge, challenger, { alpha: ALPHA, force: false, testedUntilNs: null }, features);
  assert.is(gate!.championLogLoss, await liveLoss(champion));
});

test('the gain is counted against the base rate of the champion', async () => {
  const incumbent = decodeBundle(await misled());
  const { gate } = strictVerdict((await challenged()).report);
  const labels = Uint8Array.from(testLabels(), ({ label }) => label);
  assert.is(gate!.baseRateLogLoss, logLoss(labels, new Float64Array(labels.length).fill(incumbent.baseRate)));
});

test('a challenger that knows less is kept as a candidate, and the test is spent', async () => {
  const knowing = (
    await train({
      series: [cut(SERIES, KNOWN_BARS)],
      plan: plantedPlan({ rounds: 6, trainBars: 800, testBars: 300 }),
      force: true,
    })
  ).bundle;
  const { report } = await train({ series: [changing(0.5, 0.8, BARS - TEST_BARS)], incumbent: knowing });
  const verdict = strictVerdict(report);
  assert.equal([verdict.verdict, verdict.installs, verdict.gate!.spends], ['reject', null, true], verdict.sentence);
});

test('without a token the challenger stays a candidate, the verdict says so, and nothing is spent', async () => {
  const { report, bundle } = await train({ incumbent: await misled(), alpha: null });
  const verdict = strictVerdict(report);
  assert.equal([verdict.verdict, verdict.installs], ['insufficient-evidence', null]);
  assert.equal([verdict.gate!.spends, verdict.gate!.reasons[0]], [false, 'no-token']);
  assert.match(verdict.sentence, /no test is left/);
  assert.is(Buffer.compare(bundle, (await challenged()).bundle), 0, 'what was trained does not depend on tokens');
});

test('a champion that has seen every bar cannot be challenged on any: nothing is tested and nothing spent', async () => {
  const champion = decodeBundle(await misled());
  const lastNs = SERIES.bars.tsEventNs[BARS - 1]!;
  const { report, bundle } = await train({ incumbent: encodeBundle({ ...champion, trainingEndNs: lastNs }) });
  const verdict = strictVerdict(report);
  assert.equal([verdict.verdict, verdict.installs], ['insufficient-evidence', null]);
  assert.equal([verdict.gate!.n, verdict.gate!.spends], [0, false]);
  assert.ok(decodeBundle(bundle).trainingEndNs > TEST_START_NS, 'it was trained on everything');
});

test('the test starts only where the training of the champion has ended', async () => {
  const champion = decodeBundle(await misled());
  const endNs = SERIES.bars.tsEventNs[BARS - 700]!;
  const { report } = await train({ incumbent: encodeBundle({ ...champion, trainingEndNs: endNs }) });
  const { gate } = strictVerdict(report);
  assert.is(gate!.n, testLabels().filter(({ bar }) => bar > BARS - 700).length);
});

for (const [what, header] of [
  ['features', { featureFingerprint: 'of-others' }],
  ['labels', { labels: { ...PLAN.labels, costBps: 3 } }],
] as const) {
  test(`a champion with other ${what} answers another question: what is trained goes the way of a first model`, async () => {
    const champion = decodeBundle(await misled());
    const series = [cut(SERIES, KNOWN_BARS)];
    const plan = plantedPlan({ rounds: 6, trainBars: 800, testBars: 300 });
    const { report } = await train({ series, plan, incumbent: encodeBundle({ ...champion, ...header }) });
    const verdict = firstVerdict(report);
    assert.is(verdict.comparison, 'incumbent-not-comparable');
    assert.is(verdict.verdict, 'provisional');
    assert.match(verdict.sentence, /different question/);
  });
}

const baseRate = memo(async () => {
  const series = cut(plantedSeries(BARS, 91, 0.5), KNOWN_BARS);
  const { bundle } = await train({
    series: [series],
    plan: { ...plantedPlan({ rounds: 6, trainBars: 800, testBars: 300 }), firstModel: 'strict' },
  });
  assert.is(decodeBundle(bundle).kind, 'base-rate');
  return bundle;
});

test('a champion without trees leaves its place to a first model', async () => {
  const series = [cut(SERIES, KNOWN_BARS)];
  const plan = plantedPlan({ rounds: 6, trainBars: 800, testBars: 300 });
  const { report } = await train({ series, plan, incumbent: await baseRate() });
  const verdict = firstVerdict(report);
  assert.equal([verdict.verdict, verdict.comparison], ['provisional', 'incumbent-without-trees']);
});

test("a champion without trees defends its place where the policy is 'strict'", async () => {
  const plan = { ...PLAN, firstModel: 'strict' as const };
  const won = strictVerdict((await train({ incumbent: await baseRate(), plan })).report);
  assert.equal([won.verdict, won.installs], ['promote', 'trees'], won.sentence);
  const lost = strictVerdict(
    (await train({ series: [plantedSeries(BARS, 91, 0.5)], incumbent: await baseRate(), plan })).report,
  );
  assert.equal([lost.verdict === 'promote', lost.installs], [false, null], lost.sentence);
});

test('force installs what the gate refuses, records it as forced, and the figures stay', async () => {
  const knowing = (
    await train({
      series: [cut(SERIES, KNOWN_BARS)],
      plan: plantedPlan({ rounds: 6, trainBars: 800, testBars: 300 }),
      force: true,
    })
  ).bundle;
  const { report, bundle } = await train({
    series: [changing(0.65, 0.8, BARS - TEST_BARS)],
    incumbent: knowing,
    force: true,
  });
  const verdict = strictVerdict(report);
  assert.equal([verdict.verdict, verdict.installs], ['forced', decodeBundle(bundle).kind]);
  assert.is(decodeBundle(bundle).evidence, decodeBundle(bundle).kind === 'trees' ? 'forced' : 'none');
  assert.is.not(verdict.gate!.verdict, 'promote');
  assert.match(verdict.sentence, /by request/);
});

test('an instrument that began inside the test window takes nothing away from the challenge', async () => {
  const young = plantedSeries(BARS, 93, 0.8);
  const first = BARS - TEST_BARS + 100;
  const newcomer: PlantedSeries = {
    instrumentId: 'YOUNG',
    bars: young.bars.slice(first, BARS),
    sides: young.sides.subarray(first),
    features: { [HINT]: young.features[HINT]!.subarray(first) },
  };
  const { report } = await train({ series: [SERIES, newcomer], incumbent: await misled() });
  const verdict = strictVerdict(report);
  assert.is(verdict.verdict, 'promote', verdict.sentence);
  assert.ok(verdict.gate!.n > testLabels().length);
});

test('a damaged champion is refused before anything is trained', async () => {
  const incumbent = (await misled()).slice();
  incumbent[incumbent.length >> 1]! ^= 1;
  const { code } = await refusalOf(() => train({ incumbent }));
  assert.is(code, 'MODEL_CORRUPT');
});

test('a provisional champion is challenged like any other', async () => {
  const incumbent = encodeBundle(relabelled(decodeBundle(await misled()), { evidence: 'provisional' }));
  const { report, bundle } = await train({ incumbent });
  assert.is(strictVerdict(report).verdict, 'promote');
  assert.is(Buffer.compare(bundle, (await challenged()).bundle), 0);
});

test.run();
