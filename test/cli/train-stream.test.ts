import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Outcome, ml4t as run, writeBars } from '../support/cli.js';
import { MINUTE_NS, randomBars } from '../support/market.js';
import { freePort, type RedisServer, redisTest } from '../support/redis-server.js';

const directory = mkdtempSync(join(tmpdir(), 'ml4t-train-stream-'));
test.after(() => rmSync(directory, { recursive: true }));

/** As NautilusTrader names one. */
const INSTRUMENT = 'X.SIM';
const bars = randomBars(1400, 8);
const barsFile = join(directory, 'bars.csv');
const sidesFile = join(directory, 'sides.csv');
/** At closes, between them, two that see one bar, and every seventh bar none. */
const sides = Array.from(bars.tsEventNs, (closeNs, bar) => {
  const side = ([1, -1, 0, -1, 1] as const)[bar % 5]!;
  if (bar % 7 === 0) return [];
  if (bar % 11 === 0) return [`${closeNs},${-side}`, `${closeNs + MINUTE_NS / 2n},${side}`];
  return [`${closeNs + (bar % 3 === 0 ? MINUTE_NS / 4n : 0n)},${side}`];
}).flat();

test.before(() => {
  writeBars(barsFile, bars);
  writeFileSync(sidesFile, ['timestamp,side', ...sides].join('\n'));
});

const FAST = { ML4T_TRAINING__ROUNDS: '10', ML4T_RETRAIN__LABELS_PER_FALSE_ALARM: '500' };
const ml4t = (...parameters: string[]): Promise<Outcome> => run(parameters, FAST);
const MARKET = ['--instrument', INSTRUMENT, '--timestamp-is', 'close', '--primary', sidesFile];

let models = 0;
interface Trained {
  modelId: string;
  stream: Record<string, unknown> | null;
}

async function trained(...source: string[]): Promise<Trained> {
  const folder = join(directory, `models${models++}`);
  const { status, stdout, stderr } = await ml4t('train', '--model-dir', folder, '--json', ...source);
  assert.is(status, 0, stderr);
  const report = JSON.parse(stdout) as Trained;
  assert.ok(readdirSync(folder).some((name) => name.includes(report.modelId)));
  return report;
}

async function send(server: RedisServer, ...more: string[]): Promise<void> {
  const { status, stderr } = await ml4t('send-bars', barsFile, ...MARKET, '--redis', server.url, ...more);
  assert.is(status, 0, stderr);
}

/** All keys with what they hold. */
async function contentOf(server: RedisServer): Promise<unknown> {
  const keys = (await server.command('KEYS', '*')) as string[];
  return Promise.all(keys.sort().map(async (key) => [key, await server.command('DUMP', key)]));
}

redisTest('a stream trains the model that the file trains which was sent into it, in every dialect', async (server) => {
  const { modelId } = await trained('--bars', barsFile, ...MARKET);
  for (const [dialect, encoding] of [
    ['plain', 'json'],
    ['plain', 'msgpack'],
    ['nautilus-v1', 'json'],
    ['nautilus-v2', 'msgpack'],
  ] as const) {
    const partition = ['--partition', `${dialect}-${encoding}`, '--dialect', dialect, '--encoding', encoding];
    await send(server, ...partition);
    const before = await contentOf(server);
    const { stream, ...report } = await trained('--redis', server.url, ...partition);
    assert.is(report.modelId, modelId, `${dialect} ${encoding}`);
    assert.equal(await contentOf(server), before, 'nothing was changed');
    const { bars: barCount, signals, instruments, refused } = stream!;
    assert.equal([barCount, signals, instruments, refused], [bars.length, sides.length, 1, {}]);
  }
});

redisTest('what was sent twice teaches once, and the line says what was found', async (server) => {
  const { modelId } = await trained('--bars', barsFile, ...MARKET);
  const partition = ['--partition', 'train'];
  await send(server, ...partition);
  await send(server, ...partition, '--from', '1300');
  await server.command('XADD', 'ml4t:{train}:in', '*', 'payload', '{"type":"signal"}');
  const folder = join(directory, 'twice');
  const { stdout } = await ml4t('train', '--model-dir', folder, '--redis', server.url, ...partition);
  const replaced = sides.length - bars.length + Math.ceil(bars.length / 7);
  assert.match(
    stdout,
    new RegExp(
      `messages of partition train: 1,400 bars and ${sides.length.toLocaleString('en-US')} signals; trained on 1 instruments\n` +
        `  ${replaced} signals gave way to a later one of the same bar, which counts\n` +
        '  \\d+ messages came again\n' +
        '  refused: 1 INVALID_SIGNAL\n',
    ),
  );
  assert.match(stdout, new RegExp(`model ${modelId} stored in`));
});

redisTest('a stream that cannot teach is refused with a code, and so is a market beside it', async (server) => {
  const train = async (...more: string[]): Promise<readonly [number | null, string]> => {
    const { status, stderr } = await ml4t('train', '--model-dir', join(directory, 'none'), ...more);
    return [status, /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? stderr];
  };
  const redis = ['--redis', server.url, '--partition', 'train'];
  assert.equal(await train(...redis), [3, 'NO_ROWS']);
  await server.command('XADD', 'ml4t:{train}:in', '*', 'payload', 'nothing to read');
  assert.equal(await train(...redis), [3, 'NO_ROWS']);
  const barsOnly = ['--instrument', INSTRUMENT, '--timestamp-is', 'close', '--limit', '1200'];
  await ml4t('send-bars', barsFile, ...barsOnly, ...redis);
  assert.equal(await train(...redis), [4, 'INSUFFICIENT_DATA']);
  assert.equal(await train(...redis, '--bars', barsFile), [2, 'USAGE']);
  assert.equal(await train(...redis, '--mode', 'pubsub'), [2, 'USAGE']);
  assert.equal(await train('--bars', barsFile, '--partition', 'train'), [2, 'USAGE']);
  assert.equal(await train('--redis', `redis://127.0.0.1:${await freePort()}`), [1, 'BUS_UNAVAILABLE']);
  await server.command('SET', 'ml4t:{text}:in', 'no stream');
  assert.equal(await train('--redis', server.url, '--partition', 'text'), [1, 'BUS_UNAVAILABLE']);
});

test.run();
