import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../src/bus/open-dialect.js';
import { RedisConnection } from '../../src/bus/redis/redis-client.js';
import { frameFields } from '../../src/bus/redis/stream-entries.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { fixtureBars } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { eventually } from '../support/eventually.js';
import { remembered, stopAll } from '../support/opened.js';
import { settled } from '../support/redis-drill-streams.js';
import { redisTest } from '../support/redis-server.js';

/** More than a script can acknowledge in one call. */
const BARS = 9000;

redisTest('a group that the server has put back by thousands of entries is brought forward again', async (server) => {
  const orchestrator = remembered(new ML4TOrchestrator({ redis: { url: server.url } }, { logger: silentLogger }));
  const events: string[] = [];
  orchestrator.events.on('busUp', () => events.push('up'));
  orchestrator.events.on('busDown', ({ code, reason }) => events.push(`down ${code} ${reason}`));
  await orchestrator.start();
  await eventually(() => events.includes('up'), 'the bus');
  const dialect = openDialect(orchestrator.config);
  const connection = await RedisConnection.open(server.settings(), 'test-admin');
  try {
    const bars = fixtureBars(BARS, 3);
    const commands = Array.from({ length: BARS }, (_, k) =>
      frameFields(dialect.encodeInput({ kind: 'bar', instrumentId: 'X', bar: bars.at(k) })),
    );
    await connection.batch(commands.map((fields) => ['XADD', 'ml4t:{0}:in', '*', ...fields]));
    await settled(server);
    await connection.call('XGROUP', 'SETID', 'ml4t:{0}:in', 'ml4t', '0');
    await connection.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually(() => events.length >= 3, `the bus again after ${events}`);
    assert.is(events[2], 'up');
    await settled(server);
  } finally {
    connection.close();
  }
});

test.after.each(stopAll);
test.run();
