import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Submission } from '../../src/bus/message-bus.js';
import { openBus } from '../../src/bus/open-bus.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { StreamClient } from '../../src/bus/redis/stream-client.js';
import { systemClock } from '../../src/clock.js';
import { OrchestratorConfig } from '../../src/config.js';
import type { SignalEvent } from '../../src/market/events.js';
import { silentLogger } from '../support/captured-log.js';
import { eventually } from '../support/eventually.js';
import { redisTest } from '../support/redis-server.js';
import { ScriptedTarget, signalInput } from '../support/scripted-target.js';

/** Answers at once, and records an answer when it is told to. */
class RecordingTarget extends ScriptedTarget {
  readonly record = new Map<string, () => void>();

  override submit(event: SignalEvent): Submission {
    const { asOf, answer } = super.submit(event);
    const recorded = new Promise<void>((resolve) => this.record.set(event.signalId!, resolve));
    return { asOf, answer: answer.then((enriched) => ({ ...enriched, recorded })) };
  }
}

redisTest(
  'answers that wait for the disk come when they are recorded, those of an instrument in their order',
  async (server) => {
    const redis = { url: server.url, answerWhenRecorded: true };
    const config = OrchestratorConfig.parse({ redis, dataDir: 'nothing is written here' });
    const target = new RecordingTarget();
    const parts = { config, target, clock: systemClock, logger: silentLogger, position: null };
    const bus = openBus({ ...parts, emit: () => undefined })!;
    const client = new StreamClient(config.redis, openDialect(config));
    const ids: string[] = [];
    bus.start();
    try {
      await client.listen((reply) => ids.push(reply.kind === 'enriched' ? reply.answer.signalId : ''));
      for (const input of [signalInput(0, 'a'), signalInput(0, 'b'), signalInput(1, 'c')]) await client.send(input);
      await eventually(() => target.record.size === 3, 'all signals');
      for (const id of ['b', 'c']) target.record.get(id)!();
      await eventually(() => ids.length > 0, 'an answer');
      target.record.get('a')!();
      await eventually(() => ids.length >= 3, 'all answers');
      assert.equal(ids, ['c', 'a', 'b']);
    } finally {
      await bus.stop();
      await client.close();
    }
  },
);

test.run();
