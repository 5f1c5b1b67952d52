import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { StreamBus } from '../../../src/bus/redis/stream-bus.js';
import { systemClock } from '../../../src/clock.js';
import { silentLogger } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { redisTest } from '../../support/redis-server.js';
import { barAt, HISTORY_BARS, StoreTarget } from '../../support/store-target.js';

const AWAIT_MS = 700;
const [BARS, SIGNALS] = ['node:data.bars.X', 'node:data.PrimarySignal'];

for (const late of [false, true]) {
  redisTest(
    `a signal of one topic whose owner ends before its bar ${late ? 'waits no longer than the window of both writings' : 'still has the bar that was written in time'}`,
    async (server) => {
      const settings = server.settings({ topicStreams: [BARS, SIGNALS] });
      const dialect = openDialect({ redis: settings, userFeatures: [] });
      const open = (): { bus: StreamBus; target: StoreTarget } => {
        const target = new StoreTarget();
        const parts = { settings, dialect, clock: systemClock, logger: silentLogger, position: null };
        return { target, bus: new StreamBus({ ...parts, target, awaitBarMs: AWAIT_MS }) };
      };
      const write = async (stream: string, id: string, input: Parameters<typeof dialect.encodeInput>[0]) =>
        String(await server.command('XADD', stream, id, 'payload', Buffer.from(dialect.encodeInput(input).payload)));
      const serverMs = async (): Promise<number> => {
        const [seconds, microseconds] = (await server.command('TIME')) as string[];
        return 1000 * Number(seconds) + Number(microseconds) / 1000;
      };

      const first = open();
      first.bus.start();
      const event = { instrumentId: 'X', signal: 1 as const, timestamp: barAt(0).tsEventNs, signalId: 's' };
      const id = await write(SIGNALS, '*', { kind: 'signal', event });
      const writtenMs = Number(id.split('-')[0]);
      await eventually(async () => Number(await server.command('XLEN', partitionKeys(settings).input)) === 1, 'it');
      await first.bus.stop();
      assert.equal(first.target.given, []);
      const barMs = writtenMs + AWAIT_MS + (late ? 1 : 0);
      await write(BARS, `${barMs}-0`, { kind: 'bar', instrumentId: 'X', bar: barAt(0) });
      // The next owner comes when the window is long over.
      await eventually(async () => (await serverMs()) > writtenMs + AWAIT_MS + 100, 'the end of the window');

      const second = open();
      second.bus.start();
      try {
        await eventually(() => second.target.given.length === 1, 'the signal');
        const asOf = late ? HISTORY_BARS - 1 : HISTORY_BARS;
        assert.equal(second.target.given, [{ signalId: 's', asOf, isBarMissing: late }]);
      } finally {
        await second.bus.stop();
      }
    },
  );
}

test.run();
