import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Spawned, spawnSupport } from '../support/spawned.js';
import { inDirectory } from '../support/state.js';
import { checkPrefix } from '../support/state-prefix.js';

/** Writing beyond 1 MiB fails as on a full disk (EFBIG for ENOSPC), until the soft limit is taken back. */
const LIMIT = "trap '' XFSZ; ulimit -S -f 1024;";

async function failing(dataDir: string): Promise<{ writer: Spawned; count: number }> {
  const writer = spawnSupport('state-full-disk', [dataDir], LIMIT);
  const [, count, code, isRecorded] = (await writer.printed('failing')).split(' ');
  assert.ok(Number(code) > 0, `the operating system says why: ${code}`);
  assert.is(isRecorded, 'false', 'nothing that is not on disk is said to be');
  return { writer, count: Number(count) };
}

test('while the disk is full everything waits, and none of it is lost once there is room', async () => {
  await inDirectory(async (dataDir) => {
    const { writer, count } = await failing(dataDir);
    execFileSync('prlimit', ['--pid', `${writer.child.pid}`, '--fsize=unlimited']);
    writer.child.stdin!.write('flush\n');
    assert.is(await writer.printed('done'), `done ${count} true`);
    assert.match(
      await writer.printed('log'),
      /^log 40 30$/,
      'one warning for the whole episode, and one line at its end',
    );
    assert.is(await writer.ended(), 0);
    assert.is(await checkPrefix(dataDir), count);
  });
});

test('closing while the disk is full says what is lost, and leaves what was recorded', async () => {
  await inDirectory(async (dataDir) => {
    const { writer, count } = await failing(dataDir);
    writer.child.stdin!.write('close\n');
    assert.is(await writer.printed('done'), 'done STORE_WRITE_FAILED');
    assert.is(await writer.printed('rejected'), 'rejected STORE_WRITE_FAILED');
    assert.is(await writer.ended(), 0, writer.errors.join('\n'));
    const left = await checkPrefix(dataDir);
    assert.ok(left > 0 && left < count, `${left} of ${count}`);
  });
});

test.run();
