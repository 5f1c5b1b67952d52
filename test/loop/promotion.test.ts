import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { ModelKeeper } from '../../src/loop/model-keeper.js';
import { Promotion } from '../../src/loop/promotion.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { decodeBundle, encodeBundle } from '../../src/model/bundle-codec.js';
import { TestTokens } from '../../src/retrain/test-tokens.js';
import type { Verdict } from '../../src/retrain/verdict.js';
import type { VerdictRecord } from '../../src/state/records.js';
import { TrainingAttempts } from '../../src/training/training-attempts.js';
import { relabelled, trainedBundle } from '../support/bundles.js';
import { ManualClock } from '../support/manual-clock.js';
import { plantedSeries } from '../support/planted.js';
import { refusalOf } from '../support/refusal.js';
import { RecordingFiles, RecordingJournal } from '../support/registry-journal.js';
import { gateSaid, ScriptedTraining } from '../support/scripted-training.js';

const SERIES = [plantedSeries(50, 1, 0.5)];
const IDS = ['PLANTED'];
const NOW_NS = SERIES[0]!.bars.tsEventNs[49]!;
const BUDGET = { errorPerYear: 0.05, maxTestsPerYear: 24 };

const finding = { passed: true, alpha: 0.1, quantile: 1, t: 2, gain: 1, neededLabels: null, etaDays: null };
const FIRST: Verdict = {
  kind: 'first-model',
  verdict: 'provisional',
  installs: 'trees',
  comparison: 'no-incumbent',
  finding,
  sentence: 'It is provisional.',
};

interface Bench {
  readonly promotion: Promotion;
  readonly keeper: ModelKeeper;
  readonly training: ScriptedTraining;
  readonly tokens: TestTokens;
  readonly attempts: TrainingAttempts;
  readonly files: RecordingFiles;
  readonly journal: RecordingJournal;
  readonly records: Omit<VerdictRecord, 'serial'>[];
  readonly told: Verdict[];
  readonly calls: string[];
}

function bench(): Bench {
  const calls: string[] = [];
  const [files, journal, training] = [new RecordingFiles(calls), new RecordingJournal(calls), new ScriptedTraining()];
  const clock = new ManualClock();
  const keeper = new ModelKeeper({
    files: files.asPersistence,
    journal,
    clock,
    publish: async () => void calls.push('publish'),
    onAdopted: () => undefined,
    onPublished: () => undefined,
  });
  const [tokens, attempts] = [new TestTokens(BUDGET), new TrainingAttempts()];
  const records: Bench['records'] = [];
  const told: Verdict[] = [];
  const promotion = new Promotion({
    keeper,
    training: training.asLoop,
    tokens,
    attempts,
    clock,
    journal,
    record: (verdict) => {
      calls.push('verdict recorded');
      records.push(verdict);
    },
    onVerdict: (verdict) => {
      calls.push('verdict told');
      told.push(verdict);
    },
  });
  return { promotion, keeper, training, tokens, attempts, files, journal, records, told, calls };
}

async function models(count: number): Promise<ModelBundle[]> {
  const bundle = await trainedBundle();
  return Array.from({ length: count }, (_, k) => relabelled(bundle, { createdAtNs: BigInt(10 + k), seed: k }));
}

const left = ({ tokens }: Bench): number => tokens.available(IDS, NOW_NS);

test('a promotion becomes durable with its verdict and the error it spent, is told, and then served', async () => {
  const parts = bench();
  const [champion, challenger] = await models(2);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  parts.calls.length = 0;
  parts.training.next = () => ({ verdict: gateSaid('promote'), trained: challenger! });
  const before = left(parts);
  await parts.promotion.train(SERIES, {});
  assert.equal(
    parts.calls.filter((call) => !call.startsWith('record ')),
    ['store', 'verdict recorded', 'flush', 'verdict told', 'publish'],
  );
  assert.is(left(parts), before - 1);
  assert.is(parts.keeper.champion?.modelId, challenger!.modelId);
  const { kind, challengerId, championId } = parts.records[0]!;
  assert.equal([kind, challengerId, championId], ['promote', challenger!.modelId, champion!.modelId]);
  assert.is(parts.journal.records.get(challenger!.modelId)!.how, 'promoted');
});

test('the champion defends its place as it serves, against one error, and the token is looked for before the labels', async () => {
  const parts = bench();
  const [champion, challenger] = await models(2);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  parts.training.next = () => ({ verdict: gateSaid('reject'), trained: challenger! });
  await parts.promotion.train(SERIES, {});
  const { incumbent, alpha, attempt } = parts.training.trainings[0]!;
  assert.is(Buffer.compare(incumbent!, encodeBundle(champion!)), 0);
  assert.equal([alpha, attempt], [BUDGET.errorPerYear / BUDGET.maxTestsPerYear, 1]);
});

test('a challenger that is refused is kept, its test spent, and nothing is published', async () => {
  const parts = bench();
  const [champion, challenger] = await models(2);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  parts.calls.length = 0;
  parts.training.next = () => ({ verdict: gateSaid('reject'), trained: challenger! });
  const before = left(parts);
  await parts.promotion.train(SERIES, {});
  assert.not.ok(parts.calls.includes('publish'));
  assert.equal([left(parts), parts.told.length], [before - 1, 1]);
  assert.equal(parts.journal.inRole('candidate'), [challenger!.modelId]);
});

test('a test that was not taken costs nothing', async () => {
  const parts = bench();
  const [champion, challenger] = await models(2);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  const before = left(parts);
  parts.training.next = () => ({ verdict: gateSaid('insufficient-evidence', { spends: false }), trained: challenger! });
  await parts.promotion.train(SERIES, {});
  assert.is(left(parts), before);
});

test('when the tokens are used up, tests go on without one and spend nothing more', async () => {
  const parts = bench();
  const [champion, challenger] = await models(2);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  const tokens = left(parts);
  for (let k = 0; k < tokens + 2; k++) {
    parts.training.next = () => {
      const { alpha } = parts.training.trainings.at(-1)!;
      const spends = alpha !== null;
      return { verdict: gateSaid(spends ? 'reject' : 'insufficient-evidence', { spends }), trained: challenger! };
    };
    await parts.promotion.train(SERIES, {});
  }
  const alphas = parts.training.trainings.map(({ alpha }) => alpha !== null);
  assert.equal(alphas, [...Array.from({ length: tokens }, () => true), false, false]);
  assert.is(left(parts), 0);
});

test('a first model counts as an attempt and spends no token', async () => {
  const parts = bench();
  const [first] = await models(1);
  parts.training.next = () => ({ verdict: FIRST, trained: first! });
  const before = left(parts);
  await parts.promotion.train(SERIES, {});
  assert.equal([left(parts), parts.attempts.next(SERIES)], [before, 2]);
  assert.is(parts.journal.records.get(first!.modelId)!.how, 'first-model');
  assert.is('incumbent' in parts.training.trainings[0]!, false);
});

test('a trial asks for the champion in service, and its verdict decides how it stays', async () => {
  for (const [said, how] of [
    ['promote', 'full'],
    ['withdraw', 'withdrawn'],
  ] as const) {
    const parts = bench();
    const [champion, after] = await models(2);
    await parts.keeper.install(encodeBundle(champion!), 'swapped');
    const verdict = gateSaid(said, { installs: 'trees' });
    parts.training.next = () => ({ verdict, trained: after!, bundle: encodeBundle(after!) });
    assert.is(await parts.promotion.try(SERIES, null), verdict);
    assert.is(parts.journal.records.get(after!.modelId)!.how, how);
    assert.is(Buffer.compare(parts.training.trials[0]!.champion, encodeBundle(champion!)), 0);
  }
});

test('a trial without a champion is refused', async () => {
  const { promotion } = bench();
  assert.is((await refusalOf(() => promotion.try(SERIES, null))).code, 'NO_SUCH_MODEL');
});

test('a champion that stays provisional keeps its role', async () => {
  const parts = bench();
  const [champion] = await models(1);
  await parts.keeper.install(encodeBundle(champion!), 'first-model');
  parts.training.next = () => ({ verdict: gateSaid('reject'), trained: champion! });
  await parts.promotion.try(SERIES, null);
  assert.equal([parts.journal.inRole('champion'), parts.journal.inRole('candidate')], [[champion!.modelId], []]);
});

test('force installs a candidate at once and says of it that nobody tested it', async () => {
  const parts = bench();
  const [champion, candidate] = await models(2);
  const strict = relabelled(candidate!, { evidence: 'strict' });
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  const before = left(parts);
  const verdict = await parts.promotion.force(encodeBundle(strict));
  assert.equal([verdict.verdict, verdict.installs, left(parts)], ['forced', 'trees', before]);
  const serving = parts.keeper.champion!;
  assert.equal([serving.evidence, serving.createdAtNs], ['forced', strict.createdAtNs]);
  assert.is(parts.journal.records.get(serving.modelId)!.how, 'forced');
  assert.equal([parts.records[0]!.kind, parts.records[0]!.championId], ['forced', champion!.modelId]);
});

test('when another champion has come meanwhile, what won against the old one is only a candidate, and the test is spent all the same', async () => {
  const parts = bench();
  const [champion, challenger, other] = await models(3);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  parts.training.isHeld = true;
  parts.training.next = () => ({ verdict: gateSaid('promote'), trained: challenger! });
  const before = left(parts);
  const trained = parts.promotion.train(SERIES, {});
  await nextTurn();
  await parts.keeper.install(encodeBundle(other!), 'swapped');
  parts.training.release();
  await trained;
  assert.is(parts.keeper.champion?.modelId, other!.modelId);
  assert.equal(parts.journal.inRole('candidate'), [challenger!.modelId]);
  assert.is(left(parts), before - 1);
});

test('a swap that is under way when the verdict comes counts as another champion too', async () => {
  const parts = bench();
  const [champion, challenger, other] = await models(3);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  parts.training.isHeld = true;
  parts.training.next = () => ({ verdict: gateSaid('promote'), trained: challenger! });
  const trained = parts.promotion.train(SERIES, {});
  await nextTurn();
  parts.files.isHeld = true;
  const swapped = parts.keeper.install(encodeBundle(other!), 'swapped');
  parts.training.release();
  await nextTurn();
  parts.files.release();
  await Promise.all([swapped, trained]);
  assert.is(parts.keeper.champion?.modelId, other!.modelId, 'it was never tested against this one');
});

test('a model that is only kept is never recorded, told or handed back as installed', async () => {
  const parts = bench();
  const [champion, challenger, other] = await models(3);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  parts.training.isHeld = true;
  parts.training.next = () => ({ verdict: gateSaid('promote'), trained: challenger! });
  const trained = parts.promotion.train(SERIES, {});
  await nextTurn();
  await parts.keeper.install(encodeBundle(other!), 'swapped');
  parts.training.release();
  const result = await trained;
  assert.is(result.model === null, true);
  assert.is(parts.told[0]!.installs, null);
  assert.match(parts.records[0]!.sentence, /does not serve/);
});

test('a test that was taken is spent even where the candidate cannot be stored', async () => {
  const parts = bench();
  const [champion, challenger] = await models(2);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  parts.training.next = () => ({ verdict: gateSaid('reject'), trained: challenger! });
  parts.files.fault = new OrchestratorError('MODEL_NOT_SAVED', 'the disk is full');
  const before = left(parts);
  assert.is((await refusalOf(() => parts.promotion.train(SERIES, {}))).code, 'MODEL_NOT_SAVED');
  assert.is(left(parts), before - 1, 'these labels were looked at');
});

test('a champion that was trained again is said to serve already: nothing is published and no test is spent', async () => {
  for (const verdict of [gateSaid('promote'), FIRST]) {
    const parts = bench();
    const [champion] = await models(1);
    await parts.keeper.install(encodeBundle(champion!), 'swapped');
    parts.calls.length = 0;
    parts.training.next = () => ({ verdict, trained: relabelled(champion!, { createdAtNs: 99n }) });
    const before = left(parts);
    const result = await parts.promotion.train(SERIES, {});
    assert.equal(parts.calls, ['store', 'verdict recorded', 'flush', 'verdict told']);
    assert.equal([left(parts), parts.attempts.next(SERIES)], [before, 1]);
    assert.is(result.model?.modelId, champion!.modelId);
    const { sentence, challengerId, championId } = parts.records[0]!;
    assert.is(
      sentence,
      `${verdict.sentence} It is model ${champion!.modelId} once more, which serves already: nothing changes.`,
    );
    assert.equal([challengerId, championId], [champion!.modelId, champion!.modelId]);
    assert.is(parts.told[0]!.sentence, sentence);
  }
});

test('a training that fails decides nothing and spends nothing', async () => {
  const parts = bench();
  const [champion] = await models(1);
  await parts.keeper.install(encodeBundle(champion!), 'swapped');
  parts.calls.length = 0;
  parts.training.next = () => {
    throw new OrchestratorError('BOOSTER_FAILED', 'no memory');
  };
  const before = left(parts);
  assert.is((await refusalOf(() => parts.promotion.train(SERIES, {}))).code, 'BOOSTER_FAILED');
  assert.equal([left(parts), parts.calls, parts.told], [before, [], []]);
});

test('the tested bytes are the bytes that are stored and served', async () => {
  const parts = bench();
  const [challenger] = await models(1);
  parts.training.next = () => ({ verdict: gateSaid('promote'), trained: challenger! });
  await parts.promotion.train(SERIES, {});
  const stored = [...parts.files.stored.values()];
  assert.equal(
    stored.map((bytes) => decodeBundle(bytes).modelId),
    [challenger!.modelId],
  );
});

test.run();
