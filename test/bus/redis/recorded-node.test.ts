import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decoded } from '../../../src/bus/dialect.js';
import type { BusMetrics, BusReply } from '../../../src/bus/message-bus.js';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { STREAM_START } from '../../../src/bus/redis/entry-id.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { StreamClient } from '../../../src/bus/redis/stream-client.js';
import { ML4TOrchestrator } from '../../../src/orchestrator.js';
import { BUSY_INSTRUMENTS, expectedAnswers, playedBars } from '../../nautilus/expected-answers.js';
import type { SentSignal } from '../../nautilus/python-run.js';
import { ANSWER_FIELDS } from '../../support/answer-bits.js';
import { FAST_VPIN, fastTrainedBundle } from '../../support/bundles.js';
import { silentLogger } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { NAUTILUS_VERSIONS, type RecordedEntry, recordedBusyDays } from '../../support/recorded-payloads.js';
import { type RedisServer, redisTest } from '../../support/redis-server.js';

/** Of each instrument, as history; three recorded days follow. */
const [PAST, DAYS] = [300, 3];
const SIGNALS = BUSY_INSTRUMENTS.length * 2;
/** On one of the days each bar comes again: equal, with other values, and equal. */
const REVISIONS = BUSY_INSTRUMENTS.length;
/** What the node published beside: by the last part of its topic, the setting that would take it. */
const SETTINGS: Readonly<Record<string, string>> = {
  '1-DAY-MID-EXTERNAL': 'redis.barSpec',
  '12-HOUR-LAST-EXTERNAL': 'redis.barSpec',
  '1-DAY-LAST-INTERNAL': 'redis.barSource',
  '2-TICK-LAST-INTERNAL': 'redis.barSpec',
};

for (const version of NAUTILUS_VERSIONS) {
  for (const encoding of ['json', 'msgpack'] as const) {
    redisTest(
      `noise and revised bars that a ${version} node wrote in ${encoding} change no answer of four instruments`,
      async (server) => {
        const dialect = version === '1.231.0' ? 'nautilus-v1' : 'nautilus-v2';
        const redis = { url: server.url, dialect, encoding, barSpec: '1-DAY-LAST' } as const;
        const config = { vpin: FAST_VPIN, redis, dispatch: 'inline', retrain: { mode: 'manual' } } as const;
        const orchestrator = new ML4TOrchestrator(config, { logger: silentLogger });
        const codec = openDialect(orchestrator.config);
        const client = new StreamClient(orchestrator.config.redis, codec);
        const [replies, ignored]: [BusReply[], string[]] = [[], []];
        orchestrator.events.on('busIgnored', ({ topic, setting }) => ignored.push(`${topic} ${setting}`));
        const entries = recordedBusyDays().filter((entry) => entry.version === version && entry.bus === encoding);
        try {
          await orchestrator.start();
          await orchestrator.hotSwapModel(await fastTrainedBundle());
          await client.listen((reply) => replies.push(reply), STREAM_START);
          const past = playedBars({ barCount: PAST, isWithoutHoles: false, isBusy: true });
          await Promise.all(past.map((one) => client.send({ kind: 'bar', ...one, historical: true })));
          for (const entry of entries) await write(server, partitionKeys(orchestrator.config.redis).input, entry);
          const noise = entries.map(({ topic }) => topic).filter(isNoise);
          const metrics = (): BusMetrics => orchestrator.busMetrics!;
          await eventually(
            () => replies.length >= SIGNALS + REVISIONS && metrics().ignored >= noise.length,
            'all of it',
          );

          const counts = [metrics().signals, metrics().answered, metrics().rejected, metrics().ignored];
          assert.equal(counts, [SIGNALS, SIGNALS, REVISIONS, noise.length]);
          const refused = replies.flatMap((reply) => (reply.kind === 'rejected' ? [reply.rejection.code] : []));
          assert.equal(refused, Array(REVISIONS).fill('BAR_CONFLICT'));
          const sent = entries.flatMap((entry) => signalsOf(codec.decode(entry)));
          const played = { barCount: PAST + DAYS, isWithoutHoles: false, isBusy: true };
          const expected = await expectedAnswers(await fastTrainedBundle(), config, played, sent);
          const answers = replies.flatMap((reply) => (reply.kind === 'enriched' ? [reply.answer] : []));
          assert.is(answers.length, expected.size);
          for (const answer of answers) {
            const library = expected.get(answer.signalId)!;
            for (const name of ANSWER_FIELDS)
              assert.ok(Object.is(answer[name] ?? null, library[name] ?? null), `${name} of ${answer.signalId}`);
          }
          assert.ok(new Set(answers.map(({ metaConfidence }) => metaConfidence)).size > 4, 'the answers vary');
          assert.equal(ignored.sort(), [...new Set(noise)].map(named).sort());
        } finally {
          await client.close();
          await orchestrator.stop();
        }
      },
    );
  }
}

function isNoise(topic: string): boolean {
  return !topic.startsWith('data.PrimarySignal') && !topic.endsWith('-1-DAY-LAST-EXTERNAL');
}

/** How a kind of noise is told. */
function named(topic: string): string {
  const spec = Object.keys(SETTINGS).find((name) => topic.endsWith(`-${name}`));
  return spec === undefined ? `${topic} null` : `${topic} ${SETTINGS[spec]}`;
}

function signalsOf(decoded: Decoded): SentSignal[] {
  if (decoded.kind !== 'input' || decoded.input.kind !== 'signal') return [];
  const { instrumentId, signal: side, timestamp, signalId } = decoded.input.event;
  return [{ signalId: signalId!, instrumentId, side, timestamp: String(timestamp) }];
}

async function write(server: RedisServer, key: string, entry: RecordedEntry): Promise<void> {
  const { topic, type, payload, encoding } = entry;
  const fields = { topic, type, payload, encoding };
  await server.command('XADD', key, '*', ...Object.entries(fields).flat());
}

test.run();
