import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusReply } from '../../../src/bus/message-bus.js';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { STREAM_START } from '../../../src/bus/redis/entry-id.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { StreamClient } from '../../../src/bus/redis/stream-client.js';
import { ML4TOrchestrator } from '../../../src/orchestrator.js';
import { fixtureBars } from '../../support/bundles.js';
import { silentLogger } from '../../support/captured-log.js';
import { eventually } from '../../support/eventually.js';
import { redisTest } from '../../support/redis-server.js';
import { barInput } from '../../support/scripted-target.js';
import { served } from '../../support/served.js';

const [PAST, LIVE] = [300, 20];
const INSTRUMENT = 'X.SIM';

for (const dialect of ['plain', 'nautilus-v1', 'nautilus-v2'] as const) {
  redisTest(
    `history warms an empty instrument up, and is passed over when it comes again (${dialect})`,
    async (server) => {
      const redis = { url: server.url, dialect };
      const orchestrator = new ML4TOrchestrator({ redis, dispatch: 'inline' }, { logger: silentLogger });
      const bars = fixtureBars(PAST + LIVE, 9);
      const input = (k: number, isPast: boolean) => ({
        ...{ kind: 'bar' as const, instrumentId: INSTRUMENT, bar: bars.at(k) },
        ...(isPast && { historical: true as const }),
      });
      const client = new StreamClient(orchestrator.config.redis, openDialect(orchestrator.config));
      const replies: BusReply[] = [];
      try {
        await orchestrator.start();
        await client.listen((reply) => replies.push(reply), STREAM_START);
        const sends: Promise<void>[] = [];
        for (let k = 0; k < PAST; k++) sends.push(client.send(input(k, true)));
        for (let k = PAST; k < PAST + LIVE; k++) sends.push(client.send(input(k, false)));
        // A node that starts again asks for the same history, and for a bar more than is stored.
        for (let k = 10; k < PAST; k++) sends.push(client.send(input(k, true)));
        const timestamp = bars.tsEventNs[PAST + LIVE - 1]!;
        const event = { instrumentId: INSTRUMENT, signal: 1 as const, signalId: 'a', timestamp };
        sends.push(client.send({ kind: 'signal', event }));
        await Promise.all(sends);
        await eventually(() => replies.length > 0, 'the answer');
        const [answer] = replies;
        assert.equal(answer?.kind === 'enriched' && [answer.answer.asOfNs, answer.answer.asOfSequence], [
          timestamp,
          PAST + LIVE - 1,
        ]);
        const metrics = orchestrator.busMetrics!;
        assert.equal(
          [metrics.bars, metrics.historicalIgnored, metrics.rejected, metrics.ignored],
          [PAST + LIVE, PAST - 10, 0, 0],
        );
        assert.is(await server.command('XLEN', partitionKeys(orchestrator.config.redis).dead), 0);
      } finally {
        await client.close();
        await orchestrator.stop();
      }
    },
  );
}

redisTest('history that continues what is stored is taken, whatever else of it is not', async (server) => {
  await served(server.settings(), async ({ bus, client, target }) => {
    const past = (minute: number) => ({ ...barInput(0, minute), historical: true as const });
    const inputs = [barInput(0, 5), past(3), past(5), past(6), past(7), barInput(0, 8), past(7)];
    for (const input of inputs) await client.send(input);
    await eventually(() => bus.metrics.historicalIgnored === 3, 'all of it');
    assert.equal(target.log, ['bar I0 5', 'bar I0 6', 'bar I0 7', 'bar I0 8']);
    assert.equal([bus.metrics.bars, bus.metrics.rejected, bus.metrics.inFlight], [4, 0, 0]);
  });
});

test.run();
