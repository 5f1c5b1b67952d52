import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusInput, BusReply, EnrichedMessage } from '../../src/bus/message-bus.js';
import { openBusClient } from '../../src/bus/open-client.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/index.js';
import { FAST_VPIN, fastTrainedBundle, fixtureBars } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { type RedisServer, redisTest } from '../support/redis-server.js';
import { WIRES, writeToTopics } from '../support/wires.js';

/** As NautilusTrader names one. */
const X = 'X.SIM';
const BARS = 160;
const MS_NS = 1_000_000n;
const bars = fixtureBars(BARS, 5);

/** Bars and then a signal that close and are decided so long before the whole minute. */
function messages(shortNs: bigint): BusInput[] {
  const all: BusInput[] = Array.from({ length: BARS }, (_, k) => {
    const bar = bars.at(k);
    return { kind: 'bar', instrumentId: X, bar: { ...bar, tsEventNs: bar.tsEventNs - shortNs } };
  });
  const timestamp = bars.tsEventNs[BARS - 1]! - shortNs;
  return [...all, { kind: 'signal', event: { instrumentId: X, signal: 1, timestamp, signalId: 'the signal' } }];
}

async function answerOver(
  server: RedisServer,
  redis: OrchestratorConfigInput['redis'],
  partition: string,
  shortNs: bigint,
): Promise<EnrichedMessage> {
  const config = OrchestratorConfig.parse({
    dispatch: 'inline',
    vpin: FAST_VPIN,
    redis: { ...redis, url: server.url, partition },
  });
  const orchestrator = new ML4TOrchestrator(config, { logger: silentLogger });
  const isUp = new Promise<void>((resolve) => orchestrator.events.on('busUp', () => resolve()));
  const client = openBusClient(config, silentLogger);
  await orchestrator.start();
  try {
    await orchestrator.hotSwapModel(await fastTrainedBundle());
    await isUp;
    let hear: (reply: BusReply) => void = () => undefined;
    const heard = new Promise<BusReply>((resolve) => {
      hear = resolve;
    });
    await client.listen((reply) => hear(reply));
    const inputs = messages(shortNs);
    if (redis?.topicStreams === undefined) for (const input of inputs) await client.send(input);
    else await writeToTopics(server, config, inputs);
    const reply = await heard;
    if (reply.kind !== 'enriched') throw new Error(reply.rejection.reason);
    return reply.answer;
  } finally {
    await client.close();
    await orchestrator.stop();
  }
}

function bitsOf(answer: EnrichedMessage): unknown {
  const { metaConfidence, regimeWeight, toxicity, size, asOfNs, asOfSequence, degraded } = answer;
  return [metaConfidence, regimeWeight, toxicity, size, asOfNs, asOfSequence, degraded];
}

for (const [wire, redis] of Object.entries(WIRES)) {
  redisTest(`${wire}: bars and a signal at 59.999 are answered as those at the whole minute`, async (server) => {
    const whole = await answerOver(server, redis, 'whole', 0n);
    await server.command('FLUSHALL');
    const early = await answerOver(server, redis, 'early', MS_NS);
    assert.equal(bitsOf(early), bitsOf(whole));
    assert.equal([early.asOfSequence, early.asOfNs], [BARS - 1, bars.tsEventNs[BARS - 1]]);
    assert.is(early.timestamp, bars.tsEventNs[BARS - 1]! - MS_NS, 'the time that the sender gave');
  });
}

test.run();
