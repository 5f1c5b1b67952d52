import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { entriesOf, entryField } from '../../src/bus/redis/stream-entries.js';
import { eventually } from '../support/eventually.js';
import { RedisOwners } from '../support/redis-drill-owners.js';
import type { DrillProcess } from '../support/redis-drill-processes.js';
import { readStreams, settled } from '../support/redis-drill-streams.js';
import { RedisServer, redisTest } from '../support/redis-server.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const WARM = 800;
const SOME = 100;
const seed = Date.now() % 2 ** 31;

interface Pair {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly owners: RedisOwners;
  readonly owner: DrillProcess;
  /** Between the server and the owner, and between it and the strategy. */
  readonly proxies: { readonly owner: TcpProxy; readonly producer: TcpProxy };
}

function failoverTest(title: string, run: (pair: Pair) => Promise<void>): void {
  redisTest(
    title,
    async (primary) => {
      const replica = await RedisServer.start({ appendonly: true, replicaOf: primary });
      const proxies = { owner: await TcpProxy.to(primary.port), producer: await TcpProxy.to(primary.port) };
      const owners = await RedisOwners.prepare(primary, 4 * SOME, seed, proxies.producer.url);
      try {
        const owner = owners.start({ url: proxies.owner.url, leaseMs: 1000 });
        await owner.said('up');
        await owners.send(WARM);
        await settled(primary);
        await isReplicated(primary);
        await run({ primary, replica, owners, owner, proxies });
      } finally {
        await Promise.all([owners.close(), replica.stop(), proxies.owner.close(), proxies.producer.close()]);
      }
    },
    { appendonly: true },
  );
}

failoverTest(
  'a planned failover loses nothing and doubles nothing',
  async ({ primary, replica, owners, owner, proxies }) => {
    const sent = owners.send(2 * SOME);
    await owners.sending();
    await primary.command('FAILOVER');
    await isPrimary(replica);
    retarget(proxies.owner, replica);
    retarget(proxies.producer, replica);
    await sent;
    await owners.send();
    await settled(replica);
    const { violations } = await owners.check(replica);
    assert.equal(violations.slice(0, 5), [], `seed ${seed}`);
    assert.equal(
      owner.lines.filter((line) => line.startsWith('gap')),
      [],
    );
  },
);

failoverTest(
  'after an unplanned failover the gap is told, and everything the new server has is answered',
  async (pair) => {
    const { replica, owners, owner, proxies } = pair;
    await loseSome(pair);
    retarget(proxies.owner, replica);
    retarget(proxies.producer, replica);
    assert.match(await owner.said('gap'), /^gap null the server has lost /);
    await owners.send();
    await isServed(replica);
  },
);

failoverTest('a gap is told too when the strategy has sent more before the new server is reached', async (pair) => {
  const { replica, owners, owner, proxies } = pair;
  await loseSome(pair);
  proxies.owner.refuse();
  retarget(proxies.owner, replica);
  retarget(proxies.producer, replica);
  await owners.send();
  const from = owner.lines.length;
  proxies.owner.accept();
  await owner.said('up', from);
  assert.match(await owner.said('gap'), /^gap /);
  await isServed(replica);
});

/** The replica stops hearing, the primary goes on for a while and dies, and the replica is made the primary. */
async function loseSome({ primary, replica, owners, owner }: Pair): Promise<void> {
  await replica.command('REPLICAOF', 'NO', 'ONE');
  await owners.send(SOME);
  await settled(primary);
  await primary.kill();
  await owner.said('down');
}

/** Every signal of the server's stream has its reply there, at least once. */
async function isServed(server: RedisServer): Promise<void> {
  await settled(server);
  const { input, output, dead } = await readStreams(server);
  const answered = new Set<string>();
  for (const entry of entriesOf(output)) answered.add(idOf(entryField(entry, 'payload')!)!);
  for (const entry of entriesOf(dead)) answered.add(entryField(entry, 'signalId')!.toString());
  const ids = entriesOf(input).map((entry) => idOf(entryField(entry, 'payload')!));
  assert.equal(
    ids.filter((id) => id !== null && !answered.has(id)),
    [],
  );
}

function idOf(payload: Buffer): string | null {
  return /"signalId":"(\w+)"/.exec(payload.toString())?.[1] ?? null;
}

function retarget(proxy: TcpProxy, server: RedisServer): void {
  proxy.target = server.port;
  proxy.cut();
}

async function isReplicated(primary: RedisServer): Promise<void> {
  let isSame = false;
  const look = async (): Promise<void> => {
    while (!isSame) {
      const info = String(await primary.command('INFO', 'replication'));
      const [, offset] = /master_repl_offset:(\d+)/.exec(info)!;
      isSame = info.includes(`state=online,offset=${offset}`);
    }
  };
  await Promise.all([look(), eventually(() => isSame, 'a replica that has everything')]);
}

async function isPrimary(server: RedisServer): Promise<void> {
  while (!String(await server.command('INFO', 'replication')).includes('role:master'));
}

test.run();
