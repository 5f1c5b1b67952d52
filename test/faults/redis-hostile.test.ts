import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDialect } from '../../src/bus/open-dialect.js';
import { RedisConnection } from '../../src/bus/redis/redis-client.js';
import { entriesOf, entryField, frameOf, type StreamEntry } from '../../src/bus/redis/stream-entries.js';
import { OrchestratorConfig } from '../../src/config.js';
import { fixtureBars } from '../support/bundles.js';
import { FAULT_FEATURE } from '../support/faults.js';
import { hostileMessages } from '../support/hostile-messages.js';
import { withModel } from '../support/redis-drill-models.js';
import { DrillProcess } from '../support/redis-drill-processes.js';
import { settled } from '../support/redis-drill-streams.js';
import { redisTest } from '../support/redis-server.js';
import { HOSTILE_MESSAGES } from '../support/sizes.js';

const KEYS = { input: 'ml4t:{0}:in', output: 'ml4t:{0}:out', dead: 'ml4t:{0}:dead' };
const HOSTILE_BETWEEN = 20;
const PAGE = 50;
/** Of what the process holds in the middle; a reference to every message would make it several times as much. */
const GROWTH_MAX = 1.1;
const seed = Date.now() % 2 ** 31;
const dialect = openDialect(OrchestratorConfig.parse({ userFeatures: [FAULT_FEATURE] }));

redisTest(
  'malformed and hostile messages all end in the dead letters, the memory stays flat, and valid ones between them are answered',
  async (server) => {
    const root = mkdtempSync(join(tmpdir(), 'ml4t-redis-hostile-'));
    const config = { ...(await withModel(root, 'model', false)), redis: { url: server.url } };
    const child = DrillProcess.start('redis-orchestrator-child', [JSON.stringify(config)], ['--expose-gc']);
    const connection = await RedisConnection.open(server.settings(), 'test-admin');
    try {
      await child.said('up');
      const sender = new Sender(connection);
      const hostile = [hostileMessages(HOSTILE_MESSAGES / 2, seed), hostileMessages(HOSTILE_MESSAGES / 2, seed + 1)];
      const heaps: number[] = [];
      for (const messages of hostile) {
        await sender.send(messages);
        await settled(server);
        // What was read last, huge messages too, is in hand until something else is read.
        await sender.sendValid();
        await settled(server);
        const from = child.lines.length;
        child.tell('heap');
        heaps.push(Number((await child.said('heap', from)).split(' ')[1]));
      }
      const growth = heaps[1]! / heaps[0]!;
      const codes = await deadLetters(connection, sender.hostile);
      console.log(`${HOSTILE_MESSAGES} hostile messages, seed ${seed}: memory × ${growth.toFixed(3)}, ${codes}`);
      const ids = entriesOf(await connection.call('XRANGE', KEYS.output, '-', '+')).flatMap((entry) => {
        const reply = dialect.decodeReply(frameOf(entry)!);
        return reply.kind === 'enriched' ? [reply.answer.signalId] : [];
      });
      assert.equal(ids, sender.validIds, `seed ${seed}`);
      assert.ok(growth < GROWTH_MAX, `${heaps} bytes, seed ${seed}`);
    } finally {
      connection.close();
      await child.kill();
      rmSync(root, { recursive: true });
    }
  },
);

/** Writes hostile messages, and valid ones between them. */
class Sender {
  readonly validIds: string[] = [];
  hostile = 0;
  private readonly bars = fixtureBars(HOSTILE_MESSAGES, 7);
  private waiting: Buffer[] = [];

  constructor(private readonly connection: RedisConnection) {}

  async send(messages: Iterable<Buffer>): Promise<void> {
    for (const message of messages) {
      this.waiting.push(message);
      if (++this.hostile % HOSTILE_BETWEEN === 0) this.pushValid();
      if (this.waiting.length >= PAGE) await this.flush();
    }
    await this.flush();
  }

  async sendValid(): Promise<void> {
    this.pushValid();
    await this.flush();
  }

  private pushValid(): void {
    const [instrumentId, signalId] = ['V', `v${this.validIds.length}`];
    const bar = this.bars.at(this.validIds.length);
    this.validIds.push(signalId);
    const event = {
      instrumentId,
      signalId,
      signal: 1 as const,
      timestamp: bar.tsEventNs,
      features: { [FAULT_FEATURE]: 0 },
    };
    for (const input of [{ kind: 'bar', instrumentId, bar } as const, { kind: 'signal', event } as const]) {
      this.waiting.push(Buffer.from(dialect.encodeInput(input).payload));
    }
  }

  private async flush(): Promise<void> {
    const replies = await this.connection.batch(
      this.waiting.splice(0).map((payload) => ['XADD', KEYS.input, '*', 'payload', payload]),
    );
    for (const reply of replies) if (reply instanceof Error) throw reply;
  }
}

/** Checks that there are so many, each with a code and the bytes of its entry; returns the codes by their number. */
async function deadLetters(connection: RedisConnection, count: number): Promise<string> {
  const codes = new Map<string, number>();
  const entries = new Set<string>();
  let after = '-';
  for (;;) {
    const page: StreamEntry[] = entriesOf(await connection.call('XRANGE', KEYS.dead, after, '+', 'COUNT', PAGE));
    if (page.length === 0) break;
    for (const letter of page) {
      const [code, id] = [entryField(letter, 'code')!.toString(), entryField(letter, 'entry')!.toString()];
      codes.set(code, (codes.get(code) ?? 0) + 1);
      entries.add(id);
      const [source] = entriesOf(await connection.call('XRANGE', KEYS.input, id, id));
      assert.ok(entryField(source!, 'payload')!.equals(entryField(letter, 'payload')!), `the bytes of ${id}`);
      assert.match(code, /^[A-Z_]+$/);
    }
    after = `(${page.at(-1)!.id}`;
  }
  assert.is(entries.size, count, `seed ${seed}`);
  assert.is(
    [...codes.values()].reduce((sum, number) => sum + number, 0),
    count,
  );
  return JSON.stringify(Object.fromEntries(codes));
}

test.run();
