import { inspect } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  describeServer,
  type RedisCommand,
  RedisConnection,
  RedisFailure,
  type RedisSettings,
} from '../../../src/bus/redis/redis-client.js';
import { eventually } from '../../support/eventually.js';
import { freePort, redisSettings, redisTest } from '../../support/redis-server.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { unlessHung } from '../../support/threads.js';

const SECRET = 'correct-horse';
const PRIVATE = 'private-argument';

async function failureOf(call: () => Promise<unknown>): Promise<RedisFailure> {
  try {
    await unlessHung(call(), 'a command');
  } catch (error) {
    if (error instanceof RedisFailure) return error;
    throw error;
  }
  throw new Error('it succeeded instead of failing');
}

/** All that a failure could tell, its stack, causes and hidden properties included. */
function everything(failure: RedisFailure): string {
  return inspect(failure, { depth: null, showHidden: true });
}

async function withConnection(settings: RedisSettings, use: (c: RedisConnection) => Promise<void>): Promise<void> {
  const connection = await RedisConnection.open(settings, 'test');
  try {
    await use(connection);
  } finally {
    connection.close();
  }
}

redisTest(
  'no failure carries a password or an argument',
  async (server) => {
    const [right, wrong] = [server.settings(), redisSettings({ url: server.url.replace(SECRET, 'battery-staple') })];
    const failures = [
      await failureOf(() => RedisConnection.open(wrong, 'test')),
      await failureOf(async () => RedisConnection.open(redisSettings({ url: `redis://:${SECRET}@127.0.0.1:1` }), 'x')),
    ];
    await withConnection(right, async (connection) => {
      await connection.call('SET', 'text', PRIVATE);
      const refused: RedisCommand[] = [
        ['LPUSH', 'text', PRIVATE],
        ['NONSENSE', PRIVATE],
        ['AUTH', PRIVATE],
      ];
      for (const command of refused) failures.push(await failureOf(() => connection.call(...command)));
      failures.push(...(await connection.batch(refused)).filter((reply) => reply instanceof RedisFailure));
      await server.kill();
      failures.push(await failureOf(() => connection.call('SET', 'text', PRIVATE)));
      failures.push(...((await connection.batch([['SET', 'text', PRIVATE]])) as RedisFailure[]));
    });
    assert.is(failures.length, 10);
    for (const failure of failures) {
      assert.not.match(everything(failure), /correct-horse|battery-staple|private-argument/, everything(failure));
    }
    assert.equal(
      failures.slice(0, 5).map(({ code }) => code),
      ['WRONGPASS', 'ECONNREFUSED', 'WRONGTYPE', 'ERR', 'WRONGPASS'],
    );
  },
  { requirepass: SECRET },
);

redisTest(
  'a refused command of a batch has its failure in its place, and those beside it their replies',
  async (server) => {
    await withConnection(server.settings(), async (connection) => {
      const replies = await connection.batch([
        ['SET', 'a', 'b'],
        ['LPUSH', 'a', 'c'],
        ['GET', 'a'],
      ]);
      assert.equal([`${replies[0]}`, `${replies[2]}`], ['OK', 'b']);
      assert.ok(replies[1] instanceof RedisFailure && replies[1].code === 'WRONGTYPE');
    });
  },
);

redisTest('bytes come back as they were sent', async (server) => {
  await withConnection(server.settings(), async (connection) => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, k) => k));
    await connection.call('SET', 'a', bytes);
    assert.equal(await connection.call('GET', 'a'), bytes);
  });
});

redisTest(
  'a broken connection says so once and is never mended, a closed one ends without a failure',
  async (server) => {
    const [lost, closed] = [server.settings(), server.settings()];
    const broken = await RedisConnection.open(lost, 'test');
    const other = await RedisConnection.open(closed, 'other');
    other.close();
    assert.is(await unlessHung(other.ended, 'the end of a closed connection'), null);
    await server.restart();
    assert.ok((await unlessHung(broken.ended, 'the end of a broken connection')) instanceof RedisFailure);
    await failureOf(() => broken.call('PING'));
    assert.ok((await broken.batch([['PING']]))[0] instanceof RedisFailure);
    await failureOf(() => broken.subscribe(['a'], () => undefined));
    assert.not.match(`${await server.command('CLIENT', 'LIST')}`, /name=(test|other) /);
  },
);

redisTest('a server that takes a connection and says nothing is given up after five seconds', async (server) => {
  const proxy = await TcpProxy.to(server.port);
  proxy.hold('received');
  const { code } = await failureOf(() => RedisConnection.open(redisSettings({ url: proxy.url }), 'test'));
  assert.is(code, 'ETIMEDOUT');
  await proxy.close();
});

redisTest('what is published reaches those who have subscribed, in order and as bytes', async (server) => {
  await withConnection(server.settings(), async (connection) => {
    const heard: string[] = [];
    await connection.subscribe(['a', 'b'], (channel, payload) => heard.push(`${channel} ${payload.toString('hex')}`));
    for (let k = 0; k < 10; k++) await server.command('PUBLISH', k % 2 === 0 ? 'a' : 'b', Buffer.from([255, k]));
    await eventually(() => heard.length >= 10, 'ten messages');
    assert.equal(
      heard,
      Array.from({ length: 10 }, (_, k) => `${k % 2 === 0 ? 'a' : 'b'} ff0${k}`),
    );
    assert.match(`${await connection.call('PING')}`, /^pong/i);
  });
});

test('a server is described without its credentials, whatever the address', () => {
  const of = (input: Parameters<typeof redisSettings>[0]): string => describeServer(redisSettings(input));
  assert.is(of({ url: `redis://user:${SECRET}@host:6380/3` }), 'redis://host:6380/3');
  assert.is(of({ url: `rediss://:${SECRET}@host` }), 'rediss://host');
  assert.is(of({ cluster: [`redis://:${SECRET}@a:1`, 'redis://b:2'] }), 'redis://a:1,redis://b:2');
  assert.not.match(of({ url: `redis://host?password=${SECRET}` }), SECRET);
});

test('an address where nobody listens is a failure with the name the system gives it', async () => {
  const url = `redis://127.0.0.1:${await freePort()}`;
  assert.is((await failureOf(() => RedisConnection.open(redisSettings({ url }), 'test'))).code, 'ECONNREFUSED');
});

test.run();
