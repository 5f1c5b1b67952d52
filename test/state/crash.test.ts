import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../support/market.js';
import { STATE_KILLS } from '../support/sizes.js';
import { spawnSupport } from '../support/spawned.js';
import { inDirectory } from '../support/state.js';
import { checkPrefix } from '../support/state-prefix.js';

for (const batchMax of [3, 400]) {
  test(`a process killed at any instant leaves a prefix of what it accepted, and all that it heard is recorded: up to ${batchMax} steps a turn`, async () => {
    await inDirectory(async (dataDir) => {
      const random = seededRandom(batchMax);
      let known = 0;
      for (let k = 0; k < STATE_KILLS / 2; k++) {
        const writer = spawnSupport('state-writer', [dataDir, `${k}`, `${batchMax}`]);
        assert.is(await writer.printed('open'), `open ${known}`);
        await writer.printed('recorded');
        await pause(300 * random());
        await writer.kill();
        const heard = writer.lines.filter((line) => line.startsWith('recorded')).at(-1)!;
        known = await checkPrefix(dataDir);
        assert.ok(known >= Number(heard.split(' ')[1]), `${heard}, ${known} are left`);
      }
    });
  });
}

test.run();
