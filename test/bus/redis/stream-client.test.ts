import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusReply } from '../../../src/bus/message-bus.js';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { STREAM_START } from '../../../src/bus/redis/entry-id.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import type { RedisSettings } from '../../../src/bus/redis/redis-client.js';
import { StreamClient } from '../../../src/bus/redis/stream-client.js';
import { OrchestratorError } from '../../../src/errors.js';
import { eventually } from '../../support/eventually.js';
import { type RedisServer, redisTest } from '../../support/redis-server.js';
import { refusalOf } from '../../support/refusal.js';
import { signalInput } from '../../support/scripted-target.js';

const COUNT = 100;
/** Room for some of the messages that are sent at once, and not for all. */
const ROOM_BYTES = 200_000;

function clientOf(settings: RedisSettings): StreamClient {
  return new StreamClient(settings, openDialect({ redis: settings, userFeatures: [] }));
}

/** Resolves once the server has none of a client. */
async function noConnection(server: RedisServer): Promise<void> {
  const names = async (): Promise<string> => String(await server.command('CLIENT', 'LIST'));
  await eventually(async () => !(await names()).includes('name=ml4t:'), 'the end of the connections');
}

async function memoryUsed(server: RedisServer): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))![1]);
}

redisTest('of messages that are sent together a server without memory takes all or none', async (server) => {
  const settings = server.settings();
  const client = clientOf(settings);
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

redisTest('a turn of more messages than one command takes reaches the stream in order too', async (server) => {
  const settings = server.settings();
  const client = new StreamClient(settings, openDialect({ redis: settings, userFeatures: [] }));
  const count = 50_000;
  await Promise.all(Array.from({ length: count }, (_, k) => client.send(signalInput(0, `${k}`))));
  const entries = (await server.command('XRANGE', partitionKeys(settings).input, '-', '+')) as [string, string[]][];
  const ids = entries.map(([, fields]) => JSON.parse(fields[1]!).signalId as string);
  assert.equal(
    ids,
    Array.from({ length: count }, (_, k) => `${k}`),
  );
  await client.close();
});

redisTest('what was sent before the client is closed is in the stream', async (server) => {
  const settings = server.settings();
  const client = clientOf(settings);
  const sent = client.send(signalInput(0, 'last'));
  await client.close();
  await sent;
  assert.is(await server.command('XLEN', partitionKeys(settings).input), 1);
});

redisTest('a client that is closed sends nothing more, and leaves no connection', async (server) => {
  const settings = server.settings();
  const client = clientOf(settings);
  const opening = client.listen(() => undefined);
  await client.close();
  assert.is((await refusalOf(() => opening)).code, 'BUS_UNAVAILABLE');
  assert.is((await refusalOf(() => client.send(signalInput(0, 'late')))).code, 'BUS_UNAVAILABLE');
  await noConnection(server);
  assert.is(await server.command('XLEN', partitionKeys(settings).input), 0);
});

redisTest('a listener ends, and says why, at what would only come again', async (server) => {
  const settings = server.settings();
  const { output, dead } = partitionKeys(settings);
  const deaf = clientOf(settings);
  await deaf.listen(() => {
    throw new OrchestratorError('USAGE', 'deaf');
  });
  await server.command('XADD', dead, '*', 'code', 'USAGE');
  assert.is((await refusalOf(() => deaf.failed)).message, 'deaf');
  await noConnection(server);
  assert.is((await refusalOf(() => deaf.close())).message, 'deaf');

  const refused = clientOf(settings);
  await server.command('SET', output, 'no stream');
  await refused.listen(() => undefined, STREAM_START);
  const refusal = await refusalOf(() => refused.failed);
  assert.is(refusal.code, 'BUS_UNAVAILABLE');
  assert.match(refusal.message, /^WRONGTYPE: /);
  await noConnection(server);
  assert.is(await refusalOf(() => refused.close()), refusal);
});

redisTest('a listener goes on after what passes: a server that was away, a refusal for a moment', async (server) => {
  const settings = server.settings();
  const client = clientOf(settings);
  const replies: BusReply[] = [];
  await client.listen((reply) => replies.push(reply));
  const unblocked = async (): Promise<boolean> => {
    const [, id] = /id=(\d+) .*name=ml4t:listener/.exec(String(await server.command('CLIENT', 'LIST'))) ?? [];
    return id !== undefined && (await server.command('CLIENT', 'UNBLOCK', id, 'ERROR')) === 1;
  };
  for (const outage of [() => server.restart(), () => eventually(unblocked, 'a read to refuse')]) {
    await outage();
    const heard = replies.length;
    await server.command('XADD', partitionKeys(settings).dead, '*', 'code', 'USAGE');
    await Promise.race([eventually(() => replies.length > heard, 'a reply after it'), client.failed]);
  }
  await client.close();
});

test.run();
