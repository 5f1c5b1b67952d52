import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { StreamBus } from '../../../src/bus/redis/stream-bus.js';
import { systemClock } from '../../../src/clock.js';
import type { BusPosition } from '../../../src/loop/loop-snapshot.js';
import { silentLogger } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { README } from '../../support/readme.js';
import { redisTest } from '../../support/redis-server.js';
import { barInput, ScriptedTarget, signalInput } from '../../support/scripted-target.js';
import { served } from '../../support/served.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { unlessHung } from '../../support/threads.js';

redisTest('the input is cut behind what is to be kept, and what is read meanwhile is whole', async (server) => {
  const settings = server.settings({ inputKeep: 10_000 });
  const { input } = partitionKeys(settings);
  await served(settings, async ({ target, client }) => {
    const count = 14_000;
    for (let k = 0; k < count; k += 1000) {
      await Promise.all(Array.from({ length: 1000 }, (_, i) => client.send(barInput(0, k + i))));
    }
    await eventually(() => target.log.length === count, 'all bars');
    assert.equal(target.log.at(-1), `bar I0 ${count - 1}`);
    const kept = Number(await server.command('XLEN', input));
    assert.ok(kept >= 10_000 && kept < count, `${kept} kept`);
  });
});

redisTest(
  'a server that may forget keys is warned about, once',
  async (server) => {
    await served(server.settings(), async ({ lines, client, bus, target }) => {
      assert.is(lines.filter(({ msg }) => msg.includes('noeviction')).length, 1);
      const down = new Promise<void>((resolve) => bus.events.once('busDown', () => resolve()));
      await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await down;
      await eventually(() => bus.metrics.state === 'up', 'the bus again');
      await client.send(barInput(0, 0)).catch(() => client.send(barInput(0, 0)));
      await eventually(() => target.log.length > 0, 'a bar');
      assert.is(lines.filter(({ msg }) => msg.includes('noeviction')).length, 1);
    });
  },
  { config: { 'maxmemory-policy': 'allkeys-lru' } },
);

redisTest('a stopped bus gives its partition back at once', async (server) => {
  const settings = server.settings({ leaseMs: 60_000 });
  await served(settings, async () => undefined);
  assert.is(await server.command('EXISTS', partitionKeys(settings).lease), 0);
  await served(settings, async ({ bus }) => assert.is(bus.metrics.state, 'up'));
});

redisTest('a signal that waits for its answer is in the position, and no longer when it has it', async (server) => {
  await served(server.settings(), async ({ bus, target, client }) => {
    target.answersAtOnce = false;
    await client.send(barInput(0, 0));
    await client.send(signalInput(0, 'a'));
    await eventually(() => target.waiting === 1, 'the signal');
    const { position, unanswered } = bus.position;
    assert.equal(unanswered, [[position, 1, false]]);
    target.answerAll();
    await eventually(() => bus.metrics.answered === 1, 'the answer');
    assert.equal(bus.position.unanswered, []);
  });
});

redisTest('whenever the state is recorded, the position is that of the newest bar in it', async (server) => {
  const settings = server.settings();
  const { input } = partitionKeys(settings);
  const dialect = openDialect({ redis: settings, userFeatures: [] });
  const bars = Array.from({ length: 300 }, (_, k) => dialect.encodeInput(barInput(0, k)).payload);
  for (const payload of bars) await server.command('XADD', input, '*', 'payload', payload);
  const ids = ((await server.command('XRANGE', input, '-', '+')) as [string, unknown][]).map(([id]) => id);
  const seen: [bars: number, position: number][] = [];
  class RecordingTarget extends ScriptedTarget {
    override addBar(...parameters: Parameters<ScriptedTarget['addBar']>): void {
      // As a commit is cut: after the turn in which the bar came. Now and then there is no room, and a batch takes several turns.
      setImmediate(() => seen.push([this.log.length, ids.indexOf(bus.position.position) + 1]));
      if (this.log.length % 40 === 20 && this.refusals.count === 0 && !this.isRefusing) this.refusals.count = 2;
      this.isRefusing = this.refusals.count > 0;
      super.addBar(...parameters);
    }
    private isRefusing = false;
  }
  const target = new RecordingTarget();
  const bus = new StreamBus({
    settings,
    dialect,
    target,
    clock: systemClock,
    logger: silentLogger,
    position: null,
    awaitBarMs: 500,
  });
  bus.start();
  await eventually(() => target.log.length === ids.length, 'all bars');
  await bus.stop();
  assert.ok(new Set(seen.map(([count]) => count)).size > 5, 'in several turns');
  for (const [count, position] of seen) assert.is(position, count);
});

redisTest('a process that kept its bars is brought only what it has not had', async (server) => {
  const settings = server.settings();
  let position: BusPosition | null = null;
  await served(settings, async ({ bus, target, client }) => {
    for (let k = 0; k < 5; k++) await client.send(barInput(0, k));
    await eventually(() => target.log.length === 5, 'five bars');
    position = bus.position;
  });
  await served(settings, async ({ target, client }) => {
    for (let k = 5; k < 7; k++) await client.send(barInput(0, k));
    await eventually(() => target.log.length === 7, 'the bars of the stream and two more');
  });
  await served(
    settings,
    async ({ target, client }) => {
      await client.send(barInput(0, 7));
      await eventually(() => target.log.length === 3, 'what came after the position');
      assert.equal(target.log, ['bar I0 5', 'bar I0 6', 'bar I0 7']);
    },
    { position },
  );
});

redisTest('entries that a producer removes before they are read are reported', async (server) => {
  const settings = server.settings({ inFlightMax: 1 });
  const { input } = partitionKeys(settings);
  await served(settings, async ({ bus, target, client }) => {
    const gaps: (number | null)[] = [];
    bus.events.on('busGap', ({ missing }) => gaps.push(missing));
    target.answersAtOnce = false;
    await client.send(signalInput(0, 'a'));
    await eventually(() => target.waiting === 1, 'the first signal');
    for (let k = 0; k < 10; k++) await client.send(signalInput(0, `s${k}`));
    await server.command('XTRIM', input, 'MAXLEN', 3);
    target.answersAtOnce = true;
    target.answerAll();
    await eventually(() => bus.metrics.answered >= 3, 'what was left');
    assert.ok(gaps.length >= 1);
  });
});

redisTest('the group keeps no consumers of processes that are gone', async (server) => {
  const settings = server.settings();
  for (let round = 0; round < 3; round++) {
    await served(settings, async ({ client, bus }) => {
      await client.send(signalInput(0, `s${round}`));
      await eventually(() => bus.metrics.answered === 1, 'the answer');
    });
  }
  const consumers = (await server.command(
    'XINFO',
    'CONSUMERS',
    partitionKeys(settings).input,
    settings.group,
  )) as unknown[];
  assert.is(consumers.length, 1);
});

redisTest(
  'signals are answered through a cluster too',
  async (server) => {
    await server.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await eventually(
      async () => String(await server.command('CLUSTER', 'INFO')).includes('cluster_state:ok'),
      'the slots',
    );
    const settings = server.settings({ url: null, cluster: [server.url] });
    await served(settings, async ({ bus, client }) => {
      for (let k = 0; k < 50; k++) await client.send(k % 2 === 0 ? barInput(0, k) : signalInput(0, `s${k}`));
      await eventually(() => bus.metrics.answered === 25, 'all answers');
      assert.equal([bus.metrics.bars, bus.metrics.missing], [25, 0]);
    });
  },
  { config: { 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1' } },
);

redisTest('an entry without a payload is dead-lettered with all it holds', async (server) => {
  const settings = server.settings();
  await served(settings, async ({ bus }) => {
    await server.command('XADD', partitionKeys(settings).input, '*', 'other', 'bytes');
    await eventually(() => bus.metrics.rejected === 1, 'the rejection');
    const [[, fields]] = (await server.command('XRANGE', partitionKeys(settings).dead, '-', '+')) as [
      [string, string[]],
    ];
    assert.equal(fields.slice(2, 6), ['code', 'INVALID_MESSAGE', 'field', 'payload']);
    assert.equal(fields.slice(-2), ['other', 'bytes']);
  });
});

redisTest('a reply that the server will not write is not lost, and is written once it will', async (server) => {
  const settings = server.settings();
  const { input, output, seen } = partitionKeys(settings);
  await server.command('SET', output, 'no stream');
  await served(settings, async ({ bus, client }) => {
    const down = new Promise<string>((resolve) => bus.events.once('busDown', ({ code }) => resolve(code)));
    await client.send(signalInput(0, 'a'));
    assert.is(await down, 'WRONGTYPE');
    assert.is(await server.command('EXISTS', seen('a')), 0, 'nobody takes it for answered');
    await server.command('DEL', output);
    await eventually(() => bus.metrics.answered === 1, 'the answer');
    assert.is(await server.command('XLEN', output), 1);
    const [pending] = (await server.command('XPENDING', input, settings.group)) as [number];
    assert.is(pending, 0);
  });
});

redisTest('answers leave although there is no room for what came behind their signals', async (server) => {
  const settings = server.settings();
  const { input } = partitionKeys(settings);
  const dialect = openDialect({ redis: settings, userFeatures: [] });
  const ids = Array.from({ length: 20 }, (_, k) => `s${k}`);
  for (const id of ids) {
    await server.command('XADD', input, '*', 'payload', dialect.encodeInput(signalInput(0, id)).payload);
  }
  const ROOM = 11;
  const target = new ScriptedTarget();
  const submit = target.submit.bind(target);
  target.submit = (event) => {
    if (target.log.length === ROOM && !isFree) target.refusals.count = 1;
    return submit(event);
  };
  let isFree = false;
  const bus = new StreamBus({
    settings,
    dialect,
    target,
    clock: systemClock,
    logger: silentLogger,
    position: null,
    awaitBarMs: 500,
  });
  bus.start();
  try {
    await eventually(() => bus.metrics.answered === ROOM, 'the answers to what there was room for');
    isFree = true;
    await eventually(() => bus.metrics.answered === ids.length, 'all answers');
    const inOrder = ids.map((id) => `signal I0 ${id}`);
    assert.equal(target.log, inOrder);
  } finally {
    await bus.stop();
  }
});

redisTest('no more is read while a few deliveries are unconfirmed', async (server) => {
  const settings = server.settings({ leaseMs: 60_000 });
  await served(settings, async ({ target, client }) => {
    target.refusals = { code: 'OVERLOADED', count: Number.POSITIVE_INFINITY };
    const count = 200;
    for (let k = 0; k < count; k++) await client.send(barInput(0, k));
    // Reads go on, scripts wait.
    await server.command('CLIENT', 'PAUSE', 60_000, 'WRITE');
    target.refusals = { code: 'OVERLOADED', count: 0 };
    // Four replies to reads, each with twice as many entries as the one before.
    await eventually(() => target.log.length >= 15, 'the first bars');
    for (let trip = 0; trip < 20; trip++) await server.command('PING');
    const { length } = target.log;
    await server.command('CLIENT', 'UNPAUSE');
    assert.is(length, 15);
    await eventually(() => target.log.length === count, 'all bars');
  });
});

redisTest('a signal without an id is answered under that of its entry', async (server) => {
  const settings = server.settings({ partition: 'p' });
  await served(settings, async ({ bus, client }) => {
    const ids: string[] = [];
    await client.listen((reply) => ids.push(reply.kind === 'enriched' ? reply.answer.signalId : ''));
    const { signalId: _, ...event } = signalInput(0, 'a').event;
    await client.send({ kind: 'signal', event });
    await eventually(() => ids.length > 0, 'the answer');
    assert.equal(ids, [`p-${bus.position.position}`]);
  });
});

redisTest('a signal that cannot be read is dead-lettered with its id', async (server) => {
  const settings = server.settings();
  await served(settings, async ({ bus }) => {
    const payload = '{"type":"signal","signalId":"a"}';
    await server.command('XADD', partitionKeys(settings).input, '*', 'payload', payload);
    await eventually(() => bus.metrics.rejected === 1, 'the rejection');
    const letters = (await server.command('XRANGE', partitionKeys(settings).dead, '-', '+')) as [string, string[]][];
    assert.equal(letters[0]![1].slice(8, 10), ['signalId', 'a']);
  });
});

redisTest('a bus with nothing to do keeps its lease and its connections', async (server) => {
  const settings = server.settings({ leaseMs: 1500 });
  await served(settings, async ({ bus, downs }) => {
    const renewals = async (): Promise<number> => {
      const info = String(await server.command('INFO', 'commandstats'));
      return Number(/cmdstat_pexpire:calls=(\d+)/.exec(info)?.[1] ?? 0);
    };
    // Three in the time of a lease.
    await eventually(async () => downs.length > 0 || (await renewals()) >= 5, 'more renewals than a lease lasts');
    assert.equal([downs, bus.metrics.state], [[], 'up']);
    assert.is(await server.command('EXISTS', partitionKeys(settings).lease), 1);
  });
});

redisTest(
  'an owner whose lease another process has replies to nothing, and serves when it has it back',
  async (server) => {
    const settings = server.settings({ leaseMs: 1000 });
    const { lease, output } = partitionKeys(settings);
    await served(settings, async ({ bus, target, client, downs }) => {
      target.answersAtOnce = false;
      await client.send(signalInput(0, 'a'));
      await eventually(() => target.waiting === 1, 'the signal');
      await server.command('SET', lease, 'another process');
      target.answerAll();
      await eventually(() => downs.length > 1, 'the bus standing by');
      assert.equal(downs, ['FENCED', 'STANDBY']);
      assert.is(await server.command('XLEN', output), 0);
      await server.command('DEL', lease);
      await eventually(() => bus.metrics.answered === 1, 'the answer');
      assert.equal([bus.metrics.signals, await server.command('XLEN', output)], [1, 1]);
    });
  },
);

redisTest(
  'a server without memory is told of, and what waits for its reply has it when there is some',
  async (server) => {
    const settings = server.settings({ leaseMs: 60_000 });
    await served(settings, async ({ bus, target, client, downs }) => {
      target.answersAtOnce = false;
      await client.send(signalInput(0, 'a'));
      await eventually(() => target.waiting === 1, 'the signal');
      await server.command('CONFIG', 'SET', 'maxmemory', 1);
      target.answerAll();
      await eventually(() => downs.length > 0, 'the refusal');
      assert.equal(downs, ['OOM']);
      await server.command('CONFIG', 'SET', 'maxmemory', 0);
      await eventually(() => bus.metrics.answered === 1, 'the answer');
      assert.is(await server.command('XLEN', partitionKeys(settings).output), 1);
    });
  },
);

redisTest('a target that has stopped is told of, and its signals are kept', async (server) => {
  await served(server.settings(), async ({ bus, target, client, downs }) => {
    target.refusals = { code: 'STOPPED', count: 1 };
    await client.send(signalInput(0, 'a'));
    await eventually(() => bus.metrics.answered === 1, 'the answer');
    assert.equal(downs, ['STOPPED']);
  });
});

redisTest('a stop keeps the partition until signals on their way have their answers', async (server) => {
  const settings = server.settings();
  await served(settings, async ({ bus, target, client }) => {
    target.answersAtOnce = false;
    await client.send(signalInput(0, 'a'));
    await eventually(() => target.waiting === 1, 'the signal');
    const stopped = bus.stop();
    for (let trip = 0; trip < 5; trip++) await server.command('PING');
    assert.is(await server.command('EXISTS', partitionKeys(settings).lease), 1);
    target.answerAll();
    await unlessHung(stopped, 'the stop of the bus');
    assert.is(bus.metrics.answered, 1);
  });
});

redisTest('a process that served another partition begins anew', async (server) => {
  const position = { stream: 'another', position: '5-0', unanswered: [], places: ['3-0'], sincePlace: 7 };
  const settings = server.settings();
  await served(
    settings,
    async ({ bus }) => {
      const { input: stream } = partitionKeys(settings);
      assert.equal(bus.position, { stream, position: '0-0', unanswered: [], undecided: [], places: [], sincePlace: 0 });
    },
    { position },
  );
});

redisTest('a connection that is open and silent is given up, and the bus serves over another', async (server) => {
  const settings = server.settings({ leaseMs: 500 });
  const proxy = await TcpProxy.to(server.port);
  try {
    await served(
      settings,
      async ({ bus, client, downs }) => {
        proxy.hold('received');
        await eventually(() => downs.length > 0, 'the end of the connection');
        assert.equal(downs, ['ETIMEDOUT']);
        proxy.release();
        await client.send(signalInput(0, 'a'));
        await eventually(() => bus.metrics.answered === 1, 'the answer');
      },
      { url: proxy.url },
    );
  } finally {
    await proxy.close();
  }
});

for (const what of ['has no room', 'waits for an answer'] as const) {
  redisTest(
    `a connection that breaks while the target ${what} is noticed, and a stop then gives the partition back`,
    async (server) => {
      const settings = server.settings({ inFlightMax: 1 });
      await served(settings, async ({ bus, target, client, downs }) => {
        target.answersAtOnce = false;
        if (what === 'has no room') target.refusals = { code: 'OVERLOADED', count: Number.POSITIVE_INFINITY };
        await client.send(signalInput(0, 'a'));
        if (what === 'waits for an answer') await eventually(() => target.waiting === 1, 'the signal');
        await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        await eventually(() => downs.length === 1 && bus.metrics.state === 'up', 'the bus again');
        await unlessHung(bus.stop(), 'the stop of the bus');
        assert.is(await server.command('EXISTS', partitionKeys(settings).lease), 0);
      });
    },
  );
}

redisTest('a user who may do what the README lists is enough', async (server) => {
  const listed = /and the commands `([^`]+)`/.exec(readFileSync(README, 'utf8'))![1]!;
  const rules = ['on', '>secret', '~ml4t:*', ...listed.split(' ').map((command) => `+${command}`)];
  await server.command('ACL', 'SETUSER', 'owner', ...rules);
  const settings = server.settings({ topicStreams: ['ml4t:topic:*'] });
  const url = server.url.replace('//', '//owner:secret@');
  await served(
    settings,
    async ({ bus, target, client, downs }) => {
      const { payload } = openDialect({ redis: settings, userFeatures: [] }).encodeInput(barInput(0, 0));
      await server.command('XADD', 'ml4t:topic:bars', '*', 'payload', Buffer.from(payload));
      await eventually(() => bus.metrics.bars === 1, 'the bar of a topic');
      target.answersAtOnce = false;
      await client.send(signalInput(0, 'a'));
      await client.send(signalInput(0, 'b', 2));
      await eventually(() => bus.metrics.rejected === 1, 'the rejection');
      await server.command('CLIENT', 'KILL', 'USER', 'owner');
      await eventually(() => downs.length > 0 && bus.metrics.state === 'up', 'the bus again');
      target.answerAll();
      await eventually(() => bus.metrics.answered === 1, 'the answer');
      assert.is(downs.length, 1, `${downs}`);
    },
    { url },
  );
});

test.run();
