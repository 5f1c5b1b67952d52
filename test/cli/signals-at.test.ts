import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ml4t, type Outcome } from '../support/cli.js';
import { MINUTE_NS, randomBars } from '../support/market.js';

const test = suite('signals-at');
const directory = mkdtempSync(join(tmpdir(), 'ml4t-signals-'));
test.after(() => rmSync(directory, { recursive: true }));

const BARS = randomBars(1700, 15);
const bars = write(
  'bars.csv',
  'timestamp,open,high,low,close',
  (bar) =>
    `${BARS.tsEventNs[bar]! - MINUTE_NS},${BARS.open[bar]},${BARS.high[bar]},${BARS.low[bar]},${BARS.close[bar]}`,
);
/** The sign of every bar's body under the stamp of its open, as a data frame has it, and at its close. */
const opened = sides('open.csv', -MINUTE_NS);
const closed = sides('close.csv', 0n);

function write(name: string, header: string, row: (bar: number) => string): string {
  const path = join(directory, name);
  writeFileSync(path, [header, ...Array.from({ length: BARS.length }, (_, bar) => row(bar))].join('\n'));
  return path;
}

function sides(name: string, delayNs: bigint): string {
  return write(name, 'timestamp,side', (bar) => {
    const side = Math.sign(BARS.close[bar]! - BARS.open[bar]!);
    return `${BARS.tsEventNs[bar]! + delayNs},${side}`;
  });
}

function run(...parameters: string[]): Promise<Outcome> {
  return ml4t(['run', '--bars', bars, ...parameters], { ML4T_RETRAIN__LABELS_PER_FALSE_ALARM: '500' });
}

interface Report {
  bars: { alignment: { signals: number; unseen: number; medianNs: string; maxNs: string } };
  labels: object;
  folds: object[];
  lookAhead: { isSuspected: boolean };
  live: { metrics: object; returns: object };
}

function figuresOf({ stdout, stderr, status }: Outcome): object {
  assert.is(status, 0, stderr);
  const { bars: understood, labels, folds, lookAhead, live } = JSON.parse(stdout) as Report;
  return { alignment: understood.alignment, labels, folds, lookAhead, ...{ ...live, latencyNs: null } };
}

test('a file whose stamps are all the opens of bars is refused in one line that names both readings', async () => {
  const commands = [
    ['run', '--bars', bars, '--primary', opened],
    ['train', '--bars', bars, '--primary', opened, '--model-dir', join(directory, 'none')],
    ['send-bars', bars, '--redis', 'redis://127.0.0.1:1', '--primary', opened],
  ];
  for (const command of commands) {
    const { status, stdout, stderr } = await ml4t(command);
    assert.is(status, 2, command[0]);
    assert.is(stdout, '');
    assert.match(
      stderr,
      /^ml4t: .*open\.csv: all 1700 signals.*--signals-at open.*--signals-at close.*\[SIGNALS_AT_UNKNOWN\]\n$/,
    );
  }
});

test('said to be stamped at the open it gives the figures of the file stamped at the close, which needs no word', async () => {
  const right = figuresOf(await run('--json', '--primary', closed));
  assert.equal(figuresOf(await run('--json', '--primary', opened, '--signals-at', 'open')), right);
  assert.equal(figuresOf(await run('--json', '--primary', closed, '--signals-at', 'instant')), right);
  const { alignment } = right as Report['bars'];
  const { unseen, medianNs, maxNs } = alignment;
  assert.equal({ unseen, medianNs, maxNs }, { unseen: 0, medianNs: '0', maxNs: '0' });
});

test('run and train say how the signals lie beside the bars', async () => {
  const line = /1,700 signals, each decided 0 s after the close it sees, entered at the next open\n/;
  assert.match((await run('--primary', closed)).stdout, line);
  const models = join(directory, 'models');
  const trained = await ml4t(['train', '--bars', bars, '--primary', closed, '--model-dir', models]);
  assert.match(trained.stdout, line);
});

test('taken for instants they raise the alarm, which ends the training or, where it is allowed, is a warning', async () => {
  const refused = await run('--primary', opened, '--signals-at', 'instant');
  assert.is(refused.status, 3);
  assert.is(refused.stdout, '');
  assert.match(
    refused.stderr,
    /the sides know the bar.*--signals-at open.*--look-ahead allow.*\[LOOK_AHEAD_SUSPECTED\]\n$/,
  );
  const allowed = await run('--primary', opened, '--signals-at', 'close', '--look-ahead', 'allow');
  assert.is(allowed.status, 0);
  assert.match(allowed.stdout, /warning, look-ahead suspected and allowed: the sides know the bar/);
});

test('the option says something about a file alone', async () => {
  const { status, stderr } = await run('--primary', 'momentum', '--signals-at', 'open');
  assert.is(status, 2);
  assert.match(stderr, /--signals-at is about the timestamps of a file, and momentum is built in \[USAGE\]\n$/);
  const stream = ['train', '--redis', 'redis://127.0.0.1:1', '--model-dir', directory, '--signals-at', 'open'];
  assert.match((await ml4t(stream)).stderr, /--signals-at does not go with --redis.*\[USAGE\]\n$/);
});

test.run();
