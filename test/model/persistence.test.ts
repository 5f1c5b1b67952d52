import { mkdir, mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeBundle, encodeBundle } from '../../src/model/bundle-codec.js';
import { ModelPersistence, readModelFile } from '../../src/model/persistence.js';
import { capturedLog, type LogLine } from '../support/captured-log.js';
import { bundleContent } from '../support/forests.js';
import { refusalOf } from '../support/refusal.js';

interface Store {
  /** Does not exist until something is saved. */
  readonly directory: string;
  readonly persistence: ModelPersistence;
  readonly lines: LogLine[];
}

async function inStore(use: (store: Store) => Promise<void>): Promise<void> {
  const parent = await mkdtemp(join(tmpdir(), 'ml4t-models-'));
  const directory = join(parent, 'deep', 'models');
  const { logger, lines } = capturedLog();
  try {
    await use({ directory, persistence: new ModelPersistence(directory, logger), lines });
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

/** Another model for every time. */
function bundleOf(createdAtNs: bigint): Uint8Array {
  return encodeBundle(bundleContent({ createdAtNs, seed: Number(createdAtNs % 1_000_003n) }));
}

/** The same model, made at another time. */
function madeAgain(bytes: Uint8Array, createdAtNs: bigint): Uint8Array {
  return encodeBundle({ ...decodeBundle(bytes), createdAtNs });
}

async function pointerOf(directory: string): Promise<string> {
  return (await readFile(join(directory, 'current'), 'utf8')).trim();
}

test('what was saved is what is loaded, by this process and by the next', () =>
  inStore(async ({ directory, persistence, lines }) => {
    const bytes = bundleOf(5n);
    const saved = await persistence.save(bytes);
    for (const reader of [persistence, new ModelPersistence(directory, capturedLog().logger)]) {
      const { modelId, ...content } = await reader.readCurrent();
      assert.is(modelId, saved.modelId);
      assert.ok(Buffer.from(bytes).equals(encodeBundle(content)));
      assert.is((await reader.loadCurrent())?.modelId, saved.modelId);
    }
    assert.equal(lines, []);
  }));

test('the file of a model holds exactly its bytes under its time and its id', () =>
  inStore(async ({ directory, persistence }) => {
    const bytes = bundleOf(1_700_000_000_000_000_000n);
    const { modelId } = await persistence.save(bytes);
    const name = `01700000000000000000-${modelId}.ml4t`;
    assert.equal((await readdir(directory)).sort(), [name, 'current']);
    assert.ok(Buffer.from(bytes).equals(await readFile(join(directory, name))));
    assert.is(await pointerOf(directory), name);
  }));

test('the model saved last is the current one, even when it is the oldest', () =>
  inStore(async ({ persistence }) => {
    await persistence.save(bundleOf(9n));
    const older = await persistence.save(bundleOf(8n));
    assert.is((await persistence.loadCurrent())?.modelId, older.modelId);
  }));

test('saving the same model twice keeps one file', () =>
  inStore(async ({ directory, persistence }) => {
    await persistence.save(bundleOf(7n));
    await persistence.save(bundleOf(7n));
    assert.is((await readdir(directory)).length, 2);
  }));

test('a model that was made again keeps its file, to the byte, and is put in service', () =>
  inStore(async ({ directory, persistence }) => {
    const bytes = bundleOf(7n);
    const { modelId } = await persistence.save(bytes);
    const name = await pointerOf(directory);
    await persistence.save(bundleOf(8n));
    const again = await persistence.save(madeAgain(bytes, 99n));
    assert.equal([again.modelId, again.createdAtNs], [modelId, 7n]);
    assert.is(await persistence.store(madeAgain(bytes, 100n)), name);
    assert.is((await persistence.list()).length, 2);
    assert.is(await pointerOf(directory), name);
    assert.ok(Buffer.from(bytes).equals(await readFile(join(directory, name))));
  }));

test('a damaged file is healed under its name when its model is made again', () =>
  inStore(async ({ directory, persistence }) => {
    const bytes = bundleOf(7n);
    const name = await persistence.store(bytes);
    await writeFile(join(directory, name), bytes.subarray(0, 500));
    const again = madeAgain(bytes, 99n);
    assert.is(await persistence.store(again), name);
    assert.ok(Buffer.from(again).equals(await readFile(join(directory, name))));
    assert.equal(await persistence.list(), [name]);
  }));

test('the newest five models are kept', () =>
  inStore(async ({ persistence }) => {
    const ids: string[] = [];
    for (let k = 8n; k < 15n; k++) ids.push((await persistence.save(bundleOf(k))).modelId);
    const names = await persistence.list();
    assert.equal(
      names.map((name) => name.slice(21, 37)),
      ids.slice(2).reverse(),
    );
  }));

test('the model in service is kept even when five others are newer', () =>
  inStore(async ({ persistence }) => {
    for (let k = 10n; k < 15n; k++) await persistence.save(bundleOf(k));
    const oldest = await persistence.save(bundleOf(1n));
    assert.is((await persistence.loadCurrent())?.modelId, oldest.modelId);
    assert.is((await persistence.list()).length, 6);
  }));

test('bytes that are no bundle are refused and leave what was there in service', () =>
  inStore(async ({ directory, persistence }) => {
    const { modelId } = await persistence.save(bundleOf(3n));
    const before = await readdir(directory);
    const { code } = await refusalOf(() => persistence.save(bundleOf(4n).subarray(1)));
    assert.is(code, 'MODEL_CORRUPT');
    assert.equal(await readdir(directory), before);
    assert.is((await persistence.loadCurrent())?.modelId, modelId);
  }));

test('a directory that does not exist yet holds no model, which is no error', () =>
  inStore(async ({ persistence, lines }) => {
    assert.is(await persistence.loadCurrent(), null);
    assert.equal(lines, []);
    assert.is((await refusalOf(() => persistence.readCurrent())).code, 'MODEL_NOT_FOUND');
  }));

test('an empty directory holds no model, which is no error', () =>
  inStore(async ({ directory, persistence, lines }) => {
    await mkdir(directory, { recursive: true });
    assert.is(await persistence.loadCurrent(), null);
    assert.equal(lines, []);
  }));

const DAMAGE: readonly (readonly [string, string, (directory: string, name: string) => Promise<void>])[] = [
  ['a pointer full of garbage', 'MODEL_CORRUPT', (directory) => writeFile(join(directory, 'current'), 'no model\n')],
  ['an empty pointer', 'MODEL_CORRUPT', (directory) => writeFile(join(directory, 'current'), '')],
  [
    'a pointer out of the directory',
    'MODEL_CORRUPT',
    (directory) => writeFile(join(directory, 'current'), '../x.ml4t'),
  ],
  [
    'a pointer cut off by a crash',
    'MODEL_CORRUPT',
    (directory, name) => writeFile(join(directory, 'current'), name.slice(0, 30)),
  ],
  [
    'half a model',
    'MODEL_CORRUPT',
    async (directory, name) => {
      const bytes = await readFile(join(directory, name));
      await writeFile(join(directory, name), bytes.subarray(0, bytes.length / 2));
    },
  ],
  [
    'a model with one flipped bit',
    'MODEL_CORRUPT',
    async (directory, name) => {
      const bytes = await readFile(join(directory, name));
      bytes[500] = bytes[500]! ^ 1;
      await writeFile(join(directory, name), bytes);
    },
  ],
  ['a pointer to a model that is gone', 'MODEL_NOT_FOUND', (directory, name) => unlink(join(directory, name))],
  [
    'a directory where the model should be',
    'FILE_UNREADABLE',
    async (directory, name) => {
      await unlink(join(directory, name));
      await mkdir(join(directory, name));
    },
  ],
];

for (const [what, expected, damage] of DAMAGE) {
  test(`${what} means no model, and is logged with its code`, () =>
    inStore(async ({ directory, persistence, lines }) => {
      await persistence.save(bundleOf(3n));
      await damage(directory, await pointerOf(directory));
      assert.is(await persistence.loadCurrent(), null);
      assert.equal(
        lines.map(({ level, code }) => ({ level, code })),
        [{ level: 50, code: expected }],
      );
      assert.is((await refusalOf(() => persistence.readCurrent())).code, expected);
    }));
}

test('a damaged store can be saved to again', () =>
  inStore(async ({ directory, persistence }) => {
    await persistence.save(bundleOf(3n));
    await writeFile(join(directory, 'current'), 'no model\n');
    const { modelId } = await persistence.save(bundleOf(4n));
    assert.is((await persistence.loadCurrent())?.modelId, modelId);
  }));

test('a file where the directory should be makes saving fail with a code, and loading too', () =>
  inStore(async ({ directory, persistence, lines }) => {
    await mkdir(join(directory, '..'), { recursive: true });
    await writeFile(directory, 'in the way');
    const { code, field } = await refusalOf(() => persistence.save(bundleOf(3n)));
    assert.equal({ code, field }, { code: 'MODEL_NOT_SAVED', field: 'modelPath' });
    assert.is(await persistence.loadCurrent(), null);
    assert.equal(
      lines.map((line) => line.code),
      ['FILE_UNREADABLE'],
    );
    assert.is(await readFile(directory, 'utf8'), 'in the way');
  }));

test('a pointer that cannot be replaced makes saving fail with a code', () =>
  inStore(async ({ directory, persistence }) => {
    await mkdir(join(directory, 'current', 'in the way'), { recursive: true });
    assert.is((await refusalOf(() => persistence.save(bundleOf(3n)))).code, 'MODEL_NOT_SAVED');
  }));

test('a model that cannot be put in place leaves the one before it in service', () =>
  inStore(async ({ directory, persistence, lines }) => {
    const before = await persistence.save(bundleOf(3n));
    const next = bundleOf(4n);
    const name = `${'4'.padStart(20, '0')}-${decodeBundle(next).modelId}.ml4t`;
    await mkdir(join(directory, name, 'in the way'), { recursive: true });
    assert.is((await refusalOf(() => persistence.save(next))).code, 'MODEL_NOT_SAVED');
    assert.is((await persistence.loadCurrent())?.modelId, before.modelId);
    assert.equal(lines, []);
  }));

test('a temporary file and a model without its pointer, left by a crash, are ignored', () =>
  inStore(async ({ directory, persistence, lines }) => {
    const before = await persistence.save(bundleOf(3n));
    const crashed = bundleOf(4n);
    const name = `${'4'.padStart(20, '0')}-${decodeBundle(crashed).modelId}.ml4t`;
    await writeFile(join(directory, `.${name}.1.tmp`), crashed.subarray(0, 100));
    await writeFile(join(directory, '.current.1.tmp'), '0000');
    await writeFile(join(directory, name), crashed);
    assert.is((await persistence.loadCurrent())?.modelId, before.modelId);
    assert.is((await persistence.list()).length, 2);
    const after = await persistence.save(crashed);
    assert.is((await persistence.loadCurrent())?.modelId, after.modelId);
    assert.equal(lines, []);
  }));

test('files of others in the directory are left alone', () =>
  inStore(async ({ directory, persistence }) => {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, '00-notes.txt'), 'mine');
    for (let k = 1n; k < 9n; k++) await persistence.save(bundleOf(k));
    assert.is(await readFile(join(directory, '00-notes.txt'), 'utf8'), 'mine');
    assert.is((await persistence.list()).length, 5);
  }));

test('a model file that is missing and one that cannot be read are told apart', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ml4t-models-'));
  assert.is((await refusalOf(() => readModelFile(join(directory, 'none.ml4t')))).code, 'MODEL_NOT_FOUND');
  assert.is((await refusalOf(() => readModelFile(directory))).code, 'FILE_UNREADABLE');
  await rm(directory, { recursive: true });
});

test.run();
