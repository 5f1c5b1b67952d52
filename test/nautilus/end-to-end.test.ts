import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HAS_REDIS_SERVER, RedisServer } from '../support/redis-server.js';
import { findPython, NAUTILUS_MAJORS, type NautilusMajor, openEnvironment } from './environments.js';
import { BESIDE_ACTOR, BUSY_LIVE, type Case, LIVE, type Played, payloadsOf, play } from './played-case.js';
import { PythonRun, type RunSettings } from './python-run.js';
import { teachAndSize } from './taught-model.js';

/** The example of examples/nautilus with real nodes, from node over Redis and `ml4t run` back to the node. */
const python = findPython();
if (python === null || !HAS_REDIS_SERVER) {
  const why = python === null ? 'no Python 3.12 in PATH or with pyenv' : 'no redis-server in PATH';
  console.log(`skipped: the example with real NautilusTrader nodes (${why})`);
  test.skip('the example with real NautilusTrader nodes');
} else {
  const ready: { major: NautilusMajor; python: string }[] = [];
  for (const major of NAUTILUS_MAJORS) {
    const environment = await openEnvironment(python, major);
    if (environment.kind === 'ready') ready.push({ major, python: environment.python });
    else if (environment.kind === 'not-served')
      console.log(`not available: NautilusTrader ${major}: ${environment.reason}`);
    else
      test(`an environment with NautilusTrader ${major} can be built`, () => {
        throw new Error(environment.reason);
      });
  }
  const cases = (way: RunSettings['way'], { isDeferred = true, isBusy = false } = {}): Case[] =>
    ready.flatMap((node) =>
      (['json', 'msgpack'] as const).map((encoding) => ({ ...node, way, encoding, isDeferred, isBusy })),
    );

  test('beside the actor every signal gets one answer, through a Redis restart and a killed orchestrator', async () => {
    await play(cases('actor'), async (server, all) => {
      await Promise.all(
        all.map(({ run }) => run.until(() => run.replies.length > LIVE / 4, 'a quarter of the replies')),
      );
      await server.restart();
      await Promise.all(all.map(({ run }) => run.until(() => run.replies.length > LIVE / 2, 'half of the replies')));
      await Promise.all(all.map(({ served }) => served.restart()));
      // Else nothing was tried.
      for (const { run } of all) assert.match(run.talk, /Redis at redis:.* messages wait/);
    });
  });

  const killedInTheMiddle = async (_server: RedisServer, all: readonly Played[]): Promise<void> => {
    await Promise.all(all.map(({ run }) => run.until(() => run.replies.length > LIVE / 3, 'a third of the replies')));
    await Promise.all(all.map(({ served }) => served.restart()));
  };

  test("over the node's own bus every signal gets one answer, through a killed orchestrator", async () => {
    await play(cases('own-bus'), killedInTheMiddle);
  });

  test('a signal that its node writes before its bar waits for that bar, in one stream or one for each topic', async () => {
    const early = [...cases('own-bus', { isDeferred: false }), ...cases('topics', { isDeferred: false })];
    await play(
      early.filter(({ encoding }) => encoding === 'msgpack'),
      killedInTheMiddle,
    );
  });

  test('beside four instruments, noise and bars that are revised, every signal is answered from the bars that came first', async () => {
    const isBusy = true;
    const busy = [
      ...cases('actor', { isBusy }).filter(({ encoding }) => encoding === 'json'),
      ...cases('own-bus', { isBusy }).filter(({ encoding }) => encoding === 'msgpack'),
    ];
    await play(busy, async (_server, all) => {
      await Promise.all(all.map(({ run }) => run.until(() => run.replies.length > BUSY_LIVE, 'a quarter')));
      await Promise.all(all.map(({ served }) => served.restart()));
    });
  });

  test('a live node is refused in the partition of a backtest, and told what to do', async () => {
    const server = await RedisServer.start();
    try {
      await server.command('SET', 'ml4t:{p}:kind', 'backtest');
      const settings = { ...BESIDE_ACTOR, url: server.url, partition: 'p' };
      const runs = ready.map((node) =>
        PythonRun.start(node.python, { ...settings, history: 0, live: 10, seconds: 0.01 }),
      );
      await Promise.all(runs.map((run) => run.ended()));
      for (const { talk } of runs) assert.match(talk, /partition p is backtest and this node is live: give each/);
      assert.is(await server.command('EXISTS', 'ml4t:{p}:in'), 0);
    } finally {
      await server.stop();
    }
  });

  test('a venue that does not answer request_bars holds live bars back for the time that is allowed', async () => {
    const server = await RedisServer.start();
    try {
      await Promise.all(
        ready.map(async ({ major, python: path }) => {
          const settings = { ...BESIDE_ACTOR, url: server.url, partition: `${major}`, isSilent: true };
          const run = PythonRun.start(path, { ...settings, history: 0, live: 100, seconds: 0.02 });
          await run.until(() => run.signals.length === 80, 'all signals');
          assert.is(await run.interrupted(), 0, run.talk);
          assert.match(run.talk, /goes live without all of its history: no answer to request_bars in 1.0 s/);
          const messages = await payloadsOf(server, `ml4t:{${major}}:in`);
          assert.is(messages.length, 100 + 80 + 2);
          for (const [at, { type, timestamp }] of messages.entries()) {
            const bars = messages.slice(0, at).filter((message) => message.type === 'bar');
            if (type === 'signal') assert.is(bars.at(-1)!.tsEventNs, timestamp, 'a signal is behind its bar');
          }
        }),
      );
    } finally {
      await server.stop();
    }
  });

  test('the sides of a backtest teach a model, the same under both versions, which sizes a later backtest', async () => {
    const server = await RedisServer.start();
    const models = mkdtempSync(join(tmpdir(), 'ml4t-models-'));
    try {
      const taught = await Promise.all(
        ready.map((node) => teachAndSize(server.url, node, join(models, `${node.major}`))),
      );
      assert.is(new Set(taught).size, 1, taught.join());
    } finally {
      rmSync(models, { recursive: true, force: true });
      await server.stop();
    }
  });

  test('a backtest waits for each of its answers', async () => {
    await play(
      cases('backtest').filter(({ encoding }) => encoding === 'json'),
      async () => undefined,
    );
  });
}

test.run();
