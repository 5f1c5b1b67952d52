import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../src/bus/open-dialect.js';
import { StreamClient } from '../../src/bus/redis/stream-client.js';
import { OrchestratorConfig } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { fixtureBars } from '../support/bundles.js';
import { capturedLog } from '../support/captured-log.js';
import { eventually } from '../support/eventually.js';
import { remembered, stopAll } from '../support/opened.js';
import { freePort, redisTest } from '../support/redis-server.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const SECRET = 'open-sesame';
const WARN = 40;
const bars = fixtureBars(120, 5);
const signal = { instrumentId: 'X', signal: 1 as const, timestamp: bars.tsEventNs[119]! };

/** An orchestrator with a bus, and everything it has said of that. */
class Watched {
  readonly events: string[] = [];
  readonly log = capturedLog();
  readonly orchestrator: ML4TOrchestrator;

  constructor(readonly url: string) {
    this.orchestrator = remembered(
      new ML4TOrchestrator({ redis: { url, leaseMs: 30_000 } }, { logger: this.log.logger }),
    );
    this.orchestrator.events.on('busUp', ({ server }) => this.events.push(`up ${server}`));
    this.orchestrator.events.on('busDown', ({ server, code, reason }) =>
      this.events.push(`down ${code} ${server} ${reason}`),
    );
  }

  async said(start: string, count = 1): Promise<string> {
    const found = (): string[] => this.events.filter((event) => event.startsWith(start));
    await eventually(() => found().length >= count, `${count} '${start}'`);
    return found()[count - 1]!;
  }

  get warnings(): number {
    return this.log.lines.filter(({ level, msg }) => level === WARN && msg.includes('bus')).length;
  }

  async answersDirectly(signalId: string): Promise<void> {
    this.orchestrator.addBar('X', bars.at(0));
    assert.is((await this.orchestrator.processSignal({ ...signal, signalId })).signalId, signalId);
  }

  keepsSecrets(): void {
    assert.not.match(JSON.stringify([this.events, this.log.lines]), SECRET);
  }
}

/** Sends a signal as a strategy does, and waits for its reply. */
async function askOver(url: string, signalId: string): Promise<void> {
  const config = OrchestratorConfig.parse({ redis: { url } });
  const client = new StreamClient(config.redis, openDialect(config));
  try {
    const ids: string[] = [];
    await client.listen((reply) => ids.push(reply.kind === 'enriched' ? reply.answer.signalId : ''));
    await client.send({ kind: 'signal', event: { ...signal, signalId } });
    await eventually(() => ids.includes(signalId), `the reply to ${signalId}`);
    assert.equal(ids, [signalId]);
  } finally {
    await client.close();
  }
}

redisTest(
  'while Redis is away direct calls are answered, after one warning; when it comes, and comes again, the bus serves',
  async (server) => {
    const proxy = await TcpProxy.to(server.port);
    try {
      proxy.refuse();
      const watched = new Watched(`redis://:${SECRET}@127.0.0.1:${proxy.port}`);
      await watched.orchestrator.start();
      assert.match(await watched.said('down'), /^down [A-Z_]+ redis:\/\/127\.0\.0\.1:\d+ \S/);
      await proxy.openedAtLeast(3);
      await watched.answersDirectly('direct');
      assert.equal([watched.events.length, watched.warnings], [1, 1]);
      proxy.accept();
      await watched.said('up');
      await askOver(server.url, 'first');
      const before = proxy.opened;
      proxy.refuse();
      proxy.cut();
      await watched.said('down', 2);
      await proxy.openedAtLeast(before + 3);
      await watched.answersDirectly('again');
      assert.equal([watched.events.length, watched.warnings], [3, 2]);
      proxy.accept();
      await watched.said('up', 2);
      await askOver(server.url, 'second');
      assert.equal(
        watched.events.map((event) => event.split(' ')[0]!),
        ['down', 'up', 'down', 'up'],
      );
      watched.keepsSecrets();
    } finally {
      await stopAll();
      await proxy.close();
    }
  },
  { requirepass: SECRET },
);

redisTest(
  'a wrong password is told, and not which',
  async (server) => {
    const watched = new Watched(server.url.replace(SECRET, `${SECRET}2`));
    await watched.orchestrator.start();
    assert.match(await watched.said('down'), /^down WRONGPASS /);
    await watched.answersDirectly('direct');
    watched.keepsSecrets();
  },
  { requirepass: SECRET },
);

redisTest(
  'a server that accepts connections and says nothing is away too, and serves when it speaks',
  async (server) => {
    server.pause();
    try {
      const watched = new Watched(server.url);
      await watched.orchestrator.start();
      await watched.answersDirectly('direct');
      await watched.said('down');
      server.resume();
      await watched.said('up');
      await askOver(server.url, 'first');
    } finally {
      server.resume();
    }
  },
);

test('where nothing listens, the orchestrator starts, answers and stops', async () => {
  const watched = new Watched(`redis://user:${SECRET}@127.0.0.1:${await freePort()}`);
  await watched.orchestrator.start();
  assert.match(await watched.said('down'), /^down ECONNREFUSED /);
  await watched.answersDirectly('direct');
  await watched.orchestrator.stop();
  assert.is(watched.warnings, 1);
  watched.keepsSecrets();
});

test.after.each(stopAll);
test.run();
