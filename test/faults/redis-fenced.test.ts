import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type RedisArgument, RedisConnection } from '../../src/bus/redis/redis-client.js';
import {
  ANSWER,
  DEAD_LETTER,
  DELIVER,
  GATHER,
  RELEASE,
  RENEW,
  type Script,
  TRIM,
} from '../../src/bus/redis/scripts.js';
import { type RedisServer, redisTest } from '../support/redis-server.js';

const [LEASE, INPUT, OUTPUT, DEAD, SEEN] = ['{0}:lease', '{0}:in', '{0}:out', '{0}:dead', '{0}:seen:a'] as const;
const GATHERED = '{0}:gathered';
const [OWNER, OTHER, GROUP] = ['owner', 'other', 'ml4t'] as const;
const [FIRST, SECOND] = ['1-0', '2-0'] as const;
const REPLY = [3600, 1000, 'payload', 'an answer'];

/** A partition whose first entry is pending, and whose second has not been given to the group. */
async function withPartition(
  server: RedisServer,
  use: (run: Run, connection: RedisConnection) => Promise<void>,
): Promise<void> {
  const connection = await RedisConnection.open(server.settings(), 'test');
  try {
    await connection.call('FLUSHALL');
    // `MINID ~` removes whole nodes of the stream.
    await connection.call('CONFIG', 'SET', 'stream-node-max-entries', 1);
    await connection.call('SET', LEASE, OWNER, 'PX', 60_000);
    for (const id of [FIRST, SECOND]) await connection.call('XADD', INPUT, id, 'payload', 'a signal');
    await connection.call('XGROUP', 'CREATE', INPUT, GROUP, '0');
    await connection.call('XREADGROUP', 'GROUP', GROUP, 'x', 'COUNT', 1, 'STREAMS', INPUT, '>');
    await use(async (script, keys, args) => {
      const reply = await connection.call('EVAL', script.source, keys.length, ...keys, ...args);
      return String(reply);
    }, connection);
  } finally {
    connection.close();
  }
}

type Run = (script: Script, keys: readonly string[], args: readonly RedisArgument[]) => Promise<string>;

/** Each script with arguments under which it changes something, if the token is the owner's. */
const CALLS: Readonly<Record<string, readonly [Script, readonly string[], readonly RedisArgument[]]>> = {
  answer: [ANSWER, [LEASE, INPUT, OUTPUT, SEEN], [GROUP, FIRST, ...REPLY]],
  'dead letter': [DEAD_LETTER, [LEASE, INPUT, DEAD], [GROUP, FIRST, ...REPLY]],
  deliver: [DELIVER, [LEASE, INPUT], [GROUP, 'x', 1]],
  acknowledge: [DELIVER, [LEASE, INPUT], [GROUP, 'x', 0, FIRST]],
  renew: [RENEW, [LEASE], [1]],
  release: [RELEASE, [LEASE], []],
  trim: [TRIM, [LEASE, INPUT], [SECOND]],
  gather: [GATHER, [LEASE, INPUT, GATHERED], [1, 'topic', '0-0', '5-0', 2, 'payload', 'x']],
};

for (const [name, [script, keys, args]] of Object.entries(CALLS)) {
  redisTest(
    `under the token of another than the owner, ${name} changes nothing, and under the owner's it does`,
    async (server) => {
      await withPartition(server, async (run, connection) => {
        const before = await stateOf(connection);
        assert.is(await run(script, keys, [OTHER, ...args]), 'FENCED');
        assert.is(await stateOf(connection), before);
        assert.is.not(await run(script, keys, [OWNER, ...args]), 'FENCED');
        assert.is.not(await stateOf(connection), before);
      });
    },
  );
}

redisTest('an entry gets one reply, and so does a signal that comes as two entries', async (server) => {
  await withPartition(server, async (run, connection) => {
    const answer = async (id: string, ...seen: string[]): Promise<string> =>
      run(ANSWER, [LEASE, INPUT, OUTPUT, ...seen], [OWNER, GROUP, id, ...REPLY]);
    assert.is(await answer(FIRST), 'DONE');
    assert.is(await answer(FIRST), 'NOT_PENDING');
    assert.is(await answer(SECOND), 'NOT_PENDING');
    await run(DELIVER, [LEASE, INPUT], [OWNER, GROUP, 'x', 1]);
    await connection.call('SET', SEEN, FIRST);
    assert.is(await answer(SECOND, SEEN), 'SEEN');
    assert.is(await connection.call('XLEN', OUTPUT), 1);
  });
});

redisTest('a server without memory refuses a reply whole: its entry stays pending', async (server) => {
  await withPartition(server, async (run, connection) => {
    await connection.call('CONFIG', 'SET', 'maxmemory', 1);
    const before = await stateOf(connection);
    for (const name of ['answer', 'dead letter'] as const) {
      const [script, keys, args] = CALLS[name]!;
      const refusal = await run(script, keys, [OWNER, ...args]).catch((error: unknown) => error);
      assert.is((refusal as { code: string }).code, 'OOM');
      assert.is(await stateOf(connection), before);
    }
    assert.is(await run(RENEW, [LEASE], [OWNER, 60_000]), 'DONE');
  });
});

/** All there is, except how much longer the lease has while it is longer than a second. */
async function stateOf(connection: RedisConnection): Promise<string> {
  const digest = await connection.call('DEBUG', 'DIGEST');
  const groups = await connection.call('XINFO', 'GROUPS', INPUT).then((reply) => JSON.stringify(reply, texts));
  const isHeld = Number(await connection.call('PTTL', LEASE)) > 1000;
  return `${digest} ${groups} ${isHeld}`;
}

function texts(_name: string, value: unknown): unknown {
  const isBuffer = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
  return isBuffer ? Buffer.from((value as unknown as { data: number[] }).data).toString() : value;
}

test.run();
