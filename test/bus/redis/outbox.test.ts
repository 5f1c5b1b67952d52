import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Outbox } from '../../../src/bus/redis/outbox.js';
import type { RedisCommand, RedisConnection } from '../../../src/bus/redis/redis-client.js';

const turn = async (): Promise<void> => new Promise(setImmediate);

/** An outbox over a connection that replies when it is told to, and what came of its commands. */
class Fixture {
  /** The names of the commands of every write. */
  readonly writes: string[][] = [];
  readonly heard: unknown[] = [];
  readonly outbox: Outbox;
  private readonly open: ((replies: unknown[]) => void)[] = [];

  constructor() {
    const batch = async (commands: readonly RedisCommand[]): Promise<unknown[]> => {
      this.writes.push(commands.map(([name]) => name));
      return new Promise((resolve) => this.open.push(resolve));
    };
    this.outbox = new Outbox({ batch } as unknown as RedisConnection);
  }

  push(...names: string[]): void {
    for (const name of names) this.outbox.push([name], (reply) => this.heard.push(reply));
  }

  /** The oldest write without a reply has one. */
  async reply(...replies: unknown[]): Promise<void> {
    this.open.shift()!(replies);
    await turn();
  }
}

test('commands of one turn leave in one write, in their order, and each hears its own reply', async () => {
  const one = new Fixture();
  one.push('A', 'B');
  await turn();
  one.push('C');
  await turn();
  assert.equal(one.writes, [['A', 'B'], ['C']]);
  await one.reply(1, 2);
  await one.reply(3);
  assert.equal(one.heard, [1, 2, 3]);
});

test('everything is flushed when the last write has its reply, and not before', async () => {
  const one = new Fixture();
  await one.outbox.flushed();
  one.push('A');
  await turn();
  one.push('B');
  let isFlushed = false;
  const flushed = one.outbox.flushed().then(() => {
    isFlushed = true;
  });
  await turn();
  await one.reply(1);
  assert.not(isFlushed);
  await one.reply(2);
  await flushed;
  assert.equal(one.heard, [1, 2]);
});

test.run();
