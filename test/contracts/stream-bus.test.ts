import { test } from 'uvu';
import { openDialect } from '../../src/bus/open-dialect.js';
import { StreamBus } from '../../src/bus/redis/stream-bus.js';
import { StreamClient } from '../../src/bus/redis/stream-client.js';
import { systemClock } from '../../src/clock.js';
import { silentLogger } from '../support/captured-log.js';
import { withRedis } from '../support/redis-server.js';
import { messageBusContract } from './message-bus.js';

let opened = 0;

await withRedis('what every bus promises, of streams', (base) => {
  messageBusContract({
    name: 'streams',
    canPushBack: true,
    givesBack: 'no-signals',
    keepsUnanswered: true,
    open: async (target) => {
      // A partition of its own: whoever uses the same server is not disturbed.
      const settings = { ...base, partition: `ml4t-test-${process.pid}-${opened++}` };
      const dialect = openDialect({ redis: settings, userFeatures: [] });
      const parts = { settings, dialect, clock: systemClock, logger: silentLogger, position: null };
      const bus = new StreamBus({ ...parts, target, awaitBarMs: 500 });
      const clients: StreamClient[] = [];
      const another = (): StreamClient => {
        const client = new StreamClient(settings, dialect);
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
