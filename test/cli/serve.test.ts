import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ml4t, started, writeBars, writeModel } from '../support/cli.js';
import { eventually } from '../support/eventually.js';
import { randomBars } from '../support/market.js';
import { freePort, type RedisServer, redisTest } from '../support/redis-server.js';

const directory = mkdtempSync(join(tmpdir(), 'ml4t-serve-'));
test.after(() => rmSync(directory, { recursive: true }));

const SECRET = 'a-secret-nobody-reads';
const models = join(directory, 'models');
test.before(() => writeModel(models));

/** Exit code and output of one signal that is asked and answered. */
async function ask(server: RedisServer, ...more: string[]): Promise<string> {
  const signal = ['send-signal', '--instrument', 'X', '--side', '1', '--wait', '--redis', server.url, ...more];
  const { status, stdout, stderr } = await ml4t(signal);
  assert.is(status, 0, stderr);
  return stdout;
}

redisTest('run --redis serves until a signal ends it in order, and says so a line each', async (server) => {
  for (const [signal, flags] of [
    ['SIGINT', []],
    ['SIGTERM', ['--json']],
  ] as const) {
    const serving = started(['run', '--redis', server.url, '--model-dir', models, '--partition', signal, ...flags]);
    await serving.printed(flags.length === 0 ? 'bus up' : 'busUp');
    assert.match(await ask(server, '--partition', signal), /; model [0-9a-f]{16}, /);
    serving.child.kill(signal);
    assert.is(await serving.ended(), 0);
    assert.is(serving.errors, '');
    if (flags.length === 0) {
      const [head, up, totals, ...rest] = serving.lines;
      const host = server.url.replaceAll('.', '\\.');
      assert.match(
        head!,
        new RegExp(`^serving ${host}, partition SIGINT, streams, dialect plain; model [0-9a-f]{16} \\(`),
      );
      assert.is(up, 'bus up: messages come and answers go');
      assert.is(totals, 'stopped after 0 bars, 1 signals: 1 answered, 0 rejected, 0 duplicates, 0 ignored');
      assert.equal(rest, []);
    } else {
      const events = serving.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.equal(
        events.map(({ event }) => event),
        ['serving', 'busUp', 'stopped'],
      );
      for (const { atNs } of events) assert.match(atNs as string, /^\d{19}$/);
    }
    assert.is(await server.command('GET', `ml4t:{${signal}}:lease`), null, 'the partition is free');
  }
});

redisTest('where no model serves, the first is trained on the bars that are given, and no other', async (server) => {
  const bars = join(directory, 'bars.csv');
  writeBars(bars, randomBars(1600, 5));
  const learned = join(directory, 'learned');
  const run = ['run', '--redis', server.url, '--bars', bars, '--primary', 'momentum', '--model-dir', learned];
  for (const line of [/^trained: \S/, /^not trained: /]) {
    const serving = started(run, { ML4T_RETRAIN__LABELS_PER_FALSE_ALARM: '500' });
    await serving.printed('bus up');
    assert.match(serving.lines[0]!, line);
    assert.match(serving.lines[1]!, /; model [0-9a-f]{16} \(/);
    assert.is(await serving.interrupted(), 0);
    assert.match(serving.lines.at(-1)!, /^stopped after 0 bars/);
  }
  assert.is(readdirSync(learned).filter((name) => name.endsWith('.ml4t')).length, 1);
});

redisTest('an interrupted training ends in order, and serves nothing', async (server) => {
  const bars = join(directory, 'long.csv');
  writeBars(bars, randomBars(20_000, 6));
  const serving = started(['run', '--redis', server.url, '--bars', bars, '--data-dir', join(directory, 'data')]);
  await eventually(() => readdirSync(directory).includes('data'), 'the owner of the data directory');
  assert.is(await serving.interrupted(), 0);
  assert.equal(serving.lines, []);
});

redisTest(
  'a server that is away or refuses is told once and tried again, and its password never',
  async (server) => {
    const { port } = server;
    await server.kill();
    const url = server.url;
    const serving = started(['run', '--redis'], { ML4T_REDIS__URL: url });
    await serving.printed('bus down');
    await server.restart();
    await serving.printed('bus up');
    await ask(server);
    assert.is(await serving.interrupted(), 0);
    assert.is(serving.lines.filter((line) => line.startsWith('bus ')).length, 2);
    const refused = started(['run', '--redis', `redis://:not${SECRET}@127.0.0.1:${port}`]);
    await refused.printed('[WRONGPASS]');
    assert.is(await refused.interrupted(), 0);
    for (const { lines, errors } of [serving, refused]) assert.not.ok([...lines, errors].join('').includes(SECRET));
  },
  { requirepass: SECRET },
);

redisTest('a second process on a partition stands by, and takes over when the first has stopped', async (server) => {
  const [first, second] = [0, 1].map(() => () => started(['run', '--redis', server.url]));
  const owner = first!();
  await owner.printed('bus up');
  const heir = second!();
  await heir.printed('standing by: another process owns partition 0');
  assert.is(await owner.interrupted(), 0);
  await heir.printed('bus up');
  await ask(server);
  assert.is(await heir.interrupted(), 0);
});

redisTest('a process that nobody reads ends in order when it has something to tell', async (server) => {
  const lease = 'ml4t:{0}:lease';
  await server.command('SET', lease, 'another', 'PX', 60_000);
  const serving = started(['run', '--redis', server.url]);
  await serving.printed('standing by');
  serving.child.stdout!.destroy();
  await server.command('DEL', lease);
  assert.equal([await serving.ended(), serving.errors], [0, '']);
  assert.is(await server.command('GET', lease), null, 'the partition is free');
});

redisTest('a signal that npm passes on again is one, and a second one ends the process at once', async (server) => {
  const serving = started(['run', '--redis', server.url]);
  await serving.printed('bus up');
  serving.child.kill('SIGINT');
  assert.is(await serving.interrupted(), 0);
  assert.match(serving.lines.at(-1)!, /^stopped after/);

  const stuck = started(['run', '--redis', server.url]);
  await stuck.printed('bus up', 1);
  server.pause();
  await eventually(() => {
    stuck.child.kill('SIGINT');
    return stuck.child.exitCode !== null;
  }, 'the end of a process that waits for Redis');
  assert.is(await stuck.ended(), 130);
  server.resume();
});

redisTest('a run without --redis leaves the configured bus alone', async (server) => {
  const bars = join(directory, 'few.csv');
  writeBars(bars, randomBars(400, 1));
  for (const command of ['run', 'train']) {
    const more = command === 'train' ? ['--model-dir', join(directory, 'none')] : [];
    const { status } = await ml4t([command, '--bars', bars, ...more], { ML4T_REDIS__URL: server.url });
    assert.is(status, 4);
  }
  assert.not.match(String(await server.command('INFO', 'commandstats')), /cmdstat_eval/);
});

test('options that do not go together are refused with exit code 2', async () => {
  const url = `redis://127.0.0.1:${await freePort()}`;
  const cases: [string[], RegExp][] = [
    [['--redis', url, '--market', 'simulated', '--break-at', '5000'], /--break-at/],
    [['--redis', url, '--out', join(directory, 'out')], /--out/],
    [['--redis', url, '--bars', 'a.csv', '--market', 'simulated'], /--market/],
    [['--redis', url, '--data-dir', 'a', '--model-dir', 'b'], /\[CONFIG_INVALID\]/],
    [['--redis'], /no Redis server is named.*\[USAGE\]/],
    [['--mode', 'streams'], /--mode goes with --redis \[USAGE\]/],
    [['--partition', '1'], /--partition goes with --redis \[USAGE\]/],
    [['--data-dir', 'a'], /--data-dir goes with --redis \[USAGE\]/],
  ];
  for (const [parameters, message] of cases) {
    const { status, stdout, stderr } = await ml4t(['run', ...parameters]);
    assert.is(status, 2, `${parameters.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
    assert.is(stdout, '');
  }
});

test.run();
