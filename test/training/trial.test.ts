import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle, encodeBundle } from '../../src/model/bundle-codec.js';
import { trainModel } from '../../src/training/train-model.js';
import { seriesBefore } from '../../src/training/training-series.js';
import { runTrial, type TrialRequest, type TrialResult } from '../../src/training/trial.js';
import { relabelled } from '../support/bundles.js';
import { liveAnswers } from '../support/live-answers.js';
import { ManualClock } from '../support/manual-clock.js';
import { HINT, type PlantedSeries, plantedPlan, plantedSeries } from '../support/planted.js';
import { refusalOf } from '../support/refusal.js';

const BARS = 2800;
const KNOWN_BARS = 1200;
const ALPHA = 0.05;
const PLAN = plantedPlan({ rounds: 8, trainBars: 850, testBars: 300 });
const HONESTY = 0.8;

/** A market whose hint becomes another one after the training of the champion. */
function turning(then: (hint: Float64Array, honest: PlantedSeries) => Float64Array): PlantedSeries {
  const honest = plantedSeries(BARS, 71, HONESTY);
  const hint = honest.features[HINT]!.slice();
  hint.set(then(hint, honest).subarray(KNOWN_BARS), KNOWN_BARS);
  return { ...honest, features: { [HINT]: hint } };
}

const HONEST = plantedSeries(BARS, 71, HONESTY);
const LYING = turning((hint) => hint.map((value) => 1 - value));

async function trained(series: PlantedSeries, bars: number, force = false): Promise<ModelBundle> {
  const known = seriesBefore(series, series.bars.tsEventNs[bars]!);
  const request = { createdAtNs: 5n, attempt: 1, incumbent: null, alpha: null, testedUntilNs: null, force };
  const hooks = { clock: new ManualClock(), onProgress: () => undefined, isCancelled: () => false };
  return decodeBundle((await trainModel({ series: [known], plan: PLAN, ...request }, hooks)).bundle);
}

let provisional: Promise<ModelBundle> | undefined;

function champion(): Promise<ModelBundle> {
  provisional ??= trained(HONEST, KNOWN_BARS);
  return provisional;
}

async function tried(series: PlantedSeries, request: Partial<TrialRequest> = {}): Promise<TrialResult> {
  const file = encodeBundle(await champion());
  return runTrial({
    series: [series],
    plan: PLAN,
    champion: file,
    candidate: null,
    alpha: ALPHA,
    testedUntilNs: null,
    ...request,
  });
}

test('a provisional champion with an edge becomes full: the same trees, nothing refitted', async () => {
  const before = await champion();
  assert.is(before.evidence, 'provisional');
  const { verdict, bundle } = await tried(HONEST);
  assert.equal([verdict.verdict, verdict.installs], ['promote', 'trees'], verdict.sentence);
  const after = decodeBundle(bundle!);
  assert.is(after.evidence, 'strict');
  const { modelId: _before, evidence: _provisional, ...rest } = before;
  const { modelId: _after, evidence: _strict, ...same } = after;
  assert.equal(same, rest);
});

test('in full standing the same answers get twice the size', async () => {
  const short = seriesBefore(HONEST, HONEST.bars.tsEventNs[400]!) as PlantedSeries;
  const small = (bundle: ModelBundle): ModelBundle =>
    // So small an edge that no size meets its bound.
    relabelled(bundle, {
      edge: { ...bundle.edge, intercept: bundle.edge.intercept / 1e4, slope: bundle.edge.slope / 1e4 },
    });
  const before = await liveAnswers(small(await champion()), short);
  const after = await liveAnswers(small(decodeBundle((await tried(HONEST)).bundle!)), short);
  const sized = [...before].filter(([, { size }]) => size !== 0);
  assert.ok(sized.length > 10, `${sized.length} signals have a size`);
  for (const [bar, { size, metaConfidence }] of before) {
    assert.is(after.get(bar)!.metaConfidence, metaConfidence);
    assert.is(after.get(bar)!.size, 2 * size);
  }
});

test('a provisional champion whose edge has turned around is withdrawn, and its base rate serves', async () => {
  const before = await champion();
  const { verdict, bundle } = await tried(LYING);
  assert.equal([verdict.verdict, verdict.installs], ['withdraw', 'base-rate'], verdict.sentence);
  const after = decodeBundle(bundle!);
  assert.equal([after.kind, after.evidence, after.forest.treeCount, after.rounds], ['base-rate', 'none', 0, 0]);
  assert.equal([after.edge.slope, after.calibration.lambda], [0, 0]);
  assert.is(after.trainingEndNs, before.trainingEndNs);
  const answers = await liveAnswers(after, seriesBefore(LYING, LYING.bars.tsEventNs[200]!) as PlantedSeries);
  const evaluated = [...answers.values()].filter(({ degraded }) => degraded === undefined);
  assert.ok(evaluated.length > 10);
  for (const { metaConfidence, size } of evaluated) {
    assert.ok(Math.abs(metaConfidence - before.baseRate) < 1e-6, `${metaConfidence} is not ${before.baseRate}`);
    assert.is(Math.abs(size), 0);
  }
});

test('half of the error goes each way', async () => {
  for (const series of [HONEST, LYING]) {
    const { gate } = (await tried(series)).verdict;
    assert.equal([gate!.alpha, gate!.spends], [ALPHA / 2, true]);
  }
});

test('between the two it stays provisional, and what was tested is spent', async () => {
  // Trees that are too sure of a hint that is right a little less often gain nothing on the base rate and lose nothing.
  const faint = plantedSeries(BARS, 71, 0.6);
  const series = turning(() => faint.features[HINT]!);
  const { verdict, bundle } = await tried(series);
  assert.equal([verdict.verdict, verdict.installs, bundle === null], ['reject', null, true], verdict.sentence);
  assert.ok(verdict.gate!.spends);
  assert.match(verdict.sentence, /stays provisional/);
});

test('with too few labels since its training it stays provisional, and nothing is spent', async () => {
  const early = seriesBefore(HONEST, HONEST.bars.tsEventNs[KNOWN_BARS + 150]!) as PlantedSeries;
  const { verdict, bundle } = await tried(early);
  assert.equal(
    [verdict.verdict, verdict.installs, bundle === null],
    ['insufficient-evidence', null, true],
    verdict.sentence,
  );
  assert.is(verdict.gate!.spends, false);
  assert.ok(verdict.gate!.reasons.includes('too-few-blocks'));
});

test('with no label at all since its training it stays provisional', async () => {
  const { verdict, bundle } = await tried(seriesBefore(HONEST, HONEST.bars.tsEventNs[KNOWN_BARS]!) as PlantedSeries);
  assert.equal([verdict.verdict, bundle === null, verdict.gate!.n], ['insufficient-evidence', true, 0]);
});

test('without a token neither direction is tested', async () => {
  for (const series of [HONEST, LYING]) {
    const { verdict, bundle } = await tried(series, { alpha: null });
    assert.equal([verdict.verdict, verdict.installs, bundle === null], ['insufficient-evidence', null, true]);
    assert.equal([verdict.gate!.spends, verdict.gate!.reasons[0]], [false, 'no-token']);
  }
});

test('only labels since the end of its training count', async () => {
  const { gate } = (await tried(HONEST)).verdict;
  const { trainingEndNs } = await champion();
  const known = HONEST.bars.tsEventNs.findIndex((closeNs) => closeNs > trainingEndNs);
  const later = HONEST.sides.subarray(known, BARS - PLAN.labels.maxHoldingBars).filter((side) => side !== 0).length;
  assert.is(gate!.n, later);
});

test('a champion that is not provisional, or answers another question, is not on trial', async () => {
  const full = encodeBundle(relabelled(await champion(), { evidence: 'strict' }));
  const other = encodeBundle(relabelled(await champion(), { labels: { ...PLAN.labels, maxHoldingBars: 5 } }));
  for (const file of [full, other]) {
    const { code, field } = await refusalOf(() => tried(HONEST, { champion: file }));
    assert.equal([code, field], ['USAGE', 'champion']);
  }
});

let knowing: Promise<ModelBundle> | undefined;

/** With trees that know the hint less well. */
function weaker(): Promise<ModelBundle> {
  knowing ??= trained(plantedSeries(BARS, 71, 0.65), KNOWN_BARS, true);
  return knowing;
}

test('a candidate that knows more takes the place of the champion in full standing, for one whole error', async () => {
  const candidate = encodeBundle(await champion());
  const { verdict, bundle } = await tried(HONEST, { champion: encodeBundle(await weaker()), candidate });
  assert.equal([verdict.verdict, verdict.installs], ['promote', 'trees'], verdict.sentence);
  const full = encodeBundle({ ...(await champion()), evidence: 'strict' });
  assert.is(Buffer.compare(bundle!, full), 0, 'the same bytes but for its standing');
  assert.is(verdict.gate!.alpha, ALPHA);
});

test('a candidate that knows less stays one', async () => {
  const { verdict, bundle } = await tried(HONEST, { candidate: encodeBundle(await weaker()) });
  assert.equal([verdict.verdict, verdict.installs, bundle === null], ['reject', null, true], verdict.sentence);
});

test('a candidate is tried on what neither it nor the champion has seen, whichever was trained later', async () => {
  const laterNs = HONEST.bars.tsEventNs[2000]!;
  const late = encodeBundle(relabelled(await champion(), { trainingEndNs: laterNs }));
  const rest = HONEST.sides.subarray(2001, BARS - PLAN.labels.maxHoldingBars).filter((side) => side !== 0).length;
  const early = encodeBundle(await weaker());
  assert.is((await tried(HONEST, { champion: early, candidate: late })).verdict.gate!.n, rest);
  assert.is((await tried(HONEST, { champion: late, candidate: early })).verdict.gate!.n, rest);
});

test('a candidate that answers another question cannot be tried', async () => {
  const candidate = encodeBundle(relabelled(await champion(), { featureFingerprint: 'of-others' }));
  const { code, field } = await refusalOf(() => tried(HONEST, { candidate }));
  assert.equal([code, field], ['USAGE', 'candidate']);
});

test.run();
