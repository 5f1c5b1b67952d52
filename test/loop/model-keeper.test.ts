import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { type InstallEnd, ModelKeeper } from '../../src/loop/model-keeper.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { encodeBundle } from '../../src/model/bundle-codec.js';
import type { InstallHow } from '../../src/state/records.js';
import { relabelled, trainedBundle } from '../support/bundles.js';
import { ManualClock } from '../support/manual-clock.js';
import { refusalOf } from '../support/refusal.js';
import { RecordingFiles, RecordingJournal } from '../support/registry-journal.js';

const UNHEARD = { decided: () => undefined, told: () => undefined };

/** Bundles that differ in their seeds, and so in their ids. */
async function models(count: number): Promise<ModelBundle[]> {
  const bundle = await trainedBundle();
  return Array.from({ length: count }, (_, k) => relabelled(bundle, { createdAtNs: BigInt(10 + k), seed: k }));
}

const MEMORY_ONLY: ConstructorParameters<typeof ModelKeeper>[0] = {
  files: null,
  journal: null,
  clock: new ManualClock(),
  publish: () => Promise.resolve(),
  onAdopted: () => undefined,
  onPublished: () => undefined,
};

interface Kept {
  readonly keeper: ModelKeeper;
  readonly calls: string[];
  readonly journal: RecordingJournal;
  readonly files: RecordingFiles;
  /** Ids of champion and previous at every adoption. */
  readonly adopted: (readonly [string, string | null])[];
}

function keeperOf(): Kept {
  const calls: string[] = [];
  const journal = new RecordingJournal(calls);
  const files = new RecordingFiles(calls);
  const adopted: Kept['adopted'] = [];
  const keeper = new ModelKeeper({
    files: files.asPersistence,
    journal,
    clock: new ManualClock(),
    publish: async () => {
      calls.push('publish');
      await nextTurn();
    },
    onAdopted: (champion, previous) => {
      calls.push('adopted');
      adopted.push([champion.modelId, previous?.modelId ?? null]);
    },
    onPublished: (from) => calls.push(`published over '${from}'`),
  });
  return { keeper, calls, journal, files, adopted };
}

function install({ keeper, calls }: Kept, bundle: ModelBundle, how: InstallHow = 'swapped'): Promise<InstallEnd> {
  return keeper.install(encodeBundle(bundle), how, {
    decided: () => calls.push('decided'),
    told: () => calls.push('told'),
  });
}

test('a model is stored, decided on, made durable, told and then published', async () => {
  const kept = keeperOf();
  const [a] = await models(1);
  await install(kept, a!);
  assert.equal(kept.calls, [
    'store',
    'decided',
    'record champion',
    'adopted',
    'flush',
    'told',
    'publish',
    "published over ''",
  ]);
});

test('nothing is told or published while the decision is not durable', async () => {
  const kept = keeperOf();
  const [a] = await models(1);
  kept.journal.isHeld = true;
  const installed = install(kept, a!);
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  assert.is(kept.calls.at(-1), 'flush');
  kept.journal.release();
  await installed;
  assert.ok(kept.calls.includes('publish'));
});

test('the champion before is kept, and the one before that retires', async () => {
  const kept = keeperOf();
  const [a, b, c] = await models(3);
  for (const bundle of [a!, b!, c!]) await install(kept, bundle);
  const { journal, keeper } = kept;
  assert.equal([keeper.champion?.modelId, keeper.previous?.modelId], [c!.modelId, b!.modelId]);
  assert.equal(journal.inRole('champion'), [c!.modelId]);
  assert.equal(journal.inRole('previous'), [b!.modelId]);
  assert.equal(journal.inRole('retired'), [a!.modelId]);
  assert.equal(kept.adopted, [
    [a!.modelId, null],
    [b!.modelId, a!.modelId],
    [c!.modelId, b!.modelId],
  ]);
});

test('the same trees in full standing keep the champion before them', async () => {
  const kept = keeperOf();
  const [a, b] = await models(2);
  await install(kept, a!);
  await install(kept, b!);
  const full = relabelled(b!, { evidence: 'strict' });
  await install(kept, full, 'full');
  assert.equal([kept.keeper.champion?.modelId, kept.keeper.previous?.modelId], [full.modelId, a!.modelId]);
  assert.equal(kept.journal.inRole('previous'), [a!.modelId]);
  assert.equal(kept.journal.inRole('retired'), [b!.modelId]);
});

test('decisions are carried out one after the other, in the order they were asked for', async () => {
  const kept = keeperOf();
  const [a, b, c] = await models(3);
  kept.files.isHeld = true;
  const all = [install(kept, a!), install(kept, b!), kept.keeper.keep(encodeBundle(c!), () => kept.calls.push('kept'))];
  await nextTurn();
  assert.equal(kept.calls, []);
  kept.files.release();
  await kept.keeper.settled();
  await Promise.all(all);
  const order = kept.calls.filter((call) => /decided|published|kept/.test(call));
  assert.equal(order, ['decided', "published over ''", 'decided', `published over '${a!.modelId}'`, 'kept']);
});

test('a file that cannot be stored leaves the champion, decides nothing and keeps nobody from the next turn', async () => {
  const kept = keeperOf();
  const [a, b] = await models(2);
  await install(kept, a!);
  kept.calls.length = 0;
  kept.files.fault = new OrchestratorError('MODEL_NOT_SAVED', 'the disk is full');
  assert.is((await refusalOf(() => install(kept, b!))).code, 'MODEL_NOT_SAVED');
  assert.is(
    (await refusalOf(() => kept.keeper.keep(encodeBundle(b!), () => kept.calls.push('kept')))).code,
    'MODEL_NOT_SAVED',
  );
  assert.equal(kept.calls, []);
  assert.is(kept.keeper.champion?.modelId, a!.modelId);
  kept.files.fault = null;
  await install(kept, b!);
  assert.is(kept.keeper.champion?.modelId, b!.modelId);
});

test('bytes that are no model are refused before anything is stored', async () => {
  const kept = keeperOf();
  const [a] = await models(1);
  const bytes = encodeBundle(a!);
  bytes[bytes.length - 1]! ^= 1;
  assert.is((await refusalOf(() => kept.keeper.install(bytes, 'swapped'))).code, 'MODEL_CORRUPT');
  assert.equal(kept.calls, []);
});

test('a rollback puts the champion before back, which leaves none to go back to', async () => {
  const kept = keeperOf();
  const [a, b] = await models(2);
  await install(kept, a!);
  await install(kept, b!);
  kept.calls.length = 0;
  let decision: readonly string[] = [];
  await kept.keeper.rollback({
    decided: (from, to) => {
      decision = [from, to];
      kept.calls.push('decided');
    },
    told: () => kept.calls.push('told'),
  });
  assert.equal(decision, [b!.modelId, a!.modelId]);
  const order = kept.calls.filter((call) => !call.startsWith('record'));
  assert.equal(order, ['store', 'decided', 'adopted', 'flush', 'told', 'publish', `published over '${b!.modelId}'`]);
  assert.equal([kept.keeper.champion?.modelId, kept.keeper.previous], [a!.modelId, null]);
  assert.equal(kept.journal.inRole('retired'), [b!.modelId]);
  assert.is((await refusalOf(() => kept.keeper.rollback(UNHEARD))).code, 'NO_PREVIOUS_MODEL');
});

test('without a champion or one before it there is nothing to go back to', async () => {
  const kept = keeperOf();
  assert.is((await refusalOf(() => kept.keeper.rollback(UNHEARD))).code, 'NO_PREVIOUS_MODEL');
  await install(kept, (await models(1))[0]!);
  assert.is((await refusalOf(() => kept.keeper.rollback(UNHEARD))).code, 'NO_PREVIOUS_MODEL');
});

test('a candidate is stored and serves nobody; one that has a role already keeps it', async () => {
  const kept = keeperOf();
  const [a, b] = await models(2);
  await install(kept, a!);
  await kept.keeper.keep(encodeBundle(b!), () => undefined);
  await kept.keeper.keep(encodeBundle(a!), () => undefined);
  assert.equal(kept.journal.inRole('candidate'), [b!.modelId]);
  assert.equal(kept.journal.inRole('champion'), [a!.modelId]);
  assert.is(Buffer.compare(await kept.keeper.bytesOf(b!.modelId), encodeBundle(b!)), 0);
  assert.is((await refusalOf(() => kept.keeper.bytesOf('0000000000000000'))).code, 'NO_SUCH_MODEL');
});

test('of many models those in a role and the newest fifty others are kept; a file goes only after the registry has forgotten it for good', async () => {
  const kept = keeperOf();
  const all = await models(54);
  for (const bundle of all) await install(kept, bundle);
  const { journal, files, calls, keeper } = kept;
  assert.is(journal.records.size, 52);
  assert.is(files.stored.size, 52);
  for (const gone of all.slice(0, 2)) assert.is(journal.records.has(gone.modelId), false);
  assert.ok(keeper.models.every(({ createdAtNs }, k, models) => k === 0 || createdAtNs < models[k - 1]!.createdAtNs));
  const forgotten = calls.indexOf('forget');
  const removed = calls.indexOf('remove');
  assert.ok(forgotten >= 0 && calls.slice(forgotten, removed).includes('flush'));
});

/** The same model, trained again later. */
const again = (bundle: ModelBundle): ModelBundle => relabelled(bundle, { createdAtNs: 1000n });

test('a champion that was trained again goes on serving as it was, and that is decided and told', async () => {
  const kept = keeperOf();
  const [a, b] = await models(2);
  await install(kept, a!);
  await install(kept, b!, 'promoted');
  const records = [...kept.journal.records.values()];
  kept.calls.length = 0;
  assert.is(await install(kept, again(b!), 'promoted'), 'serves-already');
  assert.equal(kept.calls, ['store', 'decided', 'flush', 'told']);
  assert.equal([...kept.journal.records.values()], records);
  assert.equal([kept.keeper.champion?.createdAtNs, kept.keeper.previous?.modelId], [11n, a!.modelId]);
});

test('the previous champion trained again takes its place, under its one record and file', async () => {
  const kept = keeperOf();
  const [a, b] = await models(2);
  await install(kept, a!);
  await install(kept, b!);
  assert.is(await install(kept, again(a!), 'promoted'), 'installed');
  const { journal, files, keeper } = kept;
  assert.equal([keeper.champion?.modelId, keeper.previous?.modelId], [a!.modelId, b!.modelId]);
  assert.equal([journal.inRole('champion'), journal.inRole('previous')], [[a!.modelId], [b!.modelId]]);
  assert.equal([journal.records.size, files.stored.size], [2, 2]);
  assert.is(journal.records.get(a!.modelId)!.createdAtNs, 10n);
  await keeper.rollback(UNHEARD);
  assert.is(keeper.champion?.modelId, b!.modelId);
});

test('a candidate trained again stays one candidate, and is promoted under its record', async () => {
  const kept = keeperOf();
  const [a, b] = await models(2);
  await install(kept, a!);
  for (const bundle of [b!, again(b!)]) await kept.keeper.keep(encodeBundle(bundle), () => undefined);
  assert.equal(kept.journal.inRole('candidate'), [b!.modelId]);
  assert.is(Buffer.compare(await kept.keeper.bytesOf(b!.modelId), encodeBundle(b!)), 0);
  await install(kept, again(b!), 'promoted');
  assert.equal([kept.journal.inRole('champion'), kept.journal.inRole('candidate')], [[b!.modelId], []]);
});

test('the file of a forgotten model stays when the model is made again before the file has gone', async () => {
  const kept = keeperOf();
  const all = await models(53);
  for (const bundle of all.slice(0, 52)) await install(kept, bundle);
  kept.journal.fault = new OrchestratorError('STORE_WRITE_FAILED', 'the disk is full');
  await refusalOf(() => install(kept, all[52]!));
  kept.journal.fault = null;
  assert.is(kept.journal.records.has(all[0]!.modelId), false, 'forgotten');
  await install(kept, again(all[0]!));
  assert.is(kept.keeper.champion?.modelId, all[0]!.modelId);
  assert.is(Buffer.compare(await kept.keeper.bytesOf(all[0]!.modelId), encodeBundle(all[0]!)), 0);
});

test('what was stored is taken up in its roles, and what cannot be used is told and left out', async () => {
  const kept = keeperOf();
  const [a, b] = await models(2);
  await install(kept, a!);
  await install(kept, b!);
  const restored = async (usable: (bundle: ModelBundle) => void): Promise<readonly unknown[]> => {
    const next = new ModelKeeper({ ...MEMORY_ONLY, files: kept.files.asPersistence });
    const told: string[] = [];
    await next.restore(kept.journal.records.values(), usable, ({ role }, code) => told.push(`${role} ${code}`));
    return [next.champion?.modelId ?? null, next.previous?.modelId ?? null, next.models.length, ...told];
  };
  assert.equal(await restored(() => undefined), [b!.modelId, a!.modelId, 2]);
  const refused = ({ modelId }: ModelBundle): void => {
    if (modelId === b!.modelId) throw new OrchestratorError('MODEL_FEATURES_DIFFER', 'others');
  };
  assert.equal(await restored(refused), [null, a!.modelId, 2, 'champion MODEL_FEATURES_DIFFER']);
  kept.files.stored.clear();
  assert.equal(await restored(() => undefined), [null, null, 2, 'champion MODEL_CORRUPT', 'previous MODEL_CORRUPT']);
});

test('without files or a registry models are swapped in memory', async () => {
  const keeper = new ModelKeeper(MEMORY_ONLY);
  const [a, b] = await models(2);
  await keeper.install(encodeBundle(a!), 'swapped');
  await keeper.install(encodeBundle(b!), 'swapped');
  await keeper.rollback(UNHEARD);
  assert.is(keeper.champion?.modelId, a!.modelId);
  assert.is((await refusalOf(() => keeper.bytesOf(b!.modelId))).code, 'NO_SUCH_MODEL');
});

test.run();
