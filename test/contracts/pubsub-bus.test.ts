import { test } from 'uvu';
import { openDialect } from '../../src/bus/open-dialect.js';
import { PubSubBus } from '../../src/bus/redis/pubsub-bus.js';
import { PubSubClient } from '../../src/bus/redis/pubsub-client.js';
import { systemClock } from '../../src/clock.js';
import { silentLogger } from '../support/captured-log.js';
import { withRedis } from '../support/redis-server.js';
import { messageBusContract } from './message-bus.js';

let opened = 0;

await withRedis('what every bus promises, of pub/sub', (base) => {
  messageBusContract({
    name: 'pub/sub',
    canPushBack: false,
    givesBack: 'all',
    keepsUnanswered: false,
    open: async (target) => {
      // Channels of its own: whoever uses the same server is not disturbed.
      const own = `ml4t-test:${process.pid}:${opened++}`;
      const channels = ['signals', 'bars', 'enriched', 'rejected'].map((name) => [`${name}Channel`, `${own}:${name}`]);
      const settings = { ...base, ...Object.fromEntries(channels) };
      const dialect = openDialect({ redis: settings, userFeatures: [] });
      const bus = new PubSubBus({
        settings,
        dialect,
        target,
        clock: systemClock,
        logger: silentLogger,
      });
      const clients: PubSubClient[] = [];
      const another = (): PubSubClient => {
        const client = new PubSubClient({ settings, dialect, logger: silentLogger });
        clients.push(client);
        return client;
      };
      bus.start();
      await new Promise<void>((resolve) => bus.events.once('busUp', () => resolve()));
      const close = async (): Promise<void> => {
        await bus.stop();
        await Promise.all(clients.map((client) => client.close()));
      };
      return { bus, client: another(), another, close };
    },
  });
});

test.run();
