import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unwrap } from '../../src/bus/nautilus-messages.js';
import { readPayload, type UntrustedObject } from '../../src/bus/payload.js';
import { RedisConnection } from '../../src/bus/redis/redis-client.js';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { FAST_VPIN, fastTrainedBundle } from '../support/bundles.js';
import { ml4t } from '../support/cli.js';
import { ROOT } from '../support/readme.js';
import { HAS_REDIS_SERVER, RedisServer } from '../support/redis-server.js';
import { ServedPartition } from '../support/served-partition.js';
import { Running } from '../support/session.js';
import { findPython, NAUTILUS_MAJORS, type NautilusMajor, openEnvironment } from './environments.js';
import { expectedAnswers } from './expected-answers.js';
import { PythonRun, type ReceivedReply, type RunSettings } from './python-run.js';

/** The example of examples/nautilus with real nodes, from node over Redis and `ml4t run` back to the node. */

/** Of a signal, what may not differ from the library in process in a single bit. */
const CONFIG = {
  vpin: FAST_VPIN,
  // A loaded machine must not make defaults of answers.
  inferenceTimeoutMs: 60_000,
  retrain: { mode: 'manual' },
  redis: { barSpec: '1-DAY-LAST' },
} as const satisfies OrchestratorConfigInput;
const HISTORY = 300;
const LIVE = 400;
/** The last bit of a double, as a share of it: that much 2.0 loses of a number in JSON. */
const LAST_BIT = 2 ** -52;

const BESIDE_ACTOR = {
  encoding: 'json',
  way: 'actor',
  isDeferred: true,
  isWithoutHoles: false,
  isSilent: false,
} as const;

interface Case {
  readonly major: NautilusMajor;
  readonly python: string;
  readonly way: RunSettings['way'];
  readonly encoding: RunSettings['encoding'];
  readonly isDeferred: boolean;
}

interface Played extends Case {
  readonly run: PythonRun;
  readonly served: ServedPartition;
  readonly partition: string;
}

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
  const cases = (way: RunSettings['way'], isDeferred = true): Case[] =>
    ready.flatMap((node) => (['json', 'msgpack'] as const).map((encoding) => ({ ...node, way, encoding, isDeferred })));

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
    const early = [...cases('own-bus', false), ...cases('topics', false)];
    await play(
      early.filter(({ encoding }) => encoding === 'msgpack'),
      killedInTheMiddle,
    );
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

function isOwnBus({ way }: Case): boolean {
  return way === 'own-bus' || way === 'topics';
}

/** The commands that the example shows, one after the other; resolves with the id of the model. */
async function teachAndSize(
  url: string,
  { major, python: path }: Pick<Case, 'major' | 'python'>,
  models: string,
): Promise<string> {
  const [lesson, sized] = [`lesson-${major}`, `sized-${major}`];
  const backtest = (...parameters: string[]): Promise<unknown> =>
    promisify(execFile)(path, [join(ROOT, 'examples/nautilus/backtest.py'), '--redis', url, ...parameters]);
  await backtest('--partition', lesson, '--end', '3500');
  const trained = await ml4t(['train', '--redis', url, '--partition', lesson, '--model-dir', models, '--json']);
  assert.is(trained.status, 0, trained.stderr);
  const serving = Running.start(['run', '--redis', url, '--partition', sized, '--model-dir', models]);
  try {
    await serving.printed('bus up');
    await backtest('--partition', sized, '--first', '3400', '--sized');
    assert.is(await serving.interrupted(), 0, serving.errors);
    await serving.printed('stopped after 1,705 bars, 1,685 signals: 1,685 answered, 0 rejected');
  } finally {
    serving.child.kill('SIGKILL');
  }
  return (JSON.parse(trained.stdout) as { modelId: string }).modelId;
}

/** Runs all cases beside each other, lets things happen in the middle, and checks what came. */
async function play(
  cases: readonly Case[],
  happen: (server: RedisServer, all: readonly Played[]) => Promise<void>,
): Promise<void> {
  const server = await RedisServer.start({ appendonly: true });
  const all: Played[] = [];
  try {
    await Promise.all(
      cases.map(async (each) => {
        const partition = `v${each.major}-${each.way}-${each.encoding}`;
        const dialect = isOwnBus(each) ? `nautilus-v${each.major}` : 'plain';
        const { encoding, way, isDeferred } = each;
        const parameters = ['--redis', server.url, ...['--partition', partition], ...['--dialect', dialect]];
        const topicStreams = way === 'topics' ? [`${partition}:data.*`] : [];
        const served = await ServedPartition.start(
          [...parameters, '--encoding', encoding],
          { ...CONFIG, redis: { ...CONFIG.redis, topicStreams } },
          await fastTrainedBundle(),
        );
        const place = {
          ...BESIDE_ACTOR,
          url: server.url,
          partition,
          encoding,
          way,
          isDeferred,
          isWithoutHoles: !isDeferred,
        };
        // Over its own bus a node of 2.0 writes no history.
        const history = isOwnBus(each) ? 0 : HISTORY;
        const run = PythonRun.start(each.python, { ...place, history, live: LIVE, seconds: 0.02 });
        all.push({ ...each, run, served, partition });
      }),
    );
    await happen(server, all);
    await Promise.all(all.map((played) => check(server, played)));
  } finally {
    for (const { run } of all) run.kill();
    await Promise.all(all.map(({ served }) => served.stop()));
    await server.stop();
  }
}

async function check(server: RedisServer, played: Played): Promise<void> {
  const { run, way, major, encoding, partition } = played;
  const label = `v${major} ${way} ${encoding}${played.isDeferred ? '' : ', before its bar'}`;
  const barCount = isOwnBus(played) ? LIVE : HISTORY + LIVE;
  // The first 20 bars that the strategy sees make no signal.
  const signalCount = (way === 'backtest' ? barCount : LIVE) - 20;
  const refusals = way === 'backtest' ? [] : [['odd', 'INVALID_SIGNAL']];
  const [sent, got] = [signalCount, signalCount + refusals.length];
  const first = (): ReceivedReply[] => run.replies.filter(({ repeated }) => !repeated);
  await run.until(() => run.signals.length === sent && first().length >= got, `all replies of ${label}`);
  assert.is(way === 'backtest' ? await run.ended() : await run.interrupted(), 0, `${label}: ${run.talk}`);

  const [answers, rejected] = ['EnrichedSignal', 'RejectedSignal'].map((name) =>
    first().filter((reply) => reply.name === name),
  );
  assert.equal(
    rejected!.map(({ signal_id, code }) => [signal_id, code]),
    refusals,
    label,
  );
  const copies = run.replies.filter(({ repeated }) => repeated);
  assert.is(copies.length > 0, way !== 'backtest', label);
  const ids = [...run.signals.map(({ signalId }) => signalId), ...refusals.map(([signalId]) => signalId!)];
  assert.equal(await replyCounts(server, played), Object.fromEntries(ids.map((signalId) => [signalId, 1])), label);
  assert.is(await server.command('XLEN', `ml4t:{${partition}}:dead`), refusals.length, label);

  const expected = await expectedAnswers(
    await fastTrainedBundle(),
    CONFIG,
    { barCount, isWithoutHoles: !played.isDeferred },
    run.signals,
  );
  const isInexact = isOwnBus(played) && major === 2 && encoding === 'json';
  for (const reply of [...answers!, ...copies.filter(({ name }) => name === 'EnrichedSignal')])
    assertSame(reply, expected.get(reply.signal_id)!, isInexact, label);
  assert.is(answers!.length, signalCount, label);
  const computed = [...expected.values()].filter(({ degraded }) => degraded === undefined);
  assert.ok(new Set(computed.map(({ metaConfidence }) => metaConfidence)).size > 10, 'the answers vary');
  console.log(
    `${label}: ${sent} signals, ${answers!.length} answers, ${rejected!.length} refused, ${copies.length} copies`,
  );
}

function assertSame(reply: ReceivedReply, answer: EnrichedSignalEvent, isInexact: boolean, label: string): void {
  const expected = {
    ...{ meta_confidence: answer.metaConfidence, regime_weight: answer.regimeWeight },
    ...{ toxicity: answer.toxicity, size: answer.size },
  };
  for (const [name, value] of Object.entries(expected)) {
    const found = reply[name as keyof typeof expected];
    const isSame = isInexact ? Math.abs(found - value) <= LAST_BIT * Math.abs(value) : Object.is(found + 0, value + 0);
    assert.ok(isSame, `${label}, ${name} of ${reply.signal_id}: ${found} instead of ${value}`);
  }
  assert.equal(
    [reply.name, reply.size_reason, reply.as_of, reply.as_of_sequence, reply.degraded],
    ['EnrichedSignal', answer.sizeReason ?? '', String(answer.asOfNs), answer.asOfSequence, answer.degraded ?? ''],
    label,
  );
}

/** How many replies the output stream holds for each signal, copies apart. */
async function replyCounts(server: RedisServer, played: Played): Promise<Record<string, number>> {
  const { partition, major } = played;
  const isPlain = !isOwnBus(played);
  const counts: Record<string, number> = {};
  for (const object of await payloadsOf(server, `ml4t:{${partition}}:out${isPlain ? '' : `:nautilus-v${major}`}`)) {
    const fields = isPlain ? object : unwrap(object).fields;
    if (fields.repeated === true) continue;
    const signalId = String(fields[isPlain ? 'signalId' : 'signal_id']);
    counts[signalId] = (counts[signalId] ?? 0) + 1;
  }
  return counts;
}

async function payloadsOf(server: RedisServer, key: string): Promise<UntrustedObject[]> {
  const connection = await RedisConnection.open(server.settings(), 'test-reader');
  try {
    const entries = (await connection.call('XRANGE', key, '-', '+')) as [Buffer, Buffer[]][];
    return entries.map(([, fields]) => {
      const at = fields.findIndex((name) => String(name) === 'payload');
      return readPayload(fields[at + 1]!, 2 ** 20);
    });
  } finally {
    connection.close();
  }
}

test.run();
