import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusEvents, BusReply } from '../../../src/bus/message-bus.js';
import { PubSubBus } from '../../../src/bus/redis/pubsub-bus.js';
import { PubSubClient } from '../../../src/bus/redis/pubsub-client.js';
import type { RedisSettings } from '../../../src/bus/redis/redis-client.js';
import { systemClock } from '../../../src/clock.js';
import { listening } from '../../contracts/message-bus.js';
import { capturedLog } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { freePort, type RedisServer, redisCommand, redisSettings, redisTest } from '../../support/redis-server.js';
import { refusalOf } from '../../support/refusal.js';
import { barInput, ScriptedTarget, signalInput } from '../../support/scripted-target.js';
import { numbered, standInDialect, toBytes } from '../../support/stand-in-dialect.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { unlessHung } from '../../support/threads.js';

const SECRET = 'correct-horse';
/** So that a connection that says nothing is noticed within the test. */
const LEASE = { leaseMs: 500 };
const backoff = { firstMs: 5, pauseMsMax: 50, uniform: () => 0.5, delay: waitingBriefly };

function waitingBriefly(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
}

/** A started bus with a client on connections of its own, and what it told. */
class Fixture {
  readonly target = new ScriptedTarget();
  readonly told: { [E in 'busUp' | 'busDown' | 'busGap']: Parameters<BusEvents[E]>[0][] } = {
    busUp: [],
    busDown: [],
    busGap: [],
  };
  readonly bus: PubSubBus;
  readonly log = capturedLog();
  readonly clients: PubSubClient[] = [];

  constructor(readonly settings: RedisSettings) {
    const { target } = this;
    const parts = { dialect: standInDialect, clock: systemClock, logger: this.log.logger, backoff };
    this.bus = new PubSubBus({ settings, target, ...parts });
    this.bus.events.on('busUp', (up) => this.told.busUp.push(up));
    this.bus.events.on('busDown', (down) => this.told.busDown.push(down));
    this.bus.events.on('busGap', (gap) => this.told.busGap.push(gap));
    this.bus.start();
  }

  client(settings = this.settings): PubSubClient {
    const client = new PubSubClient({ settings, dialect: standInDialect, logger: this.log.logger, backoff });
    this.clients.push(client);
    return client;
  }

  async up(times: number): Promise<void> {
    await eventually(() => this.told.busUp.length >= times, `busUp number ${times}`);
  }

  async down(times: number): Promise<void> {
    await eventually(() => this.told.busDown.length >= times, `busDown number ${times}`);
  }

  async close(): Promise<void> {
    this.target.answerAll();
    await unlessHung(this.bus.stop(), 'the stop of the bus');
    await unlessHung(Promise.all(this.clients.map((client) => client.close())), 'the clients');
  }
}

/** Runs `use` beside a bus with these settings, all ended afterwards. */
async function withBus(settings: RedisSettings, use: (fixture: Fixture) => Promise<void>): Promise<void> {
  const fixture = new Fixture(settings);
  try {
    await use(fixture);
  } finally {
    await fixture.close();
  }
}

async function withProxy(server: RedisServer, use: (proxy: TcpProxy) => Promise<void>): Promise<void> {
  const proxy = await TcpProxy.to(server.port);
  try {
    await use(proxy);
  } finally {
    await proxy.close();
  }
}

/** Sends a signal and waits for its answer: the bus works. */
async function answers(client: PubSubClient, replies: BusReply[], signalId: string): Promise<void> {
  await client.send(signalInput(0, signalId));
  const isAnswered = (reply: BusReply): boolean => reply.kind === 'enriched' && reply.answer.signalId === signalId;
  await eventually(() => replies.some(isAnswered), `the answer to ${signalId}`);
}

redisTest('a killed server is told of once, and served again when it is back', async (server) => {
  await withBus(server.settings(), async (fixture) => {
    const { bus, told, log } = fixture;
    const client = fixture.client();
    const replies = await listening(client);
    await fixture.up(1);
    await answers(client, replies, 'before');
    await server.kill();
    await fixture.down(1);
    assert.is(bus.metrics.state, 'down');
    const { code } = await refusalOf(() => client.send(signalInput(0, 'during')));
    assert.is(code, 'BUS_UNAVAILABLE');
    await server.restart();
    await fixture.up(2);
    assert.is(bus.metrics.state, 'up');
    // The client comes back on its own connections, in its own time.
    await resubscribed(server, fixture.settings.enrichedChannel);
    await eventuallySends(client, barInput(0, 1));
    await answers(client, replies, 'after');
    assert.is(told.busDown.length, 1);
    assert.is(log.lines.filter(({ msg }) => msg.includes('down')).length, 1);
    assert.equal(
      told.busGap.map(({ missing }) => missing),
      [null],
    );
    assert.is(bus.metrics.missing, 0);
  });
});

test('a server that is absent at the start is waited for, with one warning', async () => {
  const settings = redisSettings({ url: `redis://127.0.0.1:${await freePort()}` });
  await withBus(settings, async ({ told, bus, log }) => {
    await eventually(() => told.busDown.length > 0, 'busDown');
    assert.equal([told.busDown[0]?.code, bus.metrics.state], ['ECONNREFUSED', 'down']);
    assert.is(told.busDown[0]?.server, `${settings.url}`);
    assert.is(log.lines.length, 1);
    assert.is(log.lines[0]?.code, 'ECONNREFUSED');
  });
});

redisTest('a server that comes later than the bus is found', async (server) => {
  await server.kill();
  await withBus(server.settings(), async (fixture) => {
    await fixture.down(1);
    await server.restart();
    await fixture.up(1);
    const client = fixture.client();
    await answers(client, await listening(client), 'a');
    assert.equal(
      [
        fixture.told.busDown.length,
        fixture.told.busGap.length,
        fixture.log.lines.filter(({ level }) => level >= 40).length,
      ],
      [1, 0, 1],
    );
  });
});

redisTest('connections that are cut, or refused for a while, are made again', async (server) => {
  await withProxy(server, async (proxy) => {
    await withBus(redisSettings({ url: proxy.url }), async (fixture) => {
      const client = fixture.client(server.settings());
      const replies = await listening(client);
      await fixture.up(1);
      for (let round = 1; round <= 3; round++) {
        proxy.refuse();
        proxy.cut();
        await fixture.down(round);
        await proxy.openedAtLeast(proxy.opened + 2);
        proxy.accept();
        await fixture.up(round + 1);
        await answers(client, replies, `${round}`);
      }
      assert.is(fixture.told.busDown.length, 3);
      assert.is(proxy.connections, 2);
    });
  });
});

redisTest('a connection that is open and silent is given up within twice the lease', async (server) => {
  await withProxy(server, async (proxy) => {
    await withBus(redisSettings({ url: proxy.url, ...LEASE }), async (fixture) => {
      const client = fixture.client(server.settings());
      const replies = await listening(client);
      await fixture.up(1);
      const startNs = systemClock.monotonicNs();
      proxy.hold('received');
      await fixture.down(1);
      const tookMs = (systemClock.monotonicNs() - startNs) / 1e6;
      assert.is(fixture.told.busDown[0]?.code, 'SILENT');
      assert.ok(tookMs >= LEASE.leaseMs / 2, `${tookMs} ms`);
      proxy.release();
      await fixture.up(2);
      await eventually(() => proxy.connections === 2, 'the end of the silent connections');
      await answers(client, replies, 'a');
    });
  });
});

redisTest('a reply that cannot be published is counted as missing, and told', async (server) => {
  await withProxy(server, async (proxy) => {
    await withBus(redisSettings({ url: proxy.url, ...LEASE }), async (fixture) => {
      const { target, bus, told } = fixture;
      const client = fixture.client(server.settings());
      const replies = await listening(client);
      await fixture.up(1);
      target.answersAtOnce = false;
      await client.send(signalInput(0, 'a'));
      await client.send(signalInput(0, 'b'));
      await eventually(() => target.waiting === 2, 'both signals');
      proxy.refuse();
      proxy.cut();
      await fixture.down(1);
      target.answerAll();
      await eventually(() => bus.metrics.missing === 2, 'two missing replies');
      assert.equal([bus.metrics.answered, bus.metrics.inFlight, replies.length], [0, 0, 0]);
      assert.equal(
        told.busGap.map(({ missing }) => missing),
        [1, 1],
      );
    });
  });
});

redisTest('clients that the server kills come back', async (server) => {
  await withBus(server.settings(), async (fixture) => {
    const client = fixture.client();
    const replies = await listening(client);
    await fixture.up(1);
    await answers(client, replies, 'before');
    for (const type of ['pubsub', 'normal']) await server.command('CLIENT', 'KILL', 'TYPE', type);
    await fixture.up(2);
    await resubscribed(server, fixture.settings.enrichedChannel);
    await eventuallySends(client, barInput(0, 1));
    await answers(client, replies, 'after');
  });
});

redisTest(
  'a wrong password is told of without either password, and the right one works',
  async (server) => {
    const wrong = redisSettings({ url: server.url.replace(SECRET, 'battery-staple') });
    await withBus(wrong, async (fixture) => {
      await fixture.down(1);
      assert.is(fixture.told.busDown[0]?.code, 'WRONGPASS');
      const client = fixture.client();
      const refusal = await refusalOf(() => client.send(signalInput(0, 'a')));
      const texts = JSON.stringify([fixture.log.lines, fixture.told, refusal.message, `${refusal.stack}`]);
      assert.not.match(texts, /battery-staple|correct-horse/);
    });
    await withBus(server.settings(), async (fixture) => {
      const client = fixture.client();
      const replies = await listening(client);
      await fixture.up(1);
      await answers(client, replies, 'a');
      assert.not.match(JSON.stringify(fixture.told), /correct-horse/);
    });
  },
  { requirepass: SECRET },
);

redisTest('a user who may do no more than it must is enough', async (server) => {
  const rules = ['+publish', '+subscribe', '+ping', '+hello', '+client', '+info', '&nautilus:*'];
  await server.command('ACL', 'SETUSER', 'ml4t', 'on', `>${SECRET}`, ...rules);
  const settings = redisSettings({ url: server.url.replace('//', `//ml4t:${SECRET}@`) });
  await withBus(settings, async (fixture) => {
    const client = fixture.client();
    const replies = await listening(client);
    await fixture.up(1);
    await answers(client, replies, 'a');
    await redisCommand(server.settings(), 'ACL', 'SETUSER', 'ml4t', 'resetchannels', '&nautilus:signals');
    await fixture.down(1);
    await eventually(() => fixture.bus.metrics.state === 'down', 'down');
    assert.not.match(JSON.stringify([fixture.told, fixture.log.lines]), /correct-horse/);
  });
});

redisTest(
  'a server that speaks TLS is spoken to in TLS, and one without a trusted certificate is not',
  async (server) => {
    await withBus(server.settings(), async (fixture) => {
      const client = fixture.client();
      const replies = await listening(client);
      await fixture.up(1);
      await answers(client, replies, 'a');
      assert.match(fixture.told.busUp[0]!.server, /^rediss:/);
    });
    await withBus(redisSettings({ url: server.url }), async (fixture) => {
      await fixture.down(1);
      assert.match(fixture.told.busDown[0]!.code, /CERT|SELF_SIGNED|VERIFY/);
    });
  },
  { tls: true },
);

redisTest('messages that number themselves are counted when some are missing', async (server) => {
  await withBus(server.settings(), async ({ bus, told, settings }) => {
    await eventually(() => told.busUp.length === 1, 'busUp');
    for (const [source, sequence] of [
      ['x', 5n],
      ['y', 100n],
      ['x', 6n],
      ['x', 9n],
      ['y', 101n],
      ['x', 1n],
      ['x', 2n],
    ] as const) {
      const bar = numbered(barInput(0, 0), { source, sequence });
      await server.command('PUBLISH', settings.barsChannel, bar);
    }
    await eventually(() => bus.metrics.bars === 7, 'seven bars');
    assert.is(bus.metrics.missing, 2);
    assert.equal(
      told.busGap.map(({ missing, reason }) => [missing, reason.includes(' x ')]),
      [[2, true]],
    );
  });
});

redisTest(
  'signals beyond inFlightMax are refused, and bars and bad messages are not held up by them',
  async (server) => {
    await withBus(server.settings({ inFlightMax: 2 }), async (fixture) => {
      const { target, bus, settings } = fixture;
      const client = fixture.client();
      const replies = await listening(client);
      await fixture.up(1);
      target.answersAtOnce = false;
      for (const id of ['a', 'b', 'c']) await client.send(signalInput(0, id));
      await client.send(barInput(0, 0));
      await server.command('PUBLISH', settings.signalsChannel, 'no JSON');
      await server.command('PUBLISH', settings.signalsChannel, toBytes({ kind: 'heartbeat' }));
      await server.command('PUBLISH', settings.signalsChannel, toBytes({ kind: 'ignored' }));
      await eventually(() => bus.metrics.rejected === 2 && replies.length === 2, 'two refusals');
      const codes = replies.map((reply) => (reply.kind === 'rejected' ? reply.rejection.code : ''));
      assert.equal(codes, ['OVERLOADED', 'PAYLOAD_MALFORMED']);
      const bad = replies[1];
      assert.is(bad?.kind === 'rejected' && Buffer.from(bad.rejection.payload!).toString(), 'no JSON');
      await eventually(() => bus.metrics.ignored === 1, 'the ignored message');
      const { inFlight, bars, heartbeats, signals } = bus.metrics;
      assert.equal([inFlight, bars, heartbeats, signals], [2, 1, 1, 2]);
      target.answerAll();
      await eventually(() => bus.metrics.answered === 2, 'two answers');
      await client.send(signalInput(0, 'd'));
      await eventually(() => target.waiting === 1, 'room again');
    });
  },
);

redisTest(
  'refusals beyond inFlightMax on their way are dropped and told, and large messages are not sent back',
  async (server) => {
    await withProxy(server, async (proxy) => {
      await withBus(redisSettings({ url: proxy.url, inFlightMax: 2, payloadBytesMax: 1024 }), async (fixture) => {
        const { bus, told, settings } = fixture;
        const replies = await listening(fixture.client(server.settings()));
        await fixture.up(1);
        proxy.hold('sent');
        for (const payload of ['no JSON', 'x'.repeat(1025), 'a third']) {
          await server.command('PUBLISH', settings.signalsChannel, payload);
        }
        await eventually(() => told.busGap.length > 0, 'the gap');
        assert.equal([told.busGap[0]!.missing, bus.metrics.missing], [1, 1]);
        proxy.release();
        await eventually(() => bus.metrics.rejected === 2, 'two refusals');
        await server.command('PUBLISH', settings.signalsChannel, 'a fourth');
        await eventually(() => replies.length === 3, 'three refusals');
        const payloads = replies.map((reply) => reply.kind === 'rejected' && reply.rejection.payload);
        assert.equal(
          payloads.map((payload) => payload && Buffer.from(payload).toString()),
          ['no JSON', null, 'a fourth'],
        );
        assert.is(bus.metrics.missing, 1);
      });
    });
  },
);

redisTest('a stop waits for refusals and answers until the last is out', async (server) => {
  await withProxy(server, async (proxy) => {
    await withBus(redisSettings({ url: proxy.url }), async (fixture) => {
      const { bus, target, settings } = fixture;
      const client = fixture.client(server.settings());
      await fixture.up(1);
      target.answersAtOnce = false;
      await client.send(signalInput(0, 'a'));
      await eventually(() => target.waiting === 1, 'the signal');
      proxy.hold('sent');
      await server.command('PUBLISH', settings.signalsChannel, 'no JSON');
      await proxy.holds('sent');
      const stopped = bus.stop();
      proxy.release();
      await eventually(() => bus.metrics.rejected === 1, 'the refusal');
      target.answerAll();
      await unlessHung(stopped, 'the stop of the bus');
      assert.equal([bus.metrics.answered, bus.metrics.missing], [1, 0]);
    });
  });
});

redisTest('a bus that stops while nothing answers lets go of its timers and sockets', async (server) => {
  await withProxy(server, async (proxy) => {
    proxy.hold('received');
    const fixture = new Fixture(redisSettings({ url: proxy.url, ...LEASE }));
    await proxy.openedAtLeast(1);
    await unlessHung(fixture.close(), 'the stop of a bus that waits for its server');
    assert.is(fixture.bus.metrics.state, 'stopped');
    assert.equal(fixture.told.busDown, []);
  });
});

redisTest('a connection that falls silent at its subscription is given up too, at both ends', async (server) => {
  await withProxy(server, async (proxy) => {
    const settings = redisSettings({ url: proxy.url, ...LEASE });
    proxy.silenceAt(settings.signalsChannel);
    await withBus(settings, async (fixture) => {
      await fixture.down(1);
      assert.is(fixture.told.busDown[0]?.code, 'SILENT');
      await fixture.up(1);
      proxy.silenceAt(fixture.settings.enrichedChannel);
      await unlessHung(listening(fixture.client()), 'the subscription of a client');
    });
  });
});

redisTest('both ends stop while their subscription is not confirmed', async (server) => {
  await withProxy(server, async (proxy) => {
    // So long that nothing but the stop ends the connection.
    const settings = redisSettings({ url: proxy.url, leaseMs: 60_000 });
    proxy.silenceAt(settings.signalsChannel);
    const fixture = new Fixture(settings);
    await proxy.holds('sent');
    proxy.silenceAt(settings.enrichedChannel);
    const heard = listening(fixture.client());
    await proxy.holds('sent');
    await fixture.close();
    await heard;
    assert.equal(fixture.told.busDown, []);
    proxy.release();
    await eventually(() => proxy.connections === 0, 'the end of the connections');
  });
});

redisTest('a stop does not wait for ever for answers that never come: they are missing', async (server) => {
  await withBus(server.settings(), async (fixture) => {
    const { target, bus, told } = fixture;
    const client = fixture.client();
    const replies = await listening(client);
    await fixture.up(1);
    target.answersAtOnce = false;
    for (const id of ['a', 'b']) await client.send(signalInput(0, id));
    await eventually(() => target.waiting === 2, 'both signals');
    await unlessHung(bus.stop(), 'the stop of a bus');
    // Too late: they are counted already.
    target.answerAll();
    await new Promise(setImmediate);
    const { state, missing, inFlight, answered } = bus.metrics;
    assert.equal([state, missing, inFlight, answered], ['stopped', 2, 0, 0]);
    assert.equal(
      told.busGap.map((gap) => gap.missing),
      [2],
    );
    assert.equal(replies, []);
  });
});

redisTest('who listens during an outage waits for its end', async (server) => {
  await withProxy(server, async (proxy) => {
    await withBus(server.settings(), async (fixture) => {
      await fixture.up(1);
      const client = fixture.client(redisSettings({ url: proxy.url }));
      await listening(client);
      proxy.refuse();
      proxy.cut();
      await proxy.openedAtLeast(2);
      let isListening = false;
      const second = listening(client).finally(() => {
        isListening = true;
      });
      await proxy.openedAtLeast(proxy.opened + 1);
      assert.not(isListening);
      proxy.accept();
      const replies = await unlessHung(second, 'the new subscription');
      await answers(fixture.client(), replies, 'a');
    });
  });
});

redisTest('a message that nobody listens to is not taken for sent', async (server) => {
  const client = new PubSubClient({
    settings: server.settings(),
    dialect: standInDialect,
    logger: capturedLog().logger,
  });
  assert.is((await refusalOf(() => client.send(signalInput(0, 'a')))).code, 'BUS_UNAVAILABLE');
  await client.close();
});

async function resubscribed(server: RedisServer, channel: string): Promise<void> {
  for (let count = 0; count === 0; ) {
    const reply = (await server.command('PUBSUB', 'NUMSUB', channel)) as [string, number];
    count = reply[1];
  }
}

/** Again and again, as a strategy would. */
async function eventuallySends(client: PubSubClient, input: Parameters<PubSubClient['send']>[0]): Promise<void> {
  let isSent = false;
  let isTrying = false;
  const attempt = async (): Promise<void> => {
    isTrying = true;
    isSent = await client.send(input).then(
      () => true,
      () => false,
    );
    isTrying = false;
  };
  await eventually(() => {
    if (!isTrying && !isSent) void attempt();
    return isSent;
  }, 'a message that is taken');
}

redisTest('a numbered message that is refused is not missing', async (server) => {
  const settings = server.settings();
  await withBus(settings, async (fixture) => {
    const { bus } = fixture;
    await fixture.up(1);
    for (const sequence of [1n, 2n, 3n]) {
      const place = { source: 'x', sequence };
      const message = sequence === 2n ? toBytes({ kind: 'invalid', place }) : numbered(barInput(0, 0), place);
      await server.command('PUBLISH', settings.barsChannel, message);
    }
    await eventually(() => bus.metrics.bars === 2, 'the bars');
    assert.equal([bus.metrics.rejected, bus.metrics.missing], [1, 0]);
  });
});

test.run();
