import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusInput, EnrichedMessage } from '../../src/bus/message-bus.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { entryMs } from '../../src/bus/redis/entry-id.js';
import { RedisConnection } from '../../src/bus/redis/redis-client.js';
import { entriesOf, frameOf, type StreamEntry } from '../../src/bus/redis/stream-entries.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { seededUniform } from '../../src/random.js';
import { fixtureBars } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { FAULT_FEATURE } from '../support/faults.js';
import { withModel } from '../support/redis-drill-models.js';
import { DrillProcess } from '../support/redis-drill-processes.js';
import { readStreams, settled } from '../support/redis-drill-streams.js';
import { type RedisServer, redisTest } from '../support/redis-server.js';
import { DUE_BAR_MINUTES } from '../support/sizes.js';

const DIALECT = openDialect(OrchestratorConfig.parse({ userFeatures: [FAULT_FEATURE] }));
const AWAIT_MS = 150;
const HISTORY = 130;
const INSTRUMENTS = ['X', 'A'];
/** Every so many signals the owner is killed while one of them waits. */
const KILL_EVERY = 12;
const LEASE_MS = 500;

/** How a strategy's signal and the bar that it was made from are written: the times are what is tried, so they are real. */
const WAYS = [
  { name: 'bar first', signalFirst: false, waitMs: 0 },
  { name: 'signal first', signalFirst: true, waitMs: 0 },
  { name: 'the bar a little later', signalFirst: true, waitMs: AWAIT_MS / 3 },
  { name: 'the bar too late', signalFirst: true, waitMs: 2 * AWAIT_MS },
] as const;

for (const isDurable of [true, false]) {
  redisTest(
    `${isDurable ? 'with' : 'without'} a data directory, a signal written before its bar sees it, or says that it is missing, whoever is killed while it waits`,
    async (server) => {
      const root = mkdtempSync(join(tmpdir(), 'ml4t-due-bar-'));
      const seed = Date.now() % 2 ** 31;
      try {
        const reference = await withModel(root, 'reference', false);
        const config = await withModel(root, 'served', isDurable);
        const kills = await drive(server, { ...config, awaitBarMs: AWAIT_MS }, seed);
        const { input, output } = await readStreams(server);
        const answers = new Map<string, EnrichedMessage>();
        for (const entry of entriesOf(output)) {
          const reply = DIALECT.decodeReply(frameOf(entry)!);
          if (reply.kind !== 'enriched') throw new Error(reply.rejection.reason);
          const { answer } = reply;
          assert.not.ok(answers.has(answer.signalId), `${answer.signalId} has one answer, seed ${seed}`);
          answers.set(answer.signalId, answer);
        }
        const written = entriesOf(input).map((entry) => ({ ms: entryMs(entry.id), input: inputOf(entry) }));
        const expected = await expectedAnswers(written, { ...reference, dispatch: 'inline' });
        assert.equal([...answers.keys()].sort(), [...expected.keys()].sort());
        for (const [id, must] of expected) assert.equal(figuresOf(answers.get(id)!), must, `${id}, seed ${seed}`);
        const missing = [...answers.values()].filter(({ degraded }) => degraded === 'bar-missing').length;
        console.log(`due bars, seed ${seed}: ${answers.size} answers, ${missing} bars missing, ${kills} kills`);
        assert.ok(kills >= 2 && missing > 0 && missing < answers.size / 2);
      } finally {
        rmSync(root, { recursive: true });
      }
    },
  );
}

/** Writes history, then minute after minute; kills the owner now and then. The number of kills. */
async function drive(server: RedisServer, config: OrchestratorConfigInput, seed: number): Promise<number> {
  const random = seededUniform(seed);
  const connection = await RedisConnection.open(server.settings(), 'test-strategy');
  const write = async (input: BusInput): Promise<void> => {
    const { payload } = DIALECT.encodeInput(input);
    await connection.call('XADD', 'ml4t:{0}:in', '*', 'payload', Buffer.from(payload));
  };
  const start = (): DrillProcess =>
    DrillProcess.start('redis-orchestrator-child', [
      JSON.stringify({ ...config, redis: { url: server.url, leaseMs: LEASE_MS } }),
    ]);
  const markets = INSTRUMENTS.map((name, k) => ({ name, bars: fixtureBars(HISTORY + DUE_BAR_MINUTES, 60 + k) }));
  for (const { name: instrumentId, bars } of markets) {
    for (let k = 0; k < HISTORY; k++) await write({ kind: 'bar', instrumentId, bar: bars.at(k) });
  }
  let owner = start();
  await owner.said('up');
  let [signals, kills] = [0, 0];
  for (let minute = HISTORY; minute < HISTORY + DUE_BAR_MINUTES; minute++) {
    for (const { name: instrumentId, bars } of markets) {
      const { signalFirst, waitMs } = WAYS[Math.floor(random() * WAYS.length)]!;
      const bar: BusInput = { kind: 'bar', instrumentId, bar: bars.at(minute) };
      const timestamp = bars.tsEventNs[minute]!;
      const signal = random() < 0.5 ? 1 : -1;
      const event = {
        instrumentId,
        signal,
        timestamp,
        signalId: `s${signals++}`,
        features: { [FAULT_FEATURE]: 0 },
      } as const;
      if (!signalFirst) await write(bar);
      await write({ kind: 'signal', event });
      if (!signalFirst) continue;
      if (signals % KILL_EVERY === 0) {
        await owner.kill();
        kills++;
        owner = start();
      }
      if (waitMs > 0) await pause(waitMs);
      await write(bar);
    }
  }
  await settled(server);
  owner.tell('stop');
  await owner.ended();
  connection.close();
  return kills;
}

function inputOf(entry: StreamEntry): BusInput {
  const decoded = DIALECT.decode(frameOf(entry)!);
  if (decoded.kind !== 'input') throw new Error(decoded.kind);
  return decoded.input;
}

interface Written {
  readonly ms: number;
  readonly input: BusInput;
}

/** What the library in process says to each signal, given what it was to see. */
async function expectedAnswers(
  written: readonly Written[],
  config: OrchestratorConfigInput,
): Promise<Map<string, unknown>> {
  const system = new ML4TOrchestrator(config, { logger: silentLogger });
  await system.start();
  const expected = new Map<string, unknown>();
  const waiting: (BusInput & { kind: 'signal' })[] = [];
  const answer = ({ event }: BusInput & { kind: 'signal' }, isMissing: boolean): void => {
    const { signalId, metaConfidence, regimeWeight, toxicity, size, asOfNs, degraded } =
      system.processSignalSync(event);
    const said = isMissing ? { size: 0, degraded: 'bar-missing' } : { size, degraded: degraded ?? null };
    expected.set(signalId, { metaConfidence, regimeWeight, toxicity, asOfNs, ...said });
  };
  for (const [at, { ms, input }] of written.entries()) {
    if (input.kind === 'bar') {
      system.addBar(input.instrumentId, input.bar);
      for (const one of waiting.splice(0)) {
        if (one.event.instrumentId === input.instrumentId) answer(one, false);
        else waiting.push(one);
      }
      continue;
    }
    const { instrumentId, timestamp } = input.event;
    const isBar = (one: Written): boolean =>
      one.input.kind === 'bar' && one.input.instrumentId === instrumentId && one.input.bar.tsEventNs === timestamp;
    const place = written.findIndex(isBar);
    if (place < at) answer(input, false);
    else if (written[place]!.ms - ms <= AWAIT_MS) waiting.push(input);
    else answer(input, true);
  }
  await system.stop();
  return expected;
}

function figuresOf({ metaConfidence, regimeWeight, toxicity, size, asOfNs, degraded }: EnrichedMessage): unknown {
  return { metaConfidence, regimeWeight, toxicity, asOfNs, size, degraded };
}

test.run();
