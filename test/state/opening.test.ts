import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openStateReader } from '../../src/state/state-store.js';
import { eventually } from '../support/eventually.js';
import { refusalOf } from '../support/refusal.js';
import { spawnSupport } from '../support/spawned.js';
import { inDirectory, openWired, stateBar, stateSignal } from '../support/state.js';

const hold = (dataDir: string) => spawnSupport('state-writer', [dataDir, '1', '1', 'hold']);

test('a directory that does not exist is created, and a new store says that it knows nothing', async () => {
  await inDirectory(async (dataDir) => {
    const { store } = await openWired(join(dataDir, 'a', 'b'), () => 0);
    assert.is(store.snapshot, null);
    assert.equal(store.stored.instruments(), []);
    assert.equal(store.restoreWindows(), { instruments: 0, bars: 0 });
    await store.close();
  });
});

test('a directory that cannot be created or written to is refused by a code of its own', async () => {
  await inDirectory(async (dataDir) => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'file'), 'a file');
    for (const path of [join(dataDir, 'file'), join(dataDir, 'file', 'below'), '/proc/ml4t', '/sys/kernel']) {
      assert.is((await refusalOf(() => openWired(path, () => 0))).code, 'DATA_DIR_UNUSABLE', path);
    }
    mkdirSync(join(dataDir, 'data.mdb'));
    assert.is(
      (await refusalOf(() => openWired(dataDir, () => 0))).code,
      'DATA_DIR_UNUSABLE',
      'a directory in the place of the file',
    );
  });
});

test('a second process is refused, by the name of the first, and let in once the first is gone, however it went', async () => {
  await inDirectory(async (dataDir) => {
    const first = hold(dataDir);
    await first.printed('open');
    const refusal = await refusalOf(() => openWired(dataDir, () => 0));
    assert.is(refusal.code, 'DATA_DIR_IN_USE');
    assert.match(refusal.message, new RegExp(`\\b${first.child.pid}\\b`));
    await first.kill();
    const { store } = await openWired(dataDir, () => 0);
    await store.close();
  });
});

test('of processes that begin at once exactly one gets the directory', async () => {
  await inDirectory(async (dataDir) => {
    const all = [hold(dataDir), hold(dataDir), hold(dataDir)];
    const losers = await Promise.all(
      all.map(
        async (one) =>
          !(await one.printed('open').then(
            () => true,
            () => false,
          )),
      ),
    );
    assert.is(losers.filter((lost) => !lost).length, 1);
    for (const [k, one] of all.entries()) {
      if (losers[k]) assert.match(one.errors.join('\n'), /DATA_DIR_IN_USE/);
      else await one.kill();
    }
  });
});

test('the same process gets a directory once at a time', async () => {
  await inDirectory(async (dataDir) => {
    const { store } = await openWired(dataDir, () => 0);
    assert.is((await refusalOf(() => openWired(dataDir, () => 0))).code, 'DATA_DIR_IN_USE');
    assert.is(
      (await refusalOf(() => openWired(join(dataDir, '.'), () => 0))).code,
      'DATA_DIR_IN_USE',
      'by another name',
    );
    await store.close();
    const again = await openWired(dataDir, () => 0);
    await again.store.close();
  });
});

test('an owner is its process, not its number: a lock that was left behind under the number of a living process keeps nobody out', async () => {
  await inDirectory(async (dataDir) => {
    const first = hold(dataDir);
    await first.printed('open');
    await first.kill();
    const { open } = await import('lmdb');
    const lock = open<string, string>({
      path: join(dataDir, 'owner'),
      noSubdir: false,
      encoding: 'string',
      overlappingSync: false,
    });
    await lock.put('owner', `${process.ppid}`);
    await lock.close();
    const { store } = await openWired(dataDir, () => 0);
    await store.close();
  });
});

test('tools read beside the owner, see each new commit, and are no owners', async () => {
  await inDirectory(async (dataDir) => {
    const owner = spawnSupport('state-writer', [dataDir, '1', '20']);
    await owner.printed('recorded');
    const reader = openStateReader<{ count: number }>(dataDir);
    const before = reader.stored.readSnapshot()!.count;
    const heard = owner.lines.length;
    await eventually(() => owner.lines.length >= heard + 20, 'twenty more commits');
    const now = reader.stored.readSnapshot()!.count;
    assert.ok(now > before, `${now} after ${before}`);
    assert.ok([...reader.stored.signals()].length >= now);
    await owner.kill();
    const next = hold(dataDir);
    assert.ok(
      Number((await next.printed('open')).split(' ')[1]) >= now,
      'the reader that is still there does not look like an owner',
    );
    await next.kill();
    await reader.close();
  });
});

test('a tool creates nothing where there is no store', async () => {
  await inDirectory(async (dataDir) => {
    assert.is((await refusalOf(() => openStateReader(dataDir))).code, 'DATA_DIR_UNUSABLE');
  });
});

test('the owner can be read by its own process as well', async () => {
  await inDirectory(async (dataDir) => {
    let count = 0;
    const { features, journal, store } = await openWired(dataDir, () => ({ count }));
    for (; count < 40; count++) {
      features.append('X', stateBar(count));
      journal.signal(stateSignal(count));
    }
    await journal.flush();
    const reader = openStateReader<{ count: number }>(dataDir);
    const counts = { instruments: 1, bars: 40, signals: 40, outcomes: 0, verdicts: 0, models: 0 };
    assert.equal(reader.stored.counts(), counts);
    await reader.close();
    assert.equal(store.stored.counts(), counts);
    await store.close();
  });
});

test.run();
