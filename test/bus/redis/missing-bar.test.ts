import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { type RedisArgument, type RedisCommand, RedisConnection } from '../../../src/bus/redis/redis-client.js';
import { StreamBus } from '../../../src/bus/redis/stream-bus.js';
import { StreamClient } from '../../../src/bus/redis/stream-client.js';
import { systemClock } from '../../../src/clock.js';
import { silentLogger } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { type RedisServer, redisSettings, redisTest } from '../../support/redis-server.js';
import { barAt, HISTORY_BARS, StoreTarget } from '../../support/store-target.js';

const AWAIT_MS = 100;

const settingsOfNone = redisSettings({ url: 'redis://127.0.0.1:1' });
const dialect = openDialect({ redis: settingsOfNone, userFeatures: [] });

/** The stream, the id, and what is written under it. */
function entryOf(id: string, kind: 'bar' | 'signal', minute = 0): RedisArgument[] {
  const bar = barAt(minute);
  const { payload } = dialect.encodeInput(
    kind === 'bar'
      ? { kind, instrumentId: 'X', bar }
      : { kind, event: { instrumentId: 'X', signal: 1, timestamp: bar.tsEventNs, signalId: 's' } },
  );
  return [partitionKeys(settingsOfNone).input, id, 'payload', Buffer.from(payload)];
}

interface Serving {
  readonly target: StoreTarget;
  readonly bus: StreamBus;
  readonly answered: string[];
  /** Writes an entry under an id of the test's. */
  readonly write: (id: string, kind: 'bar' | 'signal', minute?: number) => Promise<void>;
}

async function serving(
  server: RedisServer,
  redis: Parameters<RedisServer['settings']>[0],
  use: (serving: Serving) => Promise<void>,
): Promise<void> {
  const settings = server.settings(redis);
  const target = new StoreTarget();
  const parts = { settings, dialect, target, clock: systemClock, logger: silentLogger, position: null };
  const bus = new StreamBus({ ...parts, awaitBarMs: AWAIT_MS });
  const client = new StreamClient(settings, dialect);
  const answered: string[] = [];
  const write = async (id: string, kind: 'bar' | 'signal', minute = 0): Promise<void> => {
    await server.command('XADD', ...entryOf(id, kind, minute));
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

redisTest('an answer without the bar does not leave where the bar was read meanwhile', async (server) => {
  await serving(server, {}, async ({ target, bus, answered, write }) => {
    await write('5000-0', 'signal');
    await eventually(() => target.given.length === 1, 'the signal');
    await write('5001-0', 'bar');
    await eventually(() => bus.metrics.bars === 1, 'the bar');
    target.answerAll();
    await eventually(() => target.given.length === 2, 'the signal again');
    assert.equal(target.given[1], { signalId: 's', asOf: HISTORY_BARS, isBarMissing: false });
    target.answerAll();
    await eventually(() => answered.length === 1, 'its answer');
  });
});

redisTest('a bar that a later one overtook is missing, whatever else lies in the window', async (server) => {
  await serving(server, { inFlightMax: 1 }, async ({ target, bus, answered, write }) => {
    await write('9000000000000-0', 'signal');
    await write('9000000000001-0', 'bar', 1);
    await eventually(() => target.given.length === 1, 'the signal');
    await write('9000000000002-0', 'bar', 2);
    target.answerAll();
    await eventually(() => answered.length === 1 && bus.metrics.bars === 2, 'its answer, and the next bar');
    assert.equal(target.given, [{ signalId: 's', asOf: HISTORY_BARS - 1, isBarMissing: true }]);
  });
});

redisTest('a read that failed says nothing about the bar', async (server) => {
  await serving(server, {}, async ({ target, bus, answered, write }) => {
    const down = new Promise<void>((resolve) => bus.events.once('busDown', () => resolve()));
    // The server brings the signal to the read that waits, and refuses the one behind it.
    const refusing: RedisCommand = ['ACL', 'SETUSER', 'default', '-xread'];
    const connection = await RedisConnection.open(server.settings(), 'test');
    await connection.batch([['MULTI'], refusing, ['XADD', ...entryOf('5000-0', 'signal')], ['EXEC']]);
    connection.close();
    await down;
    await write('5001-0', 'bar');
    await server.command('ACL', 'SETUSER', 'default', '+xread');
    await eventually(() => target.given.length === 1, 'the signal');
    assert.equal(target.given[0], { signalId: 's', asOf: HISTORY_BARS, isBarMissing: false });
    target.answerAll();
    await eventually(() => answered.length === 1, 'its answer');
  });
});

test.run();
