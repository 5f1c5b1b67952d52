import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { enrichedMessageOf } from '../../src/bus/message-bus.js';
import { addBusCommands } from '../../src/cli/bus-commands.js';
import { exitCodeOf } from '../../src/cli/exit-code.js';
import { toErrorRecord } from '../../src/errors.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { fixtureBars } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { ml4t, started, writeBars, writeModel } from '../support/cli.js';
import { freePort, type RedisServer, redisTest } from '../support/redis-server.js';
import { tailing } from '../support/session.js';

const directory = mkdtempSync(join(tmpdir(), 'ml4t-bus-'));
test.after(() => rmSync(directory, { recursive: true }));

const SECRET = 'a-secret-nobody-reads';
const INSTRUMENT = 'X';
const models = join(directory, 'models');
const bars = fixtureBars(300, 5);
const barsFile = join(directory, 'bars.csv');
const sidesFile = join(directory, 'sides.csv');
/** Decided at a close, between two, and after the last. */
const sides = [0, 120, 121, 200, 299].map((bar, k) => ({
  timestamp: bars.tsEventNs[bar]! + (k % 2 === 0 ? 0n : 20_000_000_000n),
  signal: ([1, -1, 0] as const)[k % 3]!,
  bar,
}));
const SEND = ['--instrument', INSTRUMENT, '--timestamp-is', 'close'];

test.before(async () => {
  await writeModel(models);
  writeBars(barsFile, bars);
  writeFileSync(sidesFile, ['timestamp,side', ...sides.map((one) => `${one.timestamp},${one.signal}`)].join('\n'));
});

/** The same bars and signals, brought by calls. */
async function directAnswers(): Promise<unknown[]> {
  const orchestrator = new ML4TOrchestrator({ modelPath: models }, { logger: silentLogger });
  await orchestrator.start();
  const answers: unknown[] = [];
  let next = 0;
  for (let bar = 0; bar < bars.length; bar++) {
    orchestrator.addBar(INSTRUMENT, bars.at(bar));
    for (; next < sides.length && sides[next]!.bar === bar; next++) {
      const { timestamp, signal } = sides[next]!;
      const signalId = `${INSTRUMENT}-${timestamp}`;
      const event = { instrumentId: INSTRUMENT, timestamp, signal, signalId };
      answers.push(told(enrichedMessageOf(await orchestrator.processSignal(event))));
    }
  }
  await orchestrator.stop();
  return answers;
}

/** What an answer says, but for how long it took; bigints as JSON has them. */
function told(answer: object): Record<string, unknown> {
  const { latencyNs: _latency, kind: _kind, ...rest } = answer as Record<string, unknown>;
  return Object.fromEntries(Object.entries(rest).map(([k, v]) => [k, typeof v === 'bigint' ? v.toString() : v]));
}

async function lengthOf(server: RedisServer, key: string): Promise<number> {
  return Number(await server.command('XLEN', `ml4t:{0}:${key}`));
}

/** More than are on their way at once: some are confirmed then. */
async function someSent(server: RedisServer): Promise<void> {
  while ((await lengthOf(server, 'in')) <= 500);
}

redisTest(
  'bars and signals of files are answered as by calls, and sending them again changes nothing',
  async (server) => {
    const serving = started(['run', '--redis', server.url, '--model-dir', models, '--json']);
    await serving.printed('busUp');
    const send = ['send-bars', barsFile, ...SEND, '--primary', sidesFile, '--redis', server.url, '--json'];
    const sent = { bars: bars.length, signals: sides.length, sentAgain: 0 };
    assert.equal(JSON.parse((await ml4t(send)).stdout), sent);

    const tail = await ml4t(['tail', '--redis', server.url, '--from-start', '--count', `${sides.length}`, '--json']);
    assert.is(tail.status, 0);
    const lines = tail.stdout.trim().split('\n');
    assert.equal(
      lines.map((line) => told(JSON.parse(line) as object)),
      await directAnswers(),
    );

    assert.equal(JSON.parse((await ml4t(send)).stdout), sent);
    const again = `${INSTRUMENT}-${sides.at(-1)!.timestamp}`;
    const last = sides.at(-1)!;
    const same = ['--side', `${last.signal}`, '--id', again, '--timestamp', `${last.timestamp}`, '--wait'];
    const repeat = ['send-signal', '--instrument', INSTRUMENT, '--redis', server.url];
    assert.match((await ml4t([...repeat, ...same])).stdout, /; signal \S+ \(repeated\)\n$/);
    const other = await ml4t([...repeat, '--side', '1', '--id', again, '--wait']);
    assert.equal([other.status, /\[SIGNAL_ID_REUSED, signalId\]\n$/.test(other.stdout)], [1, true]);
    assert.is(await serving.interrupted(), 0);
    const { totals } = JSON.parse(serving.lines.at(-1)!) as { totals: Record<string, number> };
    assert.equal(
      [
        totals.answered,
        totals.rejected,
        totals.duplicates,
        await lengthOf(server, 'out'),
        await lengthOf(server, 'dead'),
      ],
      [sides.length, 1, sides.length + 1, 2 * sides.length + 2, 1],
    );
  },
);

redisTest('send-bars sends a stretch, with the signals decided in it', async (server) => {
  const stretch = ['--from', '121', '--limit', '79', '--primary', sidesFile, '--redis', server.url, '--partition', 'p'];
  const { stdout } = await ml4t(['send-bars', barsFile, ...SEND, ...stretch]);
  assert.is(stdout, 'sent 79 bars and 1 signals of X\n');
  const entries = JSON.stringify(await server.command('XRANGE', 'ml4t:{p}:in', '-', '+'));
  assert.ok(entries.includes(`${bars.tsEventNs[121]!}`) && entries.includes(`${bars.tsEventNs[199]!}`));
  assert.not.ok(entries.includes(`${bars.tsEventNs[120]!}`) || entries.includes(`${bars.tsEventNs[200]!}`));
});

redisTest('send-signal --wait prints the answer, or the rejection with exit code 1', async (server) => {
  const environment = { ML4T_USER_FEATURES: '["mood"]', ML4T_REDIS__URL: server.url };
  const serving = started(['run', '--redis'], environment);
  await serving.printed('bus up');
  const signal = ['send-signal', '--instrument', INSTRUMENT, '--side', '-1', '--wait'];

  const rejected = await ml4t([...signal, '--id', 'without'], environment);
  assert.is(rejected.status, 1);
  assert.match(rejected.stdout, /^rejected signal without: .*mood.* \[MISSING_FEATURE, features\.mood\]\n$/);
  assert.is(rejected.stderr, '');
  await serving.printed('refused 1 message with [MISSING_FEATURE, features.mood]');

  const answered = await ml4t(
    [...signal, '5', '--feature', 'mood=0.5', '--timestamp', '2024-02-29T12:00Z'],
    environment,
  );
  assert.is(answered.status, 0);
  assert.match(
    answered.stdout,
    /^2024-02-29 12:00Z short X: P\(correct\) 0\.500 .*; model none, as of no bar; signal /,
  );
  assert.is(await serving.interrupted(), 0);
});

for (const flags of [
  ['--mode', 'pubsub'],
  ['--mode', 'pubsub', '--encoding', 'msgpack'],
  ['--dialect', 'nautilus-v1'],
  ['--dialect', 'nautilus-v2'],
]) {
  redisTest(`bars and signals go and answers come with ${flags.join(' ')}`, async (server) => {
    const bus = ['--redis', server.url, ...flags];
    const serving = started(['run', '--model-dir', models, ...bus]);
    await serving.printed('bus up');
    const sent = await ml4t(['send-bars', barsFile, '--timestamp-is', 'close', '--instrument', 'X.SIM', ...bus]);
    assert.is(sent.stdout, 'sent 300 bars and 0 signals of X.SIM\n', sent.stderr);
    const at = ['--timestamp', `${bars.tsEventNs[299]!}`];
    const ask = ['send-signal', '--instrument', 'X.SIM', '--side', '1', '--id', 'asked', '--wait', ...at, ...bus];
    const { stdout, stderr } = await ml4t(ask);
    assert.match(stdout, /long X\.SIM: P\(correct\) .*; model [0-9a-f]{16}, .*\(bar 299\); signal asked\n$/, stderr);
    assert.is(await serving.interrupted(), 0);
    assert.match(serving.lines.at(-1)!, /^stopped after 300 bars, 1 signals: 1 answered, 0 rejected/);
  });
}

redisTest('nobody who answers within the wait is an error', async (server) => {
  const signal = ['send-signal', '--instrument', INSTRUMENT, '--side', '0', '--wait', '0.1', '--redis', server.url];
  const { status, stdout, stderr } = await ml4t(signal);
  assert.equal([status, stdout], [1, '']);
  assert.match(
    stderr,
    /^ml4t: signal \S+ has no reply after 0\.1 s: nobody serves the partition.*\[BUS_UNAVAILABLE\]\n$/,
  );
  assert.is(await lengthOf(server, 'in'), 1);
});

redisTest(
  'tail prints dead letters, on one line whatever they hold, until it is interrupted or nobody reads them',
  async (server) => {
    const serving = started(['run', '--redis', server.url]);
    await serving.printed('bus up');
    const [tail, json] = [[], ['--json']].map((flags) => started(['tail', '--redis', server.url, ...flags]));
    await tailing(server, 2);
    const payload = JSON.stringify({ type: 'signal', signalId: 'a\u001b[2J\nb\u202e', instrumentId: 'X', signal: 7 });
    await server.command('XADD', 'ml4t:{0}:in', '*', 'payload', payload);
    await server.command('XADD', 'ml4t:{0}:in', '*', 'payload', 'no JSON');
    await tail!.printed('rejected', 2);
    await json!.printed('rejected', 2);
    assert.is(await tail!.interrupted(), 0);
    // More than are read at once: the first that cannot be written is not the last.
    const more = "for i = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'reason', 'unread') end";
    json!.child.stdout!.destroy();
    await server.command('EVAL', more, 1, 'ml4t:{0}:dead');
    assert.equal([await json!.ended(), json!.errors], [0, '']);
    assert.match(tail!.lines[0]!, /^rejected signal a\\u\{1b\}\[2J\\u\{a\}b\\u\{202e\}: .*\[INVALID_SIGNAL, signal\]$/);
    assert.match(tail!.lines[1]!, /^rejected a message: .*\[PAYLOAD_MALFORMED\b.*\]$/);
    const [signal, letter] = json!.lines.map((line) => JSON.parse(line) as Record<string, string | null>);
    assert.equal([signal!.instrumentId, signal!.payloadBase64], ['X', null], 'as it goes out beside the answers');
    assert.is(Buffer.from(letter!.payloadBase64!, 'base64').toString(), 'no JSON');
    assert.is(await serving.interrupted(), 0);
  },
);

redisTest(
  'send-bars goes on after Redis was killed: every bar is there, in order but for what was sent again',
  async (server) => {
    const count = 60_000;
    const send = ['send-bars', '--market', 'simulated', '--limit', `${count}`, '--redis', server.url, '--json'];
    const sending = started(send);
    await someSent(server);
    await server.restart();
    assert.is(await sending.ended(), 0, sending.errors);
    const counts = JSON.parse(sending.lines[0]!) as { bars: number; sentAgain: number };
    assert.is(counts.bars, count);
    assert.ok(counts.sentAgain > 0, 'the outage fell into the sending');
    assert.match(sending.errors, /^ml4t: the server is away, trying again: .*$/m);
    const stamps = JSON.stringify(await server.command('XRANGE', 'ml4t:{0}:in', '-', '+')).match(/\d{19}/g)!;
    assert.is(new Set(stamps).size, count);
    const firsts = [...new Set(stamps)];
    assert.equal(firsts, [...firsts].sort());
  },
  { appendonly: true },
);

redisTest('send-bars gives up when Redis stays away, and says how far it came', async (server) => {
  const sending = started([
    ...['send-bars', '--market', 'simulated', '--limit', '60000', '--timeout', '0.3'],
    ...['--redis', server.url, '--json'],
  ]);
  await someSent(server);
  await server.kill();
  assert.is(await sending.ended(), 1);
  const { bars: confirmed } = JSON.parse(sending.lines[0]!) as { bars: number };
  assert.ok(confirmed > 0 && confirmed < 60_000);
  assert.match(sending.errors, /^ml4t: ECONNREFUSED: .* \[BUS_UNAVAILABLE\]$/m);
});

const CLIENTS = [
  ['tail'],
  ['send-signal', '--instrument', INSTRUMENT, '--side', '1'],
  ['send-signal', '--instrument', INSTRUMENT, '--side', '1', '--wait'],
  ['send-bars', '--market', 'simulated', '--limit', '1'],
];

redisTest(
  'a server that refuses, or is not there, is one line and exit code 1, without the password',
  async (server) => {
    const { port } = server;
    const wrong = `redis://:${SECRET}@127.0.0.1:${port}`;
    const others = [
      `redis://someone:${SECRET}@127.0.0.1:${port}`,
      `redis://:${SECRET}@127.0.0.1:${await freePort()}`,
      `redis://:${SECRET}@no-such-host.invalid:1`,
    ];
    const cases = [
      ...CLIENTS.map((command) => [...command, '--redis', wrong]),
      ...others.map((url) => ['tail', '--redis', url]),
    ];
    for (const command of cases) {
      const { status, stdout, stderr } = await ml4t(command);
      assert.is(status, 1, stderr);
      assert.match(stderr, /^ml4t: [A-Z]+: .* \[BUS_UNAVAILABLE\]\n$/);
      assert.not.ok(`${stdout}${stderr}`.includes(SECRET), `${command[0]} shows the password`);
    }
  },
  { requirepass: 'another' },
);

redisTest('what the server refuses while tail listens is one line and exit code 1', async (server) => {
  await server.command('SET', 'ml4t:{0}:out', 'no stream');
  const { status, text } = await refused(['tail', '--from-start', '--redis', server.url]);
  assert.is(status, 1);
  assert.match(text, /^WRONGTYPE: .* \[BUS_UNAVAILABLE\]$/);
});

test('over pub/sub nobody waits for a server that cannot be reached', async () => {
  const bus = ['--mode', 'pubsub', '--redis', `redis://127.0.0.1:${await freePort()}`];
  for (const command of [['tail'], ['send-signal', '--instrument', INSTRUMENT, '--side', '1', '--wait']]) {
    const { status, text } = await refused([...command, ...bus]);
    assert.is(status, 1);
    assert.match(text, /^ECONNREFUSED: .* \[BUS_UNAVAILABLE\]$/);
  }
});

test('what is wrong on the command line is refused with its field and exit code 2, before anything is sent', async () => {
  const url = `redis://:${SECRET}@127.0.0.1:${await freePort()}`;
  const signal = ['send-signal', '--instrument', INSTRUMENT, '--redis', url];
  const bar = ['send-bars', '--redis', url];
  const cases: [string[], RegExp][] = [
    [[...signal, '--side', '2'], /--side must be -1, 0 or 1 \[USAGE\]/],
    [[...signal, '--side', 'constructor'], /--side must be/],
    [[...signal, '--side', '1', '--timestamp', 'yesterday'], /--timestamp must be .* \[USAGE\]/],
    [[...signal, '--side', '1', '--timestamp', '-1'], /--timestamp must be/],
    [[...signal, '--side', '1', '--feature', 'mood'], /--feature must be name=value .* \[USAGE\]/],
    [[...signal, '--side', '1', '--feature', 'mood=much'], /--feature must be/],
    [[...signal, '--side', '1', '--feature', 'mood='], /--feature must be/],
    [[...signal, '--side', '1', '--wait', 'long'], /--wait must be a positive number \[USAGE\]/],
    [['send-signal', '--instrument', '', '--side', '1', '--redis', url], /--instrument must be/],
    [bar, /name a file of bars or --market simulated \[USAGE\]/],
    [[...bar, barsFile, '--market', 'simulated'], /name a file of bars or/],
    [[...bar, barsFile, '--from', '-1'], /--from must be an integer from 0 on \[USAGE\]/],
    [[...bar, barsFile, '--limit', '0'], /--limit must be/],
    [[...bar, barsFile, '--timeout', 'x'], /--timeout must be/],
    [['tail', '--redis', url, '--count', '1.5'], /--count must be an integer from 1 on \[USAGE\]/],
    [['tail'], /no Redis server is named: .*ML4T_REDIS__URL \[USAGE\]/],
    [['tail', '--redis', `http://:${SECRET}@host`], /redis\.url: .* \[CONFIG_INVALID\]/],
    [['tail', '--redis', url, '--mode', 'pubsub', '--from-start'], /pub\/sub keeps no replies \[USAGE\]/],
    [['tail', '--redis', url, '--partition', 'a b'], /redis\.partition: .* \[CONFIG_INVALID\]/],
    [['tail', '--redis', url, '--mode', 'pigeon'], /--mode/],
  ];
  for (const [parameters, message] of cases) {
    const { status, text } = await refused(parameters);
    assert.is(status, 2, `${parameters.join(' ')}: ${text}`);
    assert.match(text, message);
    assert.not.ok(text.includes(SECRET));
  }
});

/** In this process, which is quicker. */
async function refused(parameters: readonly string[]): Promise<{ status: number; text: string }> {
  let text = '';
  const write = (more: string): void => {
    text += more;
  };
  const program = new Command('ml4t').exitOverride().configureOutput({ writeErr: write });
  addBusCommands(program, write);
  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: write });
  try {
    await program.parseAsync(parameters, { from: 'user' });
    return { status: 0, text };
  } catch (error) {
    if (error instanceof CommanderError) return { status: 2, text };
    const { code, message } = toErrorRecord(error, 'TRAINING_FAILED');
    return { status: exitCodeOf(error), text: `${text}${message} [${code}]` };
  }
}

test.run();
