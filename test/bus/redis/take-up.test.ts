import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SignalSight, Submission } from '../../../src/bus/message-bus.js';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import type { RedisSettings } from '../../../src/bus/redis/redis-client.js';
import type { BusPosition } from '../../../src/loop/loop-snapshot.js';
import type { SignalEvent } from '../../../src/market/events.js';
import { eventually } from '../../support/eventually.js';
import { settled } from '../../support/redis-drill-streams.js';
import { type RedisServer, redisTest } from '../../support/redis-server.js';
import { barInput, ScriptedTarget, signalInput } from '../../support/scripted-target.js';
import { type Served, served } from '../../support/served.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

/** Notes the bar that a signal may see as well, and bars that come back with a signal. */
class ToldTarget extends ScriptedTarget {
  override submit(event: SignalEvent, sight?: SignalSight): Submission {
    if (sight !== undefined) this.log.push(`as of ${sight.asOf}`);
    return super.submit(event);
  }

  override mergeBars({ instrumentId, signalId, bars = [] }: SignalEvent): void {
    this.log.push(`merge ${instrumentId} ${signalId} ${bars.length}`);
  }
}

/** Ends every connection, and waits until the bus is up again. */
async function interrupted(server: RedisServer, { bus, downs }: Served): Promise<void> {
  await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await eventually(() => downs.length > 0 && bus.metrics.state === 'up', 'the bus again');
}

async function write(server: RedisServer, settings: RedisSettings, id: string, ...input: Input): Promise<void> {
  const { payload } = openDialect({ redis: settings, userFeatures: [] }).encodeInput(...input);
  await server.command('XADD', partitionKeys(settings).input, id, 'payload', Buffer.from(payload));
}

type Input = Parameters<ReturnType<typeof openDialect>['encodeInput']>;

redisTest('a group that somebody puts back while the bus is up is brought forward again', async (server) => {
  const settings = server.settings();
  await served(settings, async ({ client, downs }) => {
    for (let k = 0; k < 5; k++) await client.send(barInput(0, k));
    await settled(server);
    await server.command('XGROUP', 'SETID', partitionKeys(settings).input, settings.group, '0');
    await client.send(barInput(0, 5));
    await settled(server);
    assert.equal(downs, ['RESYNC']);
  });
});

redisTest(
  'an answer whose entry somebody else has acknowledged does not count, and the bus serves on',
  async (server) => {
    const settings = server.settings();
    const { input, output } = partitionKeys(settings);
    await served(settings, async ({ bus, target, client, downs }) => {
      target.answersAtOnce = false;
      await client.send(signalInput(0, 'a'));
      await eventually(() => target.waiting === 1, 'the signal');
      const { position } = bus.position;
      await eventually(async () => (await server.command('XACK', input, settings.group, position)) === 1, 'the entry');
      target.answerAll();
      await eventually(() => downs.length > 0, 'the end of the session');
      assert.equal(downs, ['RESYNC']);
      target.answersAtOnce = true;
      await client.send(signalInput(0, 'b'));
      await eventually(() => bus.metrics.answered > 0, 'the second answer');
      assert.equal([bus.metrics.answered, bus.metrics.inFlight], [1, 0]);
      assert.is(await server.command('XLEN', output), 1);
    });
  },
);

redisTest('an answer to what was replied to elsewhere during an outage leaves nothing behind', async (server) => {
  const settings = server.settings();
  const { input } = partitionKeys(settings);
  await served(settings, async (bus) => {
    const { target, client, downs } = bus;
    target.answersAtOnce = false;
    await client.send(signalInput(0, 'a'));
    await eventually(() => target.waiting === 1, 'the signal');
    const { position } = bus.bus.position;
    await eventually(async () => (await server.command('XACK', input, settings.group, position)) === 1, 'the entry');
    await interrupted(server, bus);
    const [...before] = downs;
    target.answerAll();
    await client.send(signalInput(0, 'b')).catch(() => client.send(signalInput(0, 'b')));
    await eventually(() => target.waiting === 1, 'the next signal');
    target.answerAll();
    await eventually(() => bus.bus.metrics.answered === 1, 'its answer');
    assert.equal(downs, before, 'the session goes on');
  });
});

redisTest('replies that are ready when the bus comes back leave in the order of their entries', async (server) => {
  class LateTarget extends ScriptedTarget {
    override submit(event: SignalEvent): Submission {
      const isAgain = this.log.includes(`signal I0 ${event.signalId}`);
      // What waits is answered while the bus takes up its partition, and before the older one.
      if (isAgain) this.answersAtOnce = true;
      if (isAgain) this.answerAll();
      return super.submit(event);
    }
  }
  const settings = server.settings();
  const { input, seen } = partitionKeys(settings);
  await served(
    settings,
    async ({ bus, target, client }) => {
      const ids: string[] = [];
      await client.listen((reply) => ids.push(reply.kind === 'enriched' ? reply.answer.signalId : ''));
      await client.send(signalInput(0, 'a'));
      await eventually(() => bus.metrics.answered === 1, 'the first answer');
      target.answersAtOnce = false;
      await client.send(signalInput(0, 'b'));
      await eventually(() => target.waiting === 1, 'the second signal');
      // As a server that has forgotten the first answer.
      await server.command('XGROUP', 'SETID', input, settings.group, '0');
      await server.command('DEL', seen('a'));
      await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await eventually(() => ids.length >= 3, 'three answers');
      assert.equal(ids, ['a', 'a', 'b']);
    },
    { target: new LateTarget() },
  );
});

redisTest(
  'a process without a memory has all bars again, those of answered signals too, and no answered signal',
  async (server) => {
    const settings = server.settings();
    const { event } = signalInput(0, 'a');
    await served(settings, async ({ bus, client }) => {
      await client.send(barInput(0, 0));
      await client.send({ kind: 'signal', event: { ...event, bars: [barInput(0, 0).bar, barInput(0, 1).bar] } });
      await client.send(signalInput(0, 'b'));
      await eventually(() => bus.metrics.answered === 2, 'both answers');
    });
    const target = new ToldTarget();
    // For a moment it has no room.
    target.refusals.count = 2;
    await served(
      settings,
      async ({ bus }) => {
        assert.equal(target.log, ['bar I0 0', 'merge I0 a 2']);
        assert.is(bus.position.sincePlace, 3);
      },
      { target },
    );
  },
);

redisTest('a signal that was let in and not answered sees at the next process what it saw then', async (server) => {
  const settings = server.settings();
  let position: BusPosition | null = null;
  await served(settings, async ({ bus, target, client }) => {
    target.answersAtOnce = false;
    await client.send(barInput(0, 0));
    await client.send(signalInput(0, 'a'));
    await client.send(barInput(0, 1));
    await eventually(() => target.log.length === 3, 'the signal and the bars');
    position = bus.position;
  });
  const target = new ToldTarget();
  await served(settings, async () => settled(server), { position, target });
  assert.equal(target.log, ['as of 1', 'signal I0 a']);
  assert.is(await server.command('XLEN', partitionKeys(settings).output), 1);
});

redisTest(
  'signals that wait for their answers are not brought again when a connection breaks, however many',
  async (server) => {
    const count = 600;
    await served(server.settings(), async (one) => {
      const { bus, target, client } = one;
      target.answersAtOnce = false;
      await Promise.all(Array.from({ length: count }, (_, k) => client.send(signalInput(0, `s${k}`))));
      await eventually(() => target.waiting === count, 'all signals');
      await interrupted(server, one);
      target.answerAll();
      await settled(server);
      await eventually(() => bus.metrics.answered === count, 'all answers');
      assert.is(target.log.length, count);
    });
  },
);

for (const direction of ['sent', 'received'] as const) {
  redisTest(`an answer is out once, though the connection breaks before it is ${direction}`, async (server) => {
    const settings = server.settings();
    const proxy = await TcpProxy.to(server.port);
    try {
      await served(
        settings,
        async ({ target, client, downs }) => {
          target.answersAtOnce = false;
          await client.send(signalInput(0, 'a'));
          await eventually(() => target.waiting === 1, 'the signal');
          proxy.hold(direction);
          target.answerAll();
          await proxy.holds(direction);
          proxy.cut();
          proxy.release();
          await eventually(() => downs.length > 0, 'the end of the connection');
          await settled(server);
          assert.is(await server.command('XLEN', partitionKeys(settings).output), 1);
        },
        { url: proxy.url },
      );
    } finally {
      await proxy.close();
    }
  });
}

redisTest('what another consumer was given and has left is taken in', async (server) => {
  const settings = server.settings();
  const { input, output } = partitionKeys(settings);
  await write(server, settings, '1-0', barInput(0, 0));
  await write(server, settings, '2-0', signalInput(0, 'a'));
  await server.command('XGROUP', 'CREATE', input, settings.group, '0');
  await server.command('XREADGROUP', 'GROUP', settings.group, 'another', 'STREAMS', input, '>');
  await served(settings, async ({ target, downs }) => {
    await settled(server);
    assert.equal([target.log, downs], [['bar I0 0', 'signal I0 a'], []]);
    assert.is(await server.command('XLEN', output), 1);
  });
});

redisTest('all that another consumer has left is claimed, however much it is', async (server) => {
  const settings = server.settings();
  const { input, output } = partitionKeys(settings);
  const { signalId: _, ...event } = signalInput(0, 'a').event;
  const dialect = openDialect({ redis: settings, userFeatures: [] });
  const payload = Buffer.from(dialect.encodeInput({ kind: 'signal', event }).payload);
  const count = 1200;
  const script = `for i = 1, ${count} do redis.call('XADD', KEYS[1], '*', 'payload', ARGV[1]) end`;
  await server.command('EVAL', script, 1, input, payload);
  await server.command('XGROUP', 'CREATE', input, settings.group, '0');
  await server.command('XREADGROUP', 'GROUP', settings.group, 'another', 'STREAMS', input, '>');
  await served(settings, async () => settled(server));
  assert.is(await server.command('XLEN', output), count);
});

redisTest('a group that is gone is made anew, and what waits for its answer gets it', async (server) => {
  const settings = server.settings();
  const { input } = partitionKeys(settings);
  await served(settings, async (one) => {
    const { bus, target, client } = one;
    target.answersAtOnce = false;
    await client.send(signalInput(0, 'a'));
    await client.send(barInput(0, 0));
    await eventually(() => target.log.length === 2, 'both');
    await server.command('XGROUP', 'DESTROY', input, settings.group);
    await interrupted(server, one);
    target.answerAll();
    await eventually(() => bus.metrics.answered === 1, 'the answer');
  });
});

redisTest('a stream that is gone is told as a gap, and a new one is read from its start', async (server) => {
  const settings = server.settings();
  await served(settings, async (one) => {
    const { target, client, gaps } = one;
    await client.send(barInput(0, 0));
    await settled(server);
    await server.command('DEL', partitionKeys(settings).input);
    await interrupted(server, one);
    assert.match(gaps[0]!.reason, 'the server has lost entries after 0-0');
    // By a server whose clock is behind.
    await write(server, settings, '1-0', barInput(0, 1));
    await settled(server);
    assert.equal([target.log, gaps.length], [['bar I0 0', 'bar I0 1'], 1]);
  });
});

redisTest('a signal that was removed before it had its reply is told as one that is missing', async (server) => {
  const settings = server.settings();
  await served(settings, async (one) => {
    const { bus, target, client, gaps } = one;
    target.answersAtOnce = false;
    await client.send(signalInput(0, 'a'));
    await eventually(() => target.waiting === 1, 'the signal');
    await server.command('XDEL', partitionKeys(settings).input, bus.position.position);
    await interrupted(server, one);
    assert.is(gaps[0]!.missing, 1);
  });
});

for (const [what, ids, removal, reason] of [
  ['removed', ['1-0', '2-0', '3-0', '4-0'], ['XDEL', '2-0', '3-0'], 'entries after 2-0 may have been removed'],
  ['trimmed', ['1-0', '2-0', '3-0', '4-0'], ['XTRIM', 'MINID', '4-0'], 'entries after 2-0 may have been removed'],
  ['lost', ['1-0', '4-0'], null, 'the server has lost entry 2-0'],
] as const) {
  redisTest(`entries that were ${what} while nobody read are told to the next process`, async (server) => {
    const settings = server.settings();
    const { input: stream } = partitionKeys(settings);
    for (const id of ids) await write(server, settings, id, barInput(0, Number(id[0])));
    if (removal !== null) await server.command(removal[0], stream, ...removal.slice(1));
    await served(
      settings,
      async ({ target, gaps }) => {
        await eventually(() => target.log.length > 0, 'what is left');
        assert.equal(target.log, ['bar I0 4']);
        assert.is(gaps[0]?.missing, null);
        assert.match(gaps[0]!.reason, reason);
      },
      { position: { stream, position: '2-0', unanswered: [], places: [], sincePlace: 0 } },
    );
  });
}

redisTest('entries that were trimmed when a process had them are no gap', async (server) => {
  const settings = server.settings();
  const { input: stream } = partitionKeys(settings);
  for (const id of ['1-0', '2-0']) await write(server, settings, id, barInput(0, Number(id[0])));
  await server.command('XTRIM', stream, 'MAXLEN', 0);
  await served(settings, async ({ gaps }) => assert.equal(gaps, []), {
    position: { stream, position: '2-0', unanswered: [], places: [], sincePlace: 0 },
  });
});

test.run();
