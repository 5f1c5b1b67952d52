import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { StreamClient } from '../../../src/bus/redis/stream-client.js';
import { type RedisServer, redisTest } from '../../support/redis-server.js';
import { signalInput } from '../../support/scripted-target.js';

const COUNT = 100;
/** Room for some of the messages that are sent at once, and not for all. */
const ROOM_BYTES = 200_000;

async function memoryUsed(server: RedisServer): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))![1]);
}

redisTest('of messages that are sent together a server without memory takes all or none', async (server) => {
  const settings = server.settings();
  const dialect = openDialect({ redis: settings, userFeatures: [] });
  const client = new StreamClient(settings, dialect);
  const { input } = partitionKeys(settings);
  const ids = Array.from({ length: COUNT }, (_, k) => `${k}`.padStart(10, '0'));
  const bars = Array.from({ length: 100 }, (_, k) => ({
    ...{ open: 1, high: 1, low: 1, close: 1, volume: 1 },
    tsEventNs: BigInt(k),
  }));
  const messages = ids.map((id) => {
    const message = signalInput(0, id);
    return message.kind === 'signal' ? { ...message, event: { ...message.event, bars } } : message;
  });
  const stored = async (): Promise<string[]> => {
    const entries = await server.command('XRANGE', input, '-', '+');
    return (entries as [string, string[]][]).map(([, fields]) => JSON.parse(fields[1]!).signalId as string);
  };
  await server.command('CONFIG', 'SET', 'maxmemory', `${(await memoryUsed(server)) + ROOM_BYTES}`);
  const first = await Promise.allSettled(messages.map((message) => client.send(message)));
  const taken = first.filter(({ status }) => status === 'fulfilled').length;
  assert.equal(await stored(), taken === 0 ? [] : ids);
  await server.command('CONFIG', 'SET', 'maxmemory', '0');
  if (taken === 0) await Promise.all(messages.map((message) => client.send(message)));
  assert.equal(await stored(), ids, 'and sent again they are in their order');
  await client.close();
});

redisTest('what was sent before the client is closed is in the stream', async (server) => {
  const settings = server.settings();
  const client = new StreamClient(settings, openDialect({ redis: settings, userFeatures: [] }));
  const sent = client.send(signalInput(0, 'last'));
  await client.close();
  await sent;
  assert.is(await server.command('XLEN', partitionKeys(settings).input), 1);
});

test.run();
