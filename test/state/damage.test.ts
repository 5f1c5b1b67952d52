import { closeSync, cpSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openStateReader } from '../../src/state/state-store.js';
import { refusalOf } from '../support/refusal.js';
import { STATE_DAMAGES } from '../support/sizes.js';
import { spawnSupport } from '../support/spawned.js';
import { inDirectory, openWired, stateBar, stateOutcome, stateSignal } from '../support/state.js';

const STEPS = 600;

async function writeStore(dataDir: string): Promise<void> {
  let count = 0;
  const { features, journal, store } = await openWired(dataDir, () => ({ count }));
  while (count < STEPS) {
    features.append('X', stateBar(count));
    journal.signal(stateSignal(count));
    if (count >= 5) journal.outcome(stateOutcome(count - 5));
    count++;
    if (count % 7 === 0) await journal.staged.recorded;
  }
  await store.close();
}

test('a store that was damaged opens whole or is refused; it gives no wrong number, and never ends the process', async () => {
  await inDirectory(async (dataDir) => {
    await writeStore(dataDir);
    for (const kind of ['cut', 'flip', 'head']) {
      const opener = spawnSupport('state-damage', [dataDir, kind, '11', `${STATE_DAMAGES}`]);
      assert.is(await opener.ended(), 0, `after ${opener.errors.at(-1)}`);
      const ends = JSON.parse(opener.lines.at(-1)!) as Record<string, number>;
      assert.ok(ends.STORE_DAMAGED! > STATE_DAMAGES / 4, `${kind}: ${JSON.stringify(ends)}`);
      const allowed = ['opened', 'STORE_DAMAGED', 'STORE_WRITE_FAILED'];
      assert.equal(
        Object.keys(ends).filter((end) => !allowed.includes(end)),
        [],
        kind,
      );
    }
  });
});

test('a file that is no store is refused, with a hint, and left as it is', async () => {
  await inDirectory(async (dataDir) => {
    mkdirSync(dataDir);
    for (const bytes of [Buffer.from('no store'), Buffer.alloc(100_000, 0xa5), Buffer.alloc(100_000)]) {
      writeFileSync(join(dataDir, 'data.mdb'), bytes);
      const refusal = await refusalOf(() => openWired(dataDir, () => 0));
      assert.is(refusal.code, 'STORE_DAMAGED');
      assert.match(refusal.message, /backup.*move it away/);
      assert.is((await refusalOf(() => openStateReader(dataDir))).code, 'STORE_DAMAGED');
    }
  });
});

test("another program's LMDB file is refused", async () => {
  await inDirectory(async (dataDir) => {
    const other = open<string, string>({ path: dataDir, noSubdir: false, overlappingSync: false, maxDbs: 8 });
    const table = other.openDB<string, number>('instruments', {});
    await table.put(0, 'theirs');
    await other.close();
    assert.is((await refusalOf(() => openWired(dataDir, () => 0))).code, 'STORE_DAMAGED');
  });
});

test('a store of another format is refused by its own code, and opens again with the program that knows it', async () => {
  await inDirectory(async (dataDir) => {
    await writeStore(dataDir);
    const writeFormat = async (format: string): Promise<void> => {
      const root = open<Buffer, string>({ path: dataDir, noSubdir: false, encoding: 'binary', overlappingSync: false });
      await root.openDB<Buffer, string>('head', { encoding: 'binary' }).put('format', Buffer.from(format));
      await root.close();
    };
    await writeFormat('ml4t state 2');
    for (const opened of [() => openWired(dataDir, () => 0), () => openStateReader(dataDir)]) {
      const refusal = await refusalOf(opened);
      assert.is(refusal.code, 'STORE_VERSION_UNKNOWN');
      assert.match(refusal.message, /ml4t state 2.*ml4t state 1/);
    }
    await writeFormat('ml4t state 1');
    const { store } = await openWired(dataDir, () => 0);
    await store.close();
  });
});

test('a block of bars that is missing is found when its window is restored', async () => {
  await inDirectory(async (dataDir) => {
    await writeStore(dataDir);
    const root = open<Buffer, string>({ path: dataDir, noSubdir: false, encoding: 'binary', overlappingSync: false });
    await root.openDB<Buffer, [number, number]>('bars', { encoding: 'binary' }).remove([0, 256]);
    await root.close();
    const { store } = await openWired(dataDir, () => 0, { barsPerInstrument: 512 });
    const refusal = await refusalOf(() => store.restoreWindows());
    assert.is(refusal.code, 'STORE_DAMAGED');
    assert.match(refusal.message, /bar 256 of X is missing/);
    await store.close();
  });
});

test('a damaged lock is refused as well', async () => {
  await inDirectory(async (dataDir) => {
    await writeStore(dataDir);
    const file = openSync(join(dataDir, 'owner', 'data.mdb'), 'r+');
    writeSync(file, Buffer.alloc(64, 0xff), 0, 64, 0);
    closeSync(file);
    assert.is((await refusalOf(() => openWired(dataDir, () => 0))).code, 'STORE_DAMAGED');
    rmSync(join(dataDir, 'owner'), { recursive: true });
    const { store } = await openWired(dataDir, () => 0);
    await store.close();
  });
});

test('a copy of the directory is a backup', async () => {
  await inDirectory(async (dataDir) => {
    await writeStore(dataDir);
    cpSync(dataDir, `${dataDir}-copy`, { recursive: true });
    const { store } = await openWired<{ count: number }>(`${dataDir}-copy`, () => ({ count: 0 }));
    assert.equal(store.snapshot, { count: STEPS });
    await store.close();
  });
});

test.run();
