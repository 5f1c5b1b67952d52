import type { BusInput } from '../../src/bus/message-bus.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { frameFields } from '../../src/bus/redis/stream-entries.js';
import type { OrchestratorConfig, OrchestratorConfigInput } from '../../src/config.js';
import type { RedisServer } from './redis-server.js';

const TOPICS = 'node:stream:';

/** Every way in which messages come over Redis. */
export const WIRES: Readonly<Record<string, NonNullable<OrchestratorConfigInput['redis']>>> = {
  'streams, plain': { dialect: 'plain' },
  'streams, plain MessagePack': { dialect: 'plain', encoding: 'msgpack' },
  'streams, nautilus-v1': { dialect: 'nautilus-v1' },
  'streams, nautilus-v2 MessagePack': { dialect: 'nautilus-v2', encoding: 'msgpack' },
  'a stream for every topic': { dialect: 'nautilus-v1', topicStreams: [`${TOPICS}*`] },
  'pub/sub': { mode: 'pubsub' },
};

/** Each message in the stream of its topic, as a node writes it. */
export async function writeToTopics(
  server: RedisServer,
  config: OrchestratorConfig,
  inputs: readonly BusInput[],
): Promise<void> {
  const dialect = openDialect(config);
  for (const input of inputs) {
    const frame = dialect.encodeInput(input);
    await server.command('XADD', `${TOPICS}${frame.topic}`, '*', ...frameFields(frame));
  }
}
