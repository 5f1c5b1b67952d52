import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import type { RedisSettings } from '../../../src/bus/redis/redis-client.js';
import { FIELDS_MAX } from '../../../src/bus/redis/scripts.js';
import { StreamBus } from '../../../src/bus/redis/stream-bus.js';
import { systemClock } from '../../../src/clock.js';
import { silentLogger } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { type RedisServer, redisTest } from '../../support/redis-server.js';
import { barInput, ScriptedTarget, signalInput } from '../../support/scripted-target.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

const BARS = 'trader-T-1:stream:data.bars.X';
const SIGNALS = 'trader-T-1:stream:data.PrimarySignal*';
const PATTERN = 'trader-T-1:stream:*';

const dialectOf = (redis: RedisSettings) => openDialect({ redis, userFeatures: [] });

function payload(settings: RedisSettings, input: Parameters<ReturnType<typeof dialectOf>['encodeInput']>[0]): Buffer {
  return Buffer.from(dialectOf(settings).encodeInput(input).payload);
}

/** A bus over the streams of topics, and what it has brought. */
async function served(
  settings: RedisSettings,
  use: (target: ScriptedTarget, bus: StreamBus) => Promise<void>,
): Promise<void> {
  const target = new ScriptedTarget();
  const parts = { settings, dialect: dialectOf(settings), clock: systemClock, logger: silentLogger, position: null };
  const bus = new StreamBus({ ...parts, target, awaitBarMs: 500 });
  bus.start();
  try {
    await use(target, bus);
  } finally {
    await bus.stop();
  }
}

async function topicsOf(server: RedisServer, settings: RedisSettings, from: number, count: number): Promise<void> {
  for (let k = from; k < from + count; k++) {
    // Both may be written within a millisecond, where only ids of one's own have an order across streams.
    const add = (stream: string, place: number, topic: string, input: Parameters<typeof payload>[1]) =>
      server.command('XADD', stream, `${k + 1}-${place}`, 'topic', topic, 'payload', payload(settings, input));
    await add(BARS, 1, 'data.bars.X', barInput(0, k));
    await add(SIGNALS, 2, 'x', signalInput(0, `s${k}`));
  }
}

function wanted(count: number): string[] {
  return Array.from({ length: count }, (_, k) => [`bar I0 ${k}`, `signal I0 s${k}`]).flat();
}

redisTest('streams of topics come into one order: that in which they were written', async (server) => {
  const settings = server.settings({ topicStreams: [PATTERN] });
  await topicsOf(server, settings, 0, 130);
  await served(settings, async (target) => {
    await eventually(() => target.log.length >= 260, 'everything gathered');
    assert.equal(target.log, wanted(130));
  });
});

redisTest(
  'entries of many fields, of which one command takes only some, are gathered all and in order',
  async (server) => {
    const settings = server.settings({ topicStreams: [BARS, SIGNALS] });
    const filler = Array.from({ length: FIELDS_MAX - 2 }, () => 'x');
    const count = 30;
    for (let k = 0; k < count; k++) {
      await server.command('XADD', BARS, `${k + 1}-1`, 'payload', payload(settings, barInput(0, k)), ...filler);
      await server.command(
        'XADD',
        SIGNALS,
        `${k + 1}-2`,
        'payload',
        payload(settings, signalInput(0, `s${k}`)),
        ...filler,
      );
    }
    await served(settings, async (target) => {
      await eventually(() => target.log.length >= 2 * count, 'everything gathered');
      assert.equal(target.log, wanted(count));
    });
  },
);

redisTest('each entry is gathered once, however often the owner changes', async (server) => {
  const settings = server.settings({ topicStreams: [BARS, SIGNALS], leaseMs: 500 });
  for (let round = 0; round < 3; round++) {
    await topicsOf(server, settings, 10 * round, 10);
    await served(settings, async (target) => {
      // Each of them is a process without a memory, and rebuilds its bars; its signals have their answers.
      await eventually(() => target.log.includes(`signal I0 s${10 * round + 9}`), 'the newest signal');
    });
  }
  const input = (await server.command('XRANGE', partitionKeys(settings).input, '-', '+')) as unknown[];
  assert.is(input.length, 60);
  assert.is(Number(await server.command('XLEN', partitionKeys(settings).output)), 30);
});

redisTest('a topic that is new is found while the bus is up', async (server) => {
  const settings = server.settings({ topicStreams: [PATTERN] });
  await served(settings, async (target, bus) => {
    await new Promise<void>((resolve) => bus.events.once('busUp', () => resolve()));
    await topicsOf(server, settings, 0, 1);
    await eventually(() => target.log.length >= 2, 'the new streams');
    assert.equal([...target.log].sort(), wanted(1));
  });
});

redisTest('what the bus itself writes is not gathered, though the pattern matches it', async (server) => {
  const settings = server.settings({ topicStreams: ['*'] });
  await served(settings, async (target) => {
    await topicsOf(server, settings, 0, 3);
    await eventually(() => target.log.length >= 6, 'everything gathered');
    // A round more, in which its own streams would come.
    await topicsOf(server, settings, 3, 1);
    await eventually(() => target.log.includes('signal I0 s3'), 'the last signal');
    assert.is(target.log.length, 8);
  });
});

redisTest('a stream that another process has gathered meanwhile is taken up where that one left it', async (server) => {
  const settings = server.settings({ topicStreams: [BARS] });
  await served(settings, async (target, bus) => {
    const downs: string[] = [];
    bus.events.on('busDown', ({ code }) => downs.push(code));
    const add = async (k: number): Promise<unknown> =>
      server.command('XADD', BARS, `${k}-0`, 'payload', payload(settings, barInput(0, k)));
    await add(1);
    await eventually(() => target.log.length > 0, 'the first bar');
    await server.command('HSET', partitionKeys(settings).gathered, BARS, '2-0');
    await add(3);
    await eventually(() => target.log.length > 1, 'the bar behind that place');
    assert.equal([target.log, downs], [['bar I0 1', 'bar I0 3'], ['RESYNC']]);
  });
});

redisTest('streams of which one has far more entries come into one order too', async (server) => {
  const settings = server.settings({ topicStreams: [PATTERN] });
  for (let k = 1; k <= 20; k++) {
    await server.command('XADD', BARS, `${k}-0`, 'payload', payload(settings, barInput(0, k)));
    if (k === 10) await server.command('XADD', SIGNALS, `${k}-1`, 'payload', payload(settings, signalInput(0, 's')));
  }
  await served(settings, async (target) => {
    await eventually(() => target.log.length >= 21, 'everything gathered');
    const bars = Array.from({ length: 20 }, (_, k) => `bar I0 ${k + 1}`);
    assert.equal(target.log, [...bars.slice(0, 10), 'signal I0 s', ...bars.slice(10)]);
  });
});

redisTest(
  'an entry with more fields than a script can pass on is gathered without the last of them',
  async (server) => {
    const settings = server.settings({ topicStreams: [BARS] });
    const more = Array.from({ length: 3 * FIELDS_MAX }, (_, k) => `${k}`);
    await server.command('XADD', BARS, '*', 'payload', payload(settings, barInput(0, 0)), ...more);
    await served(settings, async (target) => {
      await eventually(() => target.log.length > 0, 'the bar');
      const [[, fields]] = (await server.command('XRANGE', partitionKeys(settings).input, '-', '+')) as [
        [string, string[]],
      ];
      assert.is(fields.length, FIELDS_MAX);
    });
  },
);

redisTest('a connection to the topics that is open and silent is given up', async (server) => {
  const proxy = await TcpProxy.to(server.port);
  try {
    const settings = server.settings({ url: proxy.url, topicStreams: [BARS, SIGNALS], leaseMs: 500 });
    await served(settings, async (target, bus) => {
      const downs: string[] = [];
      bus.events.on('busDown', ({ code }) => downs.push(code));
      await topicsOf(server, settings, 0, 1);
      await eventually(() => target.log.length >= 2, 'the first entries');
      proxy.silenceAt(BARS);
      await proxy.holds('sent');
      await topicsOf(server, settings, 1, 1);
      await eventually(() => target.log.length >= 4, 'the next entries');
      assert.equal(target.log, wanted(2));
      assert.ok(downs.length > 0);
    });
  } finally {
    await proxy.close();
  }
});

test.run();
