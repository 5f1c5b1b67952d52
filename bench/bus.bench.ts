// What do the bus, and the system behind it, add to the same commands by a bare client of the same server: to a round trip with one signal on its way, and to what is answered in a second?
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Histogram } from 'hdr-histogram-js';
import { Redis } from 'ioredis';
import { type BusTarget, enrichedMessageOf } from '../src/bus/message-bus.js';
import { openBus } from '../src/bus/open-bus.js';
import { openDialect } from '../src/bus/open-dialect.js';
import { systemClock } from '../src/clock.js';
import { OrchestratorConfig } from '../src/config.js';
import { EnrichedSignal } from '../src/inference/enriched-signal.js';
import { createLogger } from '../src/log.js';
import type { EnrichedSignalEvent, SignalEvent } from '../src/market/events.js';
import { type BareServer, barePubSub, bareStreams } from './bus-bare.js';
import { type BusLoad, type BusTimes, payloadOf } from './bus-load.js';
import { HISTORY_BARS, instrumentNames, startRig, trainedBundle } from './fixture.js';
import {
  checkAnswer,
  higher,
  latencyHistogram,
  lower,
  median,
  nowNs,
  quantileFigures,
  report,
  SMOKE,
  told,
} from './measure.js';

const CLIENT = fileURLToPath(new URL('./bus-client.js', import.meta.url));
const TREES = SMOKE ? 10 : 100;
const INSTRUMENTS = SMOKE ? 10 : 100;
/** Alternated between bus and bare client. */
const ROUNDS = SMOKE ? 1 : 7;
const SINGLES = SMOKE ? 100 : 3000;
const BACKLOG = SMOKE ? 500 : 20_000;
const WINDOW = 256;

/** Further bars between two measurements: more than the horizon of a signal. */
const BARS_BETWEEN = 12;

type Mode = BusLoad['mode'];
/** Who answers: the system over its bus, the bus alone with answers that are ready, or a bare client with such answers. */
const SERVERS = ['system', 'bus', 'bare'] as const;
type Server = (typeof SERVERS)[number];

/** Of one server: medians of single round trips and answers a second, by round, and all round trips. */
interface Measured {
  readonly p50s: number[];
  readonly rates: number[];
  readonly histogram: Histogram;
}

if (spawnSync('redis-server', ['--version']).status !== 0) {
  report('bus, skipped', 'no redis-server in PATH', '-', { benches: told(0, '') });
  process.exit(0);
}
const directory = mkdtempSync(join(tmpdir(), 'ml4t-bus-bench-'));
const port = await freePort();
const url = `redis://127.0.0.1:${port}`;
const redis = spawn('redis-server', ['--port', `${port}`, '--save', '', '--dir', directory], { stdio: 'ignore' });
const admin = new Redis(url, { retryStrategy: () => 20 });
admin.on('error', () => undefined);
// Not by `once`, which an error on the way would end.
await new Promise((resolve) => admin.once('ready', resolve));
const rig = await startRig({}, await trainedBundle(TREES), INSTRUMENTS);
const instruments = instrumentNames(INSTRUMENTS);
const readyAnswer = await rig.orchestrator.processSignal({ ...rig.signal(0), signalId: '@' });
const evaluating: BusTarget = {
  addBar: () => undefined,
  mergeBars: () => undefined,
  asOf: () => HISTORY_BARS - 1,
  asOfNs: () => 0n,
  dueNs: () => null,
  newestNs: () => 0n,
  submit: (event) => ({ asOf: HISTORY_BARS - 1, answer: rig.orchestrator.processSignal(event) }),
  durable: async () => undefined,
};
const ready: BusTarget = {
  ...evaluating,
  submit: (event) => ({ asOf: HISTORY_BARS - 1, answer: Promise.resolve(withId(event)) }),
};
let runs = 0;
let ids = 0;

for (const mode of ['streams', 'pubsub'] as const) {
  const measured = SERVERS.map((): Measured => ({ p50s: [], rates: [], histogram: latencyHistogram() }));
  // The first round warms up.
  for (let round = SMOKE ? 0 : -1; round < ROUNDS; round++) {
    for (let turn = 0; turn < SERVERS.length; turn++) {
      const which = (round + 1 + turn) % SERVERS.length;
      const server = SERVERS[which]!;
      const { p50s, rates, histogram } = measured[which]!;
      rig.advance(BARS_BETWEEN);
      const { latencies } = await roundTrips(mode, server, 1, SINGLES);
      const rate = mode === 'streams' ? await backlog(server) : await windowed(server);
      if (round < 0) continue;
      for (const ns of latencies) histogram.recordValue(Math.max(1, ns));
      p50s.push(median(latencies));
      rates.push(rate);
    }
  }
  const [system, bus, bare] = measured as [Measured, Measured, Measured];
  const share = (of: readonly number[], over: readonly number[]): number => median(of.map((one, k) => one / over[k]!));
  report(
    `bus, ${mode}`,
    `${INSTRUMENTS} instruments, ${TREES} trees, ${SINGLES} single round trips and ${BACKLOG} signals at once, ${ROUNDS} rounds alternated`,
    await checksum(),
    {
      ...quantileFigures('round trip', system.histogram),
      ...quantileFigures('of the bus alone', bus.histogram),
      ...quantileFigures('of the bare client', bare.histogram),
      'round trip over bare, p50': lower(share(system.p50s, bare.p50s), 'x'),
      'bus alone over bare, p50': lower(share(bus.p50s, bare.p50s), 'x'),
      'answers a second': higher(median(system.rates), '/s'),
      'answers a second of the bus alone': higher(median(bus.rates), '/s'),
      'answers a second of the bare client': told(median(bare.rates), '/s'),
      'throughput over bare': higher(share(system.rates, bare.rates), 'x'),
      'throughput of the bus alone over bare': higher(share(bus.rates, bare.rates), 'x'),
    },
  );
}
await rig.orchestrator.stop();
admin.disconnect();
redis.kill('SIGKILL');
await once(redis, 'close');
rmSync(directory, { recursive: true });

/** So many signals there and back, `window` of them on their way, from a client in a process of its own. */
async function roundTrips(mode: Mode, server: Server, window: number, count: number): Promise<BusTimes> {
  const partition = `run${runs++}`;
  const served = await serve(mode, server, partition);
  const [input, output] =
    mode === 'streams'
      ? [`ml4t:{${partition}}:in`, `ml4t:{${partition}}:out`]
      : [`${partition}:in`, `${partition}:out`];
  const load: BusLoad = { url, mode, input, output, window, first: ids, count, instruments, timestamp: timestamp() };
  ids += count;
  const client = spawn(process.execPath, [CLIENT, JSON.stringify(load)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  client.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(client, 'close');
  await served.close();
  const times = JSON.parse(text) as BusTimes;
  checkAnswer(times.latencies.length === count, 'every signal came back once');
  return times;
}

/** Answers a second while a strategy keeps so many signals on their way. */
async function windowed(server: Server): Promise<number> {
  const { seconds } = await roundTrips('pubsub', server, WINDOW, BACKLOG);
  return BACKLOG / seconds;
}

/** Answers a second from a stream that is full already. */
async function backlog(server: Server): Promise<number> {
  const partition = `run${runs++}`;
  const input = `ml4t:{${partition}}:in`;
  const output = `ml4t:{${partition}}:out`;
  const pipeline = admin.pipeline();
  const load = { instruments, timestamp: timestamp() };
  for (let k = 0; k < BACKLOG; k++) pipeline.xadd(input, '*', 'payload', payloadOf(load, ids++));
  await pipeline.exec();
  const startNs = nowNs();
  const served = await serve('streams', server, partition);
  while ((await admin.xlen(output)) < BACKLOG) await pause(2);
  const seconds = (nowNs() - startNs) / 1e9;
  await served.close();
  const answers = (await admin.xrange(output, '-', '+')).map(([, fields]) => fields[fields.indexOf('payload') + 1]!);
  checkAnswer(
    new Set(answers.map((answer) => JSON.parse(answer).signalId)).size === BACKLOG,
    'every signal is answered once',
  );
  if (server === 'system') checkBits(answers);
  await admin.del(input, output);
  return BACKLOG / seconds;
}

async function serve(mode: Mode, server: Server, partition: string): Promise<BareServer> {
  const [signalsChannel, enrichedChannel] = [`${partition}:in`, `${partition}:out`];
  if (server === 'bare') {
    const answer = bareAnswer();
    return mode === 'streams'
      ? bareStreams(url, partition, answer)
      : barePubSub(url, signalsChannel, enrichedChannel, answer);
  }
  const config = OrchestratorConfig.parse({ redis: { url, mode, partition, signalsChannel, enrichedChannel } });
  const target = server === 'system' ? evaluating : ready;
  const parts = { config, target, clock: systemClock, logger: createLogger('error'), position: null };
  const bus = openBus({ ...parts, emit: () => undefined })!;
  const up = new Promise<void>((resolve) => bus.events.once('busUp', () => resolve()));
  bus.start();
  await up;
  return { close: () => bus.stop() };
}

/** An answer as the bus would write it, under another id. */
function bareAnswer(): (signalId: string) => string {
  const dialect = openDialect({ redis: OrchestratorConfig.parse().redis, userFeatures: [] });
  const text = Buffer.from(dialect.encodeEnriched(enrichedMessageOf(readyAnswer), 0n).payload).toString();
  return (signalId) => text.replace('@', signalId);
}

/** The answer that is ready, to this signal. */
function withId(signalEvent: SignalEvent): EnrichedSignalEvent {
  const { sizeReason, degraded } = readyAnswer;
  const signalId = signalEvent.signalId!;
  return new EnrichedSignal({ ...readyAnswer, sizeReason, degraded, signalId, signalEvent }, readyAnswer);
}

/** On the newest bar. */
function timestamp(): string {
  return `${rig.signal(0).timestamp}`;
}

/** The answers that came over the bus are those of the system it stands before. */
function checkBits(answers: readonly string[]): void {
  for (const text of answers) {
    const answer = JSON.parse(text) as { signalId: string; metaConfidence: number; size: number };
    const wanted = rig.orchestrator.processSignalSync(rig.signal(Number(answer.signalId.slice(1))));
    checkAnswer(answer.metaConfidence === wanted.metaConfidence && answer.size === wanted.size, 'the same bits');
  }
}

/** Of the answers to one round of all instruments. */
async function checksum(): Promise<number> {
  let sum = 0;
  for (let k = 0; k < 2 * INSTRUMENTS; k++) {
    sum += Math.round((await rig.orchestrator.processSignal(rig.signal(k))).metaConfidence * 1e9);
  }
  return sum;
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  listener.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
