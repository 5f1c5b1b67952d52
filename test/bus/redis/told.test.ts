import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { eventually } from '../../support/eventually.js';
import { redisTest } from '../../support/redis-server.js';
import { signalInput } from '../../support/scripted-target.js';
import { served } from '../../support/served.js';

redisTest('heartbeats of a node that stop are told, and that they come again', async (server) => {
  const settings = server.settings({ dialect: 'nautilus-v1' });
  const { input } = partitionKeys(settings);
  await served(settings, async ({ bus, lines }) => {
    const told: string[] = [];
    bus.events.on('heartbeatsStopped', ({ intervalMs }) => told.push(`stopped ${intervalMs}`));
    bus.events.on('heartbeatsResumed', ({ silentMs }) => told.push(`resumed ${silentMs > 700}`));
    const newest = BigInt(Date.now());
    const beat = (ms: bigint): Promise<unknown> =>
      server.command('XADD', input, `${ms}-0`, 'topic', 'health:heartbeat', 'payload', '2026-07-02T10:15:30.1+00:00');
    for (const before of [600n, 400n, 200n, 0n]) await beat(newest - before);
    await eventually(() => told.length === 1, 'the silence');
    assert.equal(told, ['stopped 200']);
    await beat(newest + 10_000n);
    await eventually(() => told.length === 2, 'the end of the silence');
    assert.equal(told[1], 'resumed true');
    assert.is(bus.metrics.heartbeats, 5);
    const messages = lines.map(({ msg }) => msg);
    for (const text of ['three heartbeats are missing', 'heartbeats come again'])
      assert.ok(
        messages.some((message) => String(message).startsWith(text)),
        text,
      );
  });
});

redisTest('what is ignored and what is refused is told, however much of it comes, in a line or two', async (server) => {
  const settings = server.settings({ dialect: 'nautilus-v1' });
  const { input } = partitionKeys(settings);
  await served(settings, async ({ bus, client }) => {
    const [ignored, refused]: [unknown[], unknown[]] = [[], []];
    bus.events.on('busIgnored', ({ server: _server, ...what }) => ignored.push(what));
    bus.events.on('busRefused', ({ server: _server, ...what }) => refused.push(what));
    for (let k = 0; k < 50; k++) {
      await server.command('XADD', input, '*', 'topic', 'data.bars.X.SIM-5-MINUTE-LAST-EXTERNAL', 'payload', '{}');
      await client.send(signalInput(0, `s${k}`, 2));
    }
    await eventually(() => bus.metrics.rejected === 50 && bus.metrics.ignored === 50, 'all of it');
    assert.equal(ignored, [
      { className: 'Bar', topic: 'data.bars.X.SIM-5-MINUTE-LAST-EXTERNAL', setting: 'redis.barSpec' },
    ]);
    assert.equal(refused, [{ count: 1, code: 'INVALID_SIGNAL', field: 'side' }]);
    await bus.stop();
    assert.equal(refused[1], { count: 49, code: 'INVALID_SIGNAL', field: 'side' });
  });
});

test.run();
