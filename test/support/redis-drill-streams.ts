import { setTimeout as pause } from 'node:timers/promises';
import { RedisConnection } from '../../src/bus/redis/redis-client.js';
import type { RedisServer } from './redis-server.js';

/** Everything in the streams of the partition named '0', as XRANGE replies. */
export interface Streams {
  readonly input: unknown;
  readonly output: unknown;
  readonly dead: unknown;
}

const LIMIT_MS = 60_000;

export async function readStreams(server: RedisServer): Promise<Streams> {
  const connection = await RedisConnection.open(server.settings(), 'test-admin');
  const read = async (name: string): Promise<unknown> => connection.call('XRANGE', `ml4t:{0}:${name}`, '-', '+');
  try {
    return { input: await read('in'), output: await read('out'), dead: await read('dead') };
  } finally {
    connection.close();
  }
}

/** Resolves when every entry of the partition has been given to the group and none is pending. */
export async function settled(server: RedisServer): Promise<void> {
  const field = (of: unknown, name: string): unknown => (of as unknown[])[(of as unknown[]).indexOf(name) + 1];
  const endMs = performance.now() + LIMIT_MS;
  for (;;) {
    const [group] = (await server.command('XINFO', 'GROUPS', 'ml4t:{0}:in')) as unknown[];
    const stream = await server.command('XINFO', 'STREAM', 'ml4t:{0}:in');
    const isRead = field(group, 'last-delivered-id') === field(stream, 'last-generated-id');
    if (isRead && field(group, 'pending') === 0) return;
    if (performance.now() > endMs) throw new Error(`waited in vain for replies to everything: ${group}; ${stream}`);
    await pause(5);
  }
}
