import * as assert from 'uvu/assert';
import { unwrap } from '../../src/bus/nautilus-messages.js';
import { readPayload, type UntrustedObject } from '../../src/bus/payload.js';
import { RedisConnection } from '../../src/bus/redis/redis-client.js';
import type { OrchestratorConfigInput } from '../../src/config.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { FAST_VPIN, fastTrainedBundle } from '../support/bundles.js';
import { eventually } from '../support/eventually.js';
import { RedisServer } from '../support/redis-server.js';
import { ServedPartition } from '../support/served-partition.js';
import type { NautilusMajor } from './environments.js';
import { BUSY_INSTRUMENTS, expectedAnswers } from './expected-answers.js';
import { PythonRun, type ReceivedReply, type RunSettings } from './python-run.js';

const CONFIG = {
  vpin: FAST_VPIN,
  // A loaded machine must not make defaults of answers.
  inferenceTimeoutMs: 60_000,
  retrain: { mode: 'manual' },
  redis: { barSpec: '1-DAY-LAST' },
} as const satisfies OrchestratorConfigInput;
const HISTORY = 300;
export const LIVE = 400;
/** Of a busy venue, for each instrument. */
export const BUSY_LIVE = 120;
const REVISIONS = (BUSY_INSTRUMENTS.length * BUSY_LIVE) / 10;
/** What a busy venue publishes beside its bars, and the node makes of it; and the setting that would take it. */
const IGNORED = [
  ['1-DAY-MID-EXTERNAL', 'redis.barSpec'],
  ['12-HOUR-LAST-EXTERNAL', 'redis.barSpec'],
  ['1-DAY-LAST-INTERNAL', 'redis.barSource'],
  ['2-TICK-LAST-INTERNAL', 'redis.barSpec'],
] as const;
/** The last bit of a double, as a share of it: that much 2.0 loses of a number in JSON. */
const LAST_BIT = 2 ** -52;

/** A node that publishes in `on_bar` over the actor. */
export const BESIDE_ACTOR = {
  encoding: 'json',
  way: 'actor',
  isDeferred: true,
  isWithoutHoles: false,
  isBusy: false,
  isSilent: false,
} as const;

/** One way to run the example. */
export interface Case {
  readonly major: NautilusMajor;
  readonly python: string;
  readonly way: RunSettings['way'];
  readonly encoding: RunSettings['encoding'];
  readonly isDeferred: boolean;
  readonly isBusy: boolean;
}

/** A case that runs, with its orchestrator. */
export interface Played extends Case {
  readonly run: PythonRun;
  readonly served: ServedPartition;
  readonly partition: string;
}

/** Runs all cases beside each other, lets things happen in the middle, and checks what came. */
export async function play(
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
        const { encoding, way, isDeferred, isBusy } = each;
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
          isBusy,
          isWithoutHoles: !isDeferred,
        };
        // Over its own bus a node of 2.0 writes no history.
        const history = isOwnBus(each) ? 0 : HISTORY;
        const [live, seconds] = isBusy ? [BUSY_LIVE, 0.01] : [LIVE, 0.02];
        const run = PythonRun.start(each.python, { ...place, history, live, seconds });
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
  const { run, way, isBusy } = played;
  const label = labelOf(played);
  const barCount = (isBusy ? BUSY_LIVE : LIVE) + (isOwnBus(played) ? 0 : HISTORY);
  const instruments = BUSY_INSTRUMENTS.slice(0, isBusy ? undefined : 1);
  // The first 20 bars that a strategy sees make no signal.
  const signalCount = instruments.length * ((way === 'backtest' ? barCount : isBusy ? BUSY_LIVE : LIVE) - 20);
  const odd = way === 'backtest' ? [] : instruments.map((instrumentId) => `odd-${instrumentId}`);
  const [sent, got] = [signalCount, signalCount + odd.length];
  const first = (): ReceivedReply[] => run.replies.filter(({ repeated }) => !repeated);
  await run.until(() => run.signals.length === sent && first().length >= got, `all replies of ${label}`);
  if (isBusy) await heardAll(server, played);
  assert.is(way === 'backtest' ? await run.ended() : await run.interrupted(), 0, `${label}: ${run.talk}`);

  const [answers, rejected] = ['EnrichedSignal', 'RejectedSignal'].map((name) =>
    first().filter((reply) => reply.name === name),
  );
  const refused = rejected!.map(({ signal_id, code }) => `${signal_id} ${code}`).sort();
  assert.equal(refused, odd.map((signalId) => `${signalId} INVALID_SIGNAL`).sort(), label);
  const copies = run.replies.filter(({ repeated }) => repeated);
  assert.is(copies.length > 0, way !== 'backtest', label);
  const ids = [...run.signals.map(({ signalId }) => signalId), ...odd];
  assert.equal(await replyCounts(server, played), Object.fromEntries(ids.map((signalId) => [signalId, 1])), label);
  const conflicts = isBusy ? REVISIONS : 0;
  assert.equal(
    await deadLetters(server, played),
    {
      ...(odd.length > 0 && { INVALID_SIGNAL: odd.length }),
      ...(conflicts > 0 && { BAR_CONFLICT: conflicts }),
    },
    label,
  );

  const bars = { barCount, isWithoutHoles: !played.isDeferred, isBusy };
  const expected = await expectedAnswers(await fastTrainedBundle(), CONFIG, bars, run.signals);
  for (const reply of [...answers!, ...copies.filter(({ name }) => name === 'EnrichedSignal')])
    assertSame(reply, expected.get(reply.signal_id)!, played);
  assert.is(answers!.length, signalCount, label);
  const computed = [...expected.values()].filter(({ degraded }) => degraded === undefined);
  assert.ok(new Set(computed.map(({ metaConfidence }) => metaConfidence)).size > 10, 'the answers vary');
  console.log(
    `real node, ${label}: ${sent} signals, ${answers!.length} answers, ${rejected!.length} refused, ${copies.length} copies, ${conflicts} bars refused`,
  );
}

function labelOf({ major, way, encoding, isDeferred, isBusy }: Case): string {
  return `v${major} ${way} ${encoding}${isDeferred ? '' : ', before its bar'}${isBusy ? ', busy' : ''}`;
}

/** Resolves when the last bars were read. What the node talks of beside them is named, each kind once. */
async function heardAll(server: RedisServer, played: Played): Promise<void> {
  await eventually(async () => (await deadLetters(server, played)).BAR_CONFLICT === REVISIONS, 'all revisions');
  const named = played.served.lines.filter((line) => line.startsWith('ignoring '));
  const kinds = isOwnBus(played) ? IGNORED : [];
  const expected = BUSY_INSTRUMENTS.flatMap((instrument) =>
    kinds.map(([spec, setting]) => `ignoring Bar on data.bars.${instrument}-${spec}: ${setting} would take it`),
  );
  assert.equal([...named].sort(), expected.sort(), labelOf(played));
}

function assertSame(reply: ReceivedReply, answer: EnrichedSignalEvent, played: Played): void {
  const label = `${labelOf(played)}, ${reply.signal_id}`;
  assert.equal(
    [reply.name, reply.size_reason, reply.as_of, reply.as_of_sequence, reply.degraded],
    ['EnrichedSignal', answer.sizeReason ?? '', String(answer.asOfNs), answer.asOfSequence, answer.degraded ?? ''],
    label,
  );
  const expected = {
    ...{ meta_confidence: answer.metaConfidence, regime_weight: answer.regimeWeight },
    ...{ toxicity: answer.toxicity, size: answer.size },
  };
  const isInexact = isOwnBus(played) && played.major === 2 && played.encoding === 'json';
  for (const [name, value] of Object.entries(expected)) {
    const found = reply[name as keyof typeof expected];
    const isSame = isInexact ? Math.abs(found - value) <= LAST_BIT * Math.abs(value) : Object.is(found + 0, value + 0);
    assert.ok(isSame, `${name} of ${label}: ${found} instead of ${value}`);
  }
}

/** How many messages were refused, by code. */
async function deadLetters(server: RedisServer, { partition }: Played): Promise<Record<string, number>> {
  const codes = await fieldsOf(server, `ml4t:{${partition}}:dead`, 'code');
  const counts: Record<string, number> = {};
  for (const code of codes) counts[String(code)] = (counts[String(code)] ?? 0) + 1;
  return counts;
}

function isOwnBus({ way }: Case): boolean {
  return way === 'own-bus' || way === 'topics';
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

/** The payloads of a stream, in their order. */
export async function payloadsOf(server: RedisServer, key: string): Promise<UntrustedObject[]> {
  return (await fieldsOf(server, key, 'payload')).map((payload) => readPayload(payload, 2 ** 20));
}

/** One field of every entry. */
async function fieldsOf(server: RedisServer, key: string, field: string): Promise<Buffer[]> {
  const connection = await RedisConnection.open(server.settings(), 'test-reader');
  try {
    const entries = (await connection.call('XRANGE', key, '-', '+')) as [Buffer, Buffer[]][];
    return entries.map(([, fields]) => fields[fields.findIndex((name) => String(name) === field) + 1]!);
  } finally {
    connection.close();
  }
}
