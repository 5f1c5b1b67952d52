import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusInput } from '../../src/bus/message-bus.js';
import { openBusClient } from '../../src/bus/open-client.js';
import { OrchestratorConfig } from '../../src/config.js';
import { ML4TOrchestrator, type OutcomeEvent, tripleBarrierLabels } from '../../src/index.js';
import { silentLogger } from '../support/captured-log.js';
import { eventually } from '../support/eventually.js';
import { MINUTE_NS, randomBars } from '../support/market.js';
import { redisTest } from '../support/redis-server.js';
import { WIRES, writeToTopics } from '../support/wires.js';

/** As NautilusTrader names one. */
const X = 'X.SIM';
const BARS = 180;
const HISTORY = 120;
const bars = randomBars(BARS, 77);
const sides = new Int8Array(BARS);
const decidedNs = new BigInt64Array(BARS);
for (let at = HISTORY; at < BARS; at += 3) {
  sides[at] = at % 2 === 0 ? 1 : -1;
  decidedNs[at] = bars.tsEventNs[at]! + (at % 6 === 0 ? MINUTE_NS / 2n : 0n);
}

/** Half of the signals lie between two closes and come after their bar; the others come, as from `on_bar` of a node, before the bar that closes at their time. */
function messages(): BusInput[] {
  return Array.from({ length: BARS }, (_, at): BusInput[] => {
    const bar = { kind: 'bar', instrumentId: X, bar: bars.at(at) } as const;
    if (sides[at] === 0) return [bar];
    const event = { instrumentId: X, signal: sides[at] as 1 | -1, timestamp: decidedNs[at]!, signalId: `${at}` };
    const signal = { kind: 'signal', event } as const;
    return at % 6 === 0 ? [bar, signal] : [signal, bar];
  }).flat();
}

for (const [wire, redis] of Object.entries(WIRES)) {
  const awaits = redis.mode !== 'pubsub';
  const what = awaits ? 'sees its bar and ends as its training label does' : 'is not learned from';
  redisTest(`${wire}: a signal that comes before its bar ${what}`, async (server) => {
    const config = OrchestratorConfig.parse({ dispatch: 'inline', redis: { ...redis, url: server.url } });
    const system = new ML4TOrchestrator(config, { logger: silentLogger });
    const outcomes = new Map<string, OutcomeEvent>();
    system.events.on('outcomeResolved', (outcome) => outcomes.set(outcome.signalId, outcome));
    const isUp = new Promise<void>((resolve) => system.events.on('busUp', () => resolve()));
    await system.start();
    await isUp;
    const client = openBusClient(config, silentLogger);
    try {
      const inputs = messages();
      if (redis.topicStreams === undefined) await Promise.all(inputs.map((input) => client.send(input)));
      else await writeToTopics(server, config, inputs);
      const signals = sides.filter((side) => side !== 0).length;
      await eventually(() => system.busMetrics?.answered === signals, 'all answers');
      await eventually(() => system.busMetrics?.bars === BARS, 'all bars');
      const labels = tripleBarrierLabels(bars, sides, {}, undefined, decidedNs);
      assert.ok(labels.signalBar.length > 10);
      for (const [k, at] of labels.signalBar.entries()) {
        const outcome = outcomes.get(`${at}`)!;
        const isCensored = !awaits && at % 6 !== 0;
        assert.is(outcome.grossR, isCensored ? null : labels.grossR[k], `signal ${at}`);
        assert.is(labels.firstBar[k], at + (at % 6 === 0 ? 2 : 1));
      }
    } finally {
      await client.close();
      await system.stop();
    }
  });
}

test.run();
