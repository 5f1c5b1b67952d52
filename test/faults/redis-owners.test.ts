import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RedisOwners } from '../support/redis-drill-owners.js';
import type { DrillProcess } from '../support/redis-drill-processes.js';
import { settled } from '../support/redis-drill-streams.js';
import { type RedisServer, redisTest } from '../support/redis-server.js';
import { OWNER_KILLS } from '../support/sizes.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const WARM = 800;
const SOME = 120;
/** Replies to some of a hundred messages, and a renewal or two. */
const LATE_MIN = 10;
const SHORT = { leaseMs: 1000 };
const seed = Date.now() % 2 ** 31;
const seconds = (fromNs: bigint, line: string): number => Number(BigInt(line.split(' ')[1]!) - fromNs) / 1e9;

async function checked(owners: RedisOwners, server: RedisServer): Promise<void> {
  await owners.send();
  await isRight(owners, server);
}

async function isRight(owners: RedisOwners, server: RedisServer): Promise<void> {
  await settled(server);
  const { violations, answered, deadLettered } = await owners.check();
  assert.equal(violations.slice(0, 5), [], `seed ${seed}`);
  assert.ok(answered > 0 && deadLettered > 0, 'there were answers and dead letters');
}

redisTest(
  'of two processes on a partition one answers, and when it is killed the other does within 10 s, each id once',
  async (server) => {
    const owners = await RedisOwners.prepare(server, 3 * SOME * OWNER_KILLS, seed);
    try {
      let owner = owners.start();
      await owner.said('up');
      await owners.send(WARM);
      for (let kill = 0; kill < OWNER_KILLS; kill++) {
        const next = owners.start();
        await next.said('down STANDBY');
        assert.not(next.isUp);
        const sent = owners.send(2 * SOME);
        await owners.sending();
        await owner.kill();
        const killedNs = process.hrtime.bigint();
        const takenS = seconds(killedNs, await next.said('up'));
        console.log(`take-over with the default lease: ${takenS.toFixed(2)} s`);
        assert.ok(takenS <= 10, `${takenS} s`);
        await sent;
        owner = next;
      }
      await checked(owners, server);
    } finally {
      await owners.close();
    }
  },
);

redisTest(
  'an owner that is stopped until another has taken over writes nothing when it wakes up, and serves again when that one dies',
  async (server) => {
    const owners = await RedisOwners.prepare(server, 4 * SOME, seed);
    try {
      const [first, second] = await firstAndSecond(owners);
      const sent = owners.send(SOME);
      await owners.sending();
      first.signal('SIGSTOP');
      await second.said('up');
      await sent;
      await settled(server);
      const from = first.lines.length;
      first.signal('SIGCONT');
      assert.match(await first.said('down', from), /^down (FENCED|STANDBY|ETIMEDOUT) /);
      await first.said('down STANDBY', 0);
      await owners.send(SOME);
      await settled(server);
      assert.ok(second.isUp && !first.isUp, 'the second one serves');
      await second.kill();
      await first.said('up', from);
      await checked(owners, server);
    } finally {
      await owners.close();
    }
  },
);

redisTest(
  "an owner's commands that are held up until another has taken over change nothing when they arrive",
  async (server) => {
    const owners = await RedisOwners.prepare(server, 4 * SOME, seed);
    const proxy = await TcpProxy.to(server.port);
    try {
      const [first, second] = await firstAndSecond(owners, proxy.url);
      proxy.hold('sent');
      await owners.sendRestAtOnce();
      await proxy.holds('sent');
      await second.said('up');
      await settled(server);
      const runsBefore = await scriptRuns(server);
      proxy.release();
      await first.said('down STANDBY');
      assert.ok((await scriptRuns(server)) > runsBefore + LATE_MIN, 'they arrived');
      assert.ok(second.isUp && !first.isUp, 'the second one serves');
      await isRight(owners, server);
    } finally {
      await Promise.all([owners.close(), proxy.close()]);
    }
  },
);

/** The one that serves, whose windows are whole, and the one that waits. */
async function firstAndSecond(owners: RedisOwners, url?: string): Promise<[DrillProcess, DrillProcess]> {
  const first = owners.start({ ...SHORT, ...(url !== undefined && { url }) });
  await first.said('up');
  await owners.send(WARM);
  const second = owners.start(SHORT);
  await second.said('down STANDBY');
  return [first, second];
}

async function scriptRuns(server: RedisServer): Promise<number> {
  const info = String(await server.command('INFO', 'commandstats'));
  const runs = [...info.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)];
  return runs.reduce((sum, [, calls]) => sum + Number(calls), 0);
}

test.run();
