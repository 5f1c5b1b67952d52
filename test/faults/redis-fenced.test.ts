import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type RedisArgument, RedisConnection } from '../../src/bus/redis/redis-client.js';
import {
  ACQUIRE,
  ANSWER,
  DEAD_LETTER,
  DELIVER,
  FIELDS_MAX,
  FORGET_CONSUMERS,
  GATHER,
  RELEASE,
  RENEW,
  type Script,
  TRIM,
} from '../../src/bus/redis/scripts.js';
import { arrayOf, entriesOf, recordOf } from '../../src/bus/redis/stream-entries.js';
import { type RedisServer, redisTest } from '../support/redis-server.js';

const [LEASE, INPUT, OUTPUT, DEAD, SEEN] = ['{0}:lease', '{0}:in', '{0}:out', '{0}:dead', '{0}:seen:a'] as const;
const GATHERED = '{0}:gathered';
const [OWNER, OTHER, GROUP] = ['owner', 'other', 'ml4t'] as const;
const [FIRST, SECOND] = ['1-0', '2-0'] as const;
const DIGEST = '00ff';
const REPLY = [3600, 1000, DIGEST, 'payload', 'an answer'];
const LETTER = [3600, 1000, DIGEST, 'signal', 2, 'code', 'USAGE', 'payload', 'a rejection'];

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
    await connection.call('XGROUP', 'CREATECONSUMER', INPUT, GROUP, 'idle');
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
  'dead letter': [DEAD_LETTER, [LEASE, INPUT, OUTPUT, DEAD, SEEN], [GROUP, FIRST, ...LETTER]],
  deliver: [DELIVER, [LEASE, INPUT], [GROUP, 'x', 1]],
  acknowledge: [DELIVER, [LEASE, INPUT], [GROUP, 'x', 0, FIRST]],
  renew: [RENEW, [LEASE], [1]],
  release: [RELEASE, [LEASE], []],
  trim: [TRIM, [LEASE, INPUT], [SECOND]],
  'forget consumers': [FORGET_CONSUMERS, [LEASE, INPUT], [GROUP, 'y']],
  gather: [GATHER, [LEASE, INPUT, GATHERED], [1, 'topic', '0-0', '5-0', 5, 2, 'payload', 'x']],
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
    const answer = async (id: string): Promise<string> =>
      run(ANSWER, [LEASE, INPUT, OUTPUT, SEEN], [OWNER, GROUP, id, ...REPLY]);
    assert.is(await answer(FIRST), 'DONE');
    assert.is(await answer(FIRST), 'NOT_PENDING');
    assert.is(await answer(SECOND), 'NOT_PENDING');
    await run(DELIVER, [LEASE, INPUT], [OWNER, GROUP, 'x', 1]);
    assert.is(await answer(SECOND), 'REPEATED');
    assert.is(await connection.call('XLEN', OUTPUT), 2, 'the reply, and a copy');
    assert.is(await answer(SECOND), 'NOT_PENDING');
  });
});

redisTest(
  'of a signal that comes again nothing is written where its reply is gone, or its id is another one’s',
  async (server) => {
    await withPartition(server, async (run, connection) => {
      const answer = async (digest: string): Promise<string> =>
        run(ANSWER, [LEASE, INPUT, OUTPUT, SEEN], [OWNER, GROUP, SECOND, 3600, 1000, digest, 'payload', 'x']);
      await run(ANSWER, [LEASE, INPUT, OUTPUT, SEEN], [OWNER, GROUP, FIRST, ...REPLY]);
      await run(DELIVER, [LEASE, INPUT], [OWNER, GROUP, 'x', 1]);
      const before = await stateOf(connection);
      assert.is(await answer('0f0f'), 'REUSED');
      assert.is(await stateOf(connection), before);
      await connection.call('DEL', OUTPUT);
      assert.is(await answer(DIGEST), 'TRIMMED');
      await connection.call('SET', SEEN, FIRST);
      assert.is(await answer(DIGEST), 'TRIMMED', 'an earlier version kept no digest');
      assert.is(await connection.call('EXISTS', OUTPUT), 0);
    });
  },
);

redisTest('an id that is given to one signal after another takes little memory', async (server) => {
  await withPartition(server, async (run, connection) => {
    for (let k = 0; k < 200; k++) {
      await connection.call('XADD', INPUT, `${3 + k}-0`, 'payload', 'a signal');
    }
    await run(DELIVER, [LEASE, INPUT], [OWNER, GROUP, 'x', 201]);
    const reject = async (id: string, digest: string): Promise<string> => {
      const args = [OWNER, GROUP, id, 3600, 1000, digest, 'reused', 0, 'payload', 'x'];
      return run(DEAD_LETTER, [LEASE, INPUT, OUTPUT, DEAD, SEEN], args);
    };
    // A letter without fields of its own has those of its entry.
    for (let k = 0; k < 200; k++) assert.is(await reject(`${3 + k}-0`, `d${k}d`), 'DONE');
    assert.ok(Number(await connection.call('STRLEN', SEEN)) < 1100);
    assert.is(await reject(SECOND, 'd0d'), 'REPEATED');
  });
});

redisTest('a lease is for one process, which may take it under another token, and lapses', async (server) => {
  await withPartition(server, async (run, connection) => {
    const leftMs = Number(await run(ACQUIRE, [LEASE], [`${OTHER}:1`, OTHER, 30_000]));
    assert.ok(leftMs > 0 && leftMs <= 60_000, `${leftMs} ms`);
    assert.is(await run(ACQUIRE, [LEASE], [`${OWNER}:2`, OWNER, 30_000]), 'DONE');
    assert.is(String(await connection.call('GET', LEASE)), `${OWNER}:2`);
    const lapsesMs = Number(await connection.call('PTTL', LEASE));
    assert.ok(lapsesMs > 0 && lapsesMs <= 30_000, `${lapsesMs} ms`);
  });
});

redisTest(
  'what answers leave behind does not grow: ids are forgotten in time, and the oldest answers',
  async (server) => {
    await withPartition(server, async (run, connection) => {
      await run(DELIVER, [LEASE, INPUT], [OWNER, GROUP, 'x', 1]);
      for (const id of [FIRST, SECOND]) {
        await run(ANSWER, [LEASE, INPUT, OUTPUT, `${SEEN}${id}`], [OWNER, GROUP, id, 3600, 1, DIGEST, 'payload', id]);
        const seconds = Number(await connection.call('TTL', `${SEEN}${id}`));
        assert.ok(seconds > 0 && seconds <= 3600, `${seconds} s`);
      }
      assert.is(await connection.call('XLEN', OUTPUT), 1);
    });
  },
);

redisTest('a dead letter holds as much of its entry as one command may have', async (server) => {
  await withPartition(server, async (run, connection) => {
    const fields = Array.from({ length: 3 * FIELDS_MAX }, (_, k) => `${k}`);
    await connection.call('XADD', INPUT, '3-0', ...fields);
    await run(DELIVER, [LEASE, INPUT], [OWNER, GROUP, 'x', 2]);
    const args = [OWNER, GROUP, '3-0', ...LETTER];
    assert.is(await run(DEAD_LETTER, [LEASE, INPUT, OUTPUT, DEAD], args), 'DONE');
    const [[letter], [reply]] = [
      entriesOf(await connection.call('XRANGE', DEAD, '-', '+')),
      entriesOf(await connection.call('XRANGE', OUTPUT, '-', '+')),
    ];
    assert.equal(letter!.fields.map(String), ['code', 'USAGE', 'reply', reply!.id, ...fields.slice(0, FIELDS_MAX)]);
  });
});

redisTest('a consumer with which something is pending is not forgotten', async (server) => {
  await withPartition(server, async (run, connection) => {
    await run(FORGET_CONSUMERS, [LEASE, INPUT], [OWNER, GROUP, 'y']);
    const consumers = arrayOf(await connection.call('XINFO', 'CONSUMERS', INPUT, GROUP)).map(recordOf);
    assert.equal(
      consumers.map((consumer) => String(consumer.get('name'))),
      ['x'],
    );
  });
});

redisTest('a stream that was left somewhere else is not gathered', async (server) => {
  await withPartition(server, async (run, connection) => {
    await connection.call('HSET', GATHERED, 'topic', '4-0');
    const before = await stateOf(connection);
    const gather = async (from: string): Promise<string> =>
      run(GATHER, [LEASE, INPUT, GATHERED], [OWNER, 1, 'topic', from, '5-0', 5, 2, 'payload', 'x']);
    assert.is(await gather('0-0'), 'RESYNC');
    assert.is(await stateOf(connection), before);
    assert.is(await gather('4-0'), 'DONE');
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
    assert.is(await run(TRIM, [LEASE, INPUT], [OWNER, SECOND]), 'DONE');
    assert.is(await run(RELEASE, [LEASE], [OWNER]), 'DONE');
    assert.is(await run(ACQUIRE, [LEASE], [OWNER, OWNER, 60_000]), 'DONE');
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
