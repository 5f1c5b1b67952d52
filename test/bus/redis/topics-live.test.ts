import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusInput } from '../../../src/bus/message-bus.js';
import { openDialect } from '../../../src/bus/open-dialect.js';
import type { RedisSettings } from '../../../src/bus/redis/redis-client.js';
import type { EnrichedSignalEvent } from '../../../src/market/events.js';
import { ML4TOrchestrator } from '../../../src/orchestrator.js';
import { silentLogger } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { FIRST_CLOSE_NS, MINUTE_NS } from '../../support/market.js';
import { type RedisServer, redisTest } from '../../support/redis-server.js';
import { served } from '../../support/served.js';

const NODE = 'trader-T-1:stream:';
const SETTINGS = { dialect: 'nautilus-v1', topicStreams: [`${NODE}*`] } as const;
const BAR_MS = 5;
const COUNT = 630;

/** As a v1 node writes it: a stream of its own for every topic, the asterisk behind custom data included. */
class TraderNode {
  constructor(
    private readonly server: RedisServer,
    private readonly settings: RedisSettings,
    private readonly instrumentId: string,
  ) {}

  bar(k: number): [key: string, ...fields: (string | Buffer)[]] {
    const bar = { tsEventNs: FIRST_CLOSE_NS + BigInt(k) * MINUTE_NS, open: 1, high: 1, low: 1, close: 1, volume: 1 };
    return this.entry({ kind: 'bar', instrumentId: this.instrumentId, bar }, '');
  }

  signal(k: number): [key: string, ...fields: (string | Buffer)[]] {
    const event = {
      ...{ instrumentId: this.instrumentId, signal: 1 as const, signalId: `${this.instrumentId} ${k}` },
      timestamp: FIRST_CLOSE_NS + BigInt(k) * MINUTE_NS,
    };
    return this.entry({ kind: 'signal', event }, '*');
  }

  async write(...[key, ...fields]: [key: string, ...fields: (string | Buffer)[]]): Promise<void> {
    await this.server.command('XADD', key, '*', ...fields);
  }

  /** In one transaction, as the node flushes what it has buffered. Whether all of it has the same millisecond. */
  async flush(...entries: [key: string, ...fields: (string | Buffer)[]][]): Promise<boolean> {
    const lines = entries.map(([, ...fields], k) => {
      const from = 1 + entries.slice(0, k).reduce((sum, [, ...before]) => sum + before.length, 0);
      return `redis.call('XADD', KEYS[${k + 1}], '*', unpack(ARGV, ${from}, ${from + fields.length - 1}))`;
    });
    const keys = entries.map(([key]) => key);
    const ids = (await this.server.command(
      'EVAL',
      `return {${lines.join(', ')}}`,
      keys.length,
      ...keys,
      ...entries.flatMap(([, ...fields]) => fields),
    )) as string[];
    return new Set(ids.map((id) => id.split('-')[0])).size === 1;
  }

  private entry(input: BusInput, suffix: string): [key: string, ...fields: (string | Buffer)[]] {
    const frame = openDialect({ redis: this.settings, userFeatures: [] }).encodeInput(input);
    const topic = `${frame.topic}${suffix}`;
    return [`${NODE}${topic}`, 'topic', topic, 'type', '', 'payload', frame.payload, 'encoding', 'Json'];
  }
}

function signalOf(instrumentId: string, k: number): string {
  return `signal ${instrumentId} ${instrumentId} ${k}`;
}

/** Signals that came before their bar. */
function stale(log: readonly string[], instrumentId: string, count: number): number[] {
  const places = new Map(log.map((line, at) => [line, at]));
  return Array.from({ length: count }, (_, k) => k).filter(
    (k) => places.get(signalOf(instrumentId, k))! < places.get(`bar ${instrumentId} ${k}`)!,
  );
}

async function scansOf(server: RedisServer): Promise<number> {
  return Number(/cmdstat_scan:calls=(\d+)/.exec(String(await server.command('INFO', 'commandstats')))?.[1] ?? 0);
}

redisTest(
  'a signal sees the bar it was written behind, from the first on, at five milliseconds a bar',
  async (server) => {
    const settings = server.settings(SETTINGS);
    const node = new TraderNode(server, settings, 'X.SIM');
    await served(settings, async ({ target, bus }) => {
      const scansBefore = await scansOf(server);
      const startMs = performance.now();
      let firstMs = 0;
      for (let k = 0; k < COUNT; k++) {
        await node.write(...node.bar(k));
        await node.write(...node.signal(k));
        while (performance.now() < startMs + (k + 1) * BAR_MS) await new Promise(setImmediate);
        if (firstMs === 0 && target.log.some((line) => line.startsWith('signal')))
          firstMs = performance.now() - startMs;
      }
      await eventually(() => bus.metrics.answered === COUNT, 'all answers');
      assert.equal(stale(target.log, 'X.SIM', COUNT), []);
      assert.equal(target.log.length, 2 * COUNT);
      assert.ok(firstMs > 0 && firstMs < 2500, `the first signal waited ${firstMs} ms`);
      const scans = (await scansOf(server)) - scansBefore;
      assert.ok(scans < 40, `${scans} looks for streams`);
    });
  },
);

redisTest('a signal that is written before its bar waits for it, at five milliseconds a bar', async (server) => {
  const node = new TraderNode(server, server.settings(SETTINGS), 'X.SIM');
  const redis = { ...SETTINGS, url: server.url };
  const system = new ML4TOrchestrator({ dispatch: 'inline', redis }, { logger: silentLogger });
  const answers: EnrichedSignalEvent[] = [];
  system.events.on('enriched', (answer) => answers.push(answer));
  const bars = (): number => system.busMetrics!.bars;
  await system.start();
  try {
    // Which bar a signal waits for is known once there are three, from which the interval is seen.
    const before = 3;
    for (let k = 0; k < before; k++) await node.write(...node.bar(k));
    await eventually(() => bars() === before, 'the first bars');
    const startMs = performance.now();
    for (let k = before; k < before + COUNT; k++) {
      await node.write(...node.signal(k));
      await node.write(...node.bar(k));
      while (performance.now() < startMs + (k - before + 1) * BAR_MS) await new Promise(setImmediate);
    }
    await eventually(() => system.busMetrics!.answered === COUNT && bars() === before + COUNT, 'all answers');
    assert.is(new Set(answers.map(({ signalId }) => signalId)).size, COUNT);
    const old = answers.filter(({ asOfNs, signalEvent }) => asOfNs !== signalEvent.timestamp);
    assert.equal(
      old.map(({ signalId, degraded }) => [signalId, degraded]),
      [],
    );
    assert.is(system.totals.lateBars, 0);
  } finally {
    await system.stop();
  }
});

redisTest('what a node flushes at once is in order too: it writes a signal before its own bar', async (server) => {
  const settings = server.settings(SETTINGS);
  const node = new TraderNode(server, settings, 'X.SIM');
  const other = new TraderNode(server, settings, 'Y.SIM');
  await served(settings, async ({ target }) => {
    // The server stamps each entry by itself: of a few a new millisecond begins between the two.
    const [together, othersTogether]: [number[], number[]] = [[], []];
    for (let k = 0; k < 100; k++) {
      if (await node.flush(node.signal(k), node.bar(k))) together.push(k);
      // An instrument that comes later is known before its first signal is brought.
      if (k >= 50 && (await other.flush(other.signal(k - 50), other.bar(k - 50)))) othersTogether.push(k - 50);
    }
    await eventually(() => target.log.length === 300, 'everything gathered');
    assert.ok(together.length > 50 && othersTogether.length > 25, `${together.length} ${othersTogether.length}`);
    const [own, others] = [stale(target.log, 'X.SIM', 100), stale(target.log, 'Y.SIM', 50)];
    assert.equal([...own.filter((k) => together.includes(k)), ...others.filter((k) => othersTogether.includes(k))], []);
  });
});

redisTest('signals that begin long after the bars are brought without a look for their stream', async (server) => {
  const settings = server.settings(SETTINGS);
  const node = new TraderNode(server, settings, 'X.SIM');
  await served(settings, async ({ target }) => {
    await node.write(...node.bar(0));
    await eventually(() => target.log.length === 1, 'the bar');
    // Until it is looked for streams every few seconds only.
    let scans = -1;
    await eventually(async () => {
      const before = scans;
      scans = await scansOf(server);
      return scans > 7 && before === scans;
    }, 'fewer looks');
    const startMs = performance.now();
    await node.write(...node.signal(0));
    await eventually(() => target.log.length === 2, 'the signal');
    assert.ok(performance.now() - startMs < 1000, `${performance.now() - startMs} ms`);
  });
});

test.run();
