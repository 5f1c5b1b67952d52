import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { StreamBus } from '../../../src/bus/redis/stream-bus.js';
import { StreamClient } from '../../../src/bus/redis/stream-client.js';
import { systemClock } from '../../../src/clock.js';
import { silentLogger } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { type RedisServer, redisTest } from '../../support/redis-server.js';
import { barAt, HISTORY_BARS, StoreTarget } from '../../support/store-target.js';

const AWAIT_MS = 100;

interface Serving {
  readonly target: StoreTarget;
  readonly bus: StreamBus;
  readonly answered: string[];
  /** Writes an entry under an id of the test's. */
  readonly write: (id: string, kind: 'bar' | 'signal') => Promise<void>;
}

async function serving(
  server: RedisServer,
  redis: Parameters<RedisServer['settings']>[0],
  use: (serving: Serving) => Promise<void>,
): Promise<void> {
  const settings = server.settings(redis);
  const dialect = openDialect({ redis: settings, userFeatures: [] });
  const target = new StoreTarget();
  const parts = { settings, dialect, target, clock: systemClock, logger: silentLogger, position: null };
  const bus = new StreamBus({ ...parts, awaitBarMs: AWAIT_MS });
  const client = new StreamClient(settings, dialect);
  const answered: string[] = [];
  const { tsEventNs: timestamp } = barAt(0);
  const write = async (id: string, kind: 'bar' | 'signal'): Promise<void> => {
    const { payload } = dialect.encodeInput(
      kind === 'bar'
        ? { kind, instrumentId: 'X', bar: barAt(0) }
        : { kind, event: { instrumentId: 'X', signal: 1, timestamp, signalId: 's' } },
    );
    await server.command('XADD', partitionKeys(settings).input, id, 'payload', Buffer.from(payload));
  };
  await client.listen((reply) => answered.push(reply.kind === 'enriched' ? reply.answer.signalId : ''));
  const up = new Promise<void>((resolve) => bus.events.once('busUp', () => resolve()));
  bus.start();
  try {
    await up;
    await use({ target, bus, answered, write });
  } finally {
    await bus.stop();
    await client.close();
  }
}

redisTest('a signal whose bar does not come is let in without it when the server’s clock says so', async (server) => {
  await serving(server, {}, async ({ target, answered, write }) => {
    await write('*', 'signal');
    await eventually(() => target.given.length === 1, 'the signal');
    assert.equal(target.given, [{ signalId: 's', asOf: HISTORY_BARS - 1, isBarMissing: true }]);
    target.answerAll();
    await eventually(() => answered.length === 1, 'its answer');
  });
});

redisTest('an answer without the bar does not leave while an unread entry may be the bar', async (server) => {
  // One signal is all there is room for, so the bar stays unread until the signal has its answer.
  await serving(server, { inFlightMax: 1 }, async ({ target, bus, answered, write }) => {
    await write('5000-0', 'signal');
    await eventually(() => target.given.length === 1, 'the signal');
    // As after the server's clock was set back.
    await write('5001-0', 'bar');
    target.answerAll();
    await eventually(() => target.given.length === 2, 'the signal again');
    assert.equal(target.given[1], { signalId: 's', asOf: HISTORY_BARS, isBarMissing: false });
    assert.equal(answered, []);
    target.answerAll();
    await eventually(() => answered.length > 0, 'its answer');
    await eventually(() => bus.metrics.answered === 1, 'one answer counted');
    assert.equal(answered, ['s']);
  });
});

test.run();
