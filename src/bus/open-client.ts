import type { OrchestratorConfig } from '../config.js';
import { OrchestratorError } from '../errors.js';
import type { Logger } from '../log.js';
import type { BusClient, BusReply } from './message-bus.js';
import { openDialect } from './open-dialect.js';
import { STREAM_START } from './redis/entry-id.js';
import { PubSubClient } from './redis/pubsub-client.js';
import { hasServer, RedisConnection, type RedisSettings } from './redis/redis-client.js';
import { StreamClient, unavailable } from './redis/stream-client.js';

/** A strategy's end of a bus that may keep its replies. Listening rejects with BUS_UNAVAILABLE where the server cannot be reached; one that goes away later is waited for. */
export interface StrategyClient extends BusClient {
  /** As {@link listen}, beginning with the oldest reply that is kept. Rejects with USAGE where none is. */
  listenFromStart(onReply: (reply: BusReply) => void): Promise<void>;
  /** Rejects with what ended a listener; never resolves. */
  readonly failed: Promise<never>;
}

/** The other end of the configured bus. It connects when it is first used. Throws USAGE where no server is configured. */
export function openBusClient(
  config: Pick<OrchestratorConfig, 'redis' | 'userFeatures'>,
  logger: Logger,
): StrategyClient {
  const { redis } = config;
  if (!hasServer(redis)) {
    throw new OrchestratorError('USAGE', 'no Redis server is named', { field: 'redis.url' });
  }
  const dialect = openDialect(config);
  if (redis.mode === 'pubsub') {
    const client = new PubSubClient({ settings: redis, dialect, logger });
    return {
      send: (input) => client.send(input),
      listen: async (onReply) => {
        await trySubscribing(redis);
        await client.listen(onReply);
      },
      listenFromStart: async () => {
        throw new OrchestratorError('USAGE', 'pub/sub keeps no replies', { field: 'redis.mode' });
      },
      failed: new Promise(() => undefined),
      close: () => client.close(),
    };
  }
  const client = new StreamClient(redis, dialect, logger);
  return {
    send: (input) => client.send(input),
    listen: (onReply) => client.listen(onReply),
    listenFromStart: (onReply) => client.listen(onReply, STREAM_START),
    failed: client.failed,
    close: () => client.close(),
  };
}

/** What {@link PubSubClient.listen} does, but once: that would wait for a server that is away. */
async function trySubscribing(settings: RedisSettings): Promise<void> {
  let connection: RedisConnection | null = null;
  try {
    connection = await RedisConnection.open(settings, 'ml4t-listener', settings.leaseMs);
    await connection.subscribe([settings.enrichedChannel, settings.rejectedChannel], () => undefined);
  } catch (error) {
    throw unavailable(error);
  } finally {
    connection?.close();
  }
}
