import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BarSeries } from '../../src/market/bar.js';
import { MINUTE_NS, randomBars } from '../support/market.js';

const ROOT = resolve(fileURLToPath(import.meta.url), '../../../..');
const MAIN = join(ROOT, 'dist/src/cli/main.js');
const test = suite('ml4t');
const directory = mkdtempSync(join(tmpdir(), 'ml4t-cli-'));
test.after(() => rmSync(directory, { recursive: true }));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function ml4t(...parameters: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...parameters], {
    cwd: ROOT,
    encoding: 'utf8',
    // Detectors that may err more often are set sooner.
    env: { ...process.env, ML4T_LOG_LEVEL: 'error', ML4T_RETRAIN__LABELS_PER_FALSE_ALARM: '500' },
  });
  return { status, stdout, stderr };
}

function csvOf(name: string, bars: BarSeries): string {
  const rows = Array.from({ length: bars.length }, (_, i) => {
    const { tsEventNs, open, high, low, close, volume } = bars.at(i);
    return [tsEventNs - MINUTE_NS, open, high, low, close, volume].join(',');
  });
  const path = join(directory, name);
  writeFileSync(path, ['timestamp,open,high,low,close,volume', ...rows].join('\n'));
  return path;
}

interface Report {
  bars: { count: number; trained: number; replayed: number; roundedCount: number };
  labels: { signals: number; profit: number; stop: number; timeout: number; censored: number; noVolatility: number };
  folds: { nTrain: number; nTest: number; testStartNs: string }[];
  metrics: { logLoss: number; baseRateLogLoss: number; baseRate: number };
  importances: { name: string; gain: number }[];
  promotion: { verdict: string; sentence: string };
  live: {
    enriched: number;
    degraded: Record<string, number>;
    refused: Record<string, number>;
    latencyNs: { p50: number; p99: number; max: number };
    metrics: { n: number; logLoss: number };
    returns: { n: number; equalWeight: number; sized: number | null; interval: [number, number] };
  };
}

const out = join(directory, 'answers.ndjson');
const BUNDLED = join(ROOT, 'examples/sp500-daily.csv');
const bundled = ml4t('run', '--json', '--bars', BUNDLED, '--out', out);

test('run --json prints one document with every part, and --out every enriched signal', () => {
  const { status, stdout, stderr } = bundled;
  assert.is(status, 0, stderr);
  const report = JSON.parse(stdout) as Report;
  assert.equal(Object.keys(report), [
    'bars',
    'labels',
    'lookAhead',
    'folds',
    'metrics',
    'importances',
    'promotion',
    'detectors',
    'live',
  ]);
  assert.equal(Object.keys(report.live), ['enriched', 'degraded', 'refused', 'latencyNs', 'metrics', 'returns']);
  assert.is(report.bars.trained + report.bars.replayed, report.bars.count);
  assert.is(report.bars.trained, Math.floor(0.7 * report.bars.count));
  const { signals, profit, stop, timeout, censored, noVolatility } = report.labels;
  assert.is(profit + stop + timeout + censored + noVolatility, signals);
  assert.ok(report.folds.length >= 5);
  assert.match(report.folds[0]!.testStartNs, /^\d{19}$/, 'a bigint is a decimal string');
  const gains = report.importances.reduce((sum, { gain }) => sum + gain, 0);
  assert.ok(gains === 0 || Math.abs(gains - 1) < 1e-9);
  assert.ok(report.live.latencyNs.p50 > 0 && report.live.latencyNs.p50 <= report.live.latencyNs.p99);
  assert.ok(report.live.returns.interval[0] <= report.live.returns.interval[1]);

  const answers = readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map(
      (line) =>
        JSON.parse(line) as {
          signalId: string;
          asOfNs: string;
          signalEvent: { timestamp: string };
          metaConfidence: number;
        },
    );
  assert.is(answers.length, report.live.enriched);
  assert.is(new Set(answers.map(({ signalId }) => signalId)).size, answers.length);
  for (const { asOfNs, signalEvent } of answers) assert.ok(BigInt(asOfNs) <= BigInt(signalEvent.timestamp));
});

test('run again gives the same figures and the same model id, and other latencies', () => {
  const [first, second] = [bundled, ml4t('run', '--json', '--bars', BUNDLED)].map(({ stdout }) => {
    const report = JSON.parse(stdout) as Report;
    return JSON.stringify({
      ...report,
      live: { ...report.live, latencyNs: null },
    });
  });
  assert.is(first, second);
});

test('run says what it did in words', () => {
  const { status, stdout } = ml4t('run', '--bars', csvOf('words.csv', randomBars(1600, 5)), '--primary', 'momentum');
  assert.is(status, 0);
  for (const part of [
    'stamped at the open',
    'Purged walk-forward',
    'Metrics over',
    'majority rule',
    'Verdict: ',
    'Live replay: ',
    '95 % interval',
    'Three answers',
    'Now yours: npm start -- --bars my.csv',
  ]) {
    assert.ok(stdout.includes(part), part);
  }
});

test('a primary signal from a file is replayed at its own instants', () => {
  const bars = randomBars(1600, 8);
  const sides = Array.from(
    { length: 1500 },
    (_, k) => `${bars.tsEventNs[k + 60]! + MINUTE_NS / 3n},${k % 3 === 0 ? -1 : 1}`,
  );
  const primary = join(directory, 'sides.csv');
  writeFileSync(primary, ['timestamp,side', ...sides].join('\n'));
  const instants = join(directory, 'instants.ndjson');
  const { status, stdout, stderr } = ml4t(
    'run',
    '--json',
    '--bars',
    csvOf('bars.csv', bars),
    '--primary',
    primary,
    '--out',
    instants,
  );
  assert.is(status, 0, stderr);
  const report = JSON.parse(stdout) as Report;
  assert.is(report.live.enriched, 1559 - 1120 + 1);
  for (const line of readFileSync(instants, 'utf8').trim().split('\n')) {
    const { asOfNs, signalEvent } = JSON.parse(line) as { asOfNs: string; signalEvent: { timestamp: string } };
    assert.is(BigInt(signalEvent.timestamp) - BigInt(asOfNs), MINUTE_NS / 3n);
  }
});

test('bars and sides at 59.999 run as those at the whole minute, and it is told', () => {
  const bars = randomBars(1600, 8);
  const MS_NS = 1_000_000n;
  const [whole, early] = [0n, MS_NS].map((shortNs) => {
    const file = csvOf(
      `closes-${shortNs}.csv`,
      BarSeries.from({ ...bars, tsEventNs: bars.tsEventNs.map((closeNs) => closeNs + MINUTE_NS - shortNs) }),
    );
    const sides = Array.from(bars.tsEventNs, (closeNs, k) => `${closeNs - shortNs},${k % 3 === 0 ? -1 : 1}`);
    const primary = join(directory, `sides-${shortNs}.csv`);
    writeFileSync(primary, ['timestamp,side', ...sides].join('\n'));
    const run = ['run', '--bars', file, '--instrument', 'X', '--timestamp-is', 'close', '--primary', primary];
    return { report: JSON.parse(ml4t(...run, '--json').stdout) as Report, text: ml4t(...run).stdout };
  });
  const figures = ({ folds, metrics, labels, live }: Report): unknown => [folds, metrics, labels, live.returns];
  assert.equal(figures(early!.report), figures(whole!.report));
  assert.equal(
    [whole, early].map((one) => one!.report.bars.roundedCount),
    [0, 3200],
  );
  assert.match(early!.text, /3,200 times within 1 ms before a whole second/);
  assert.not.match(whole!.text, /whole second/);
});

test('cost lowers net returns by exactly itself', () => {
  const returns = [bundled, ml4t('run', '--json', '--bars', BUNDLED, '--cost-bps', '2')].map(
    ({ stdout }) => (JSON.parse(stdout) as Report).live.returns.equalWeight,
  );
  assert.ok(Math.abs(returns[0]! - returns[1]! - 0.0002) < 1e-12);
});

test('train stores a model that inspect verifies', () => {
  const models = join(directory, 'models');
  const trained = ml4t('train', '--model-dir', models, '--json');
  assert.is(trained.status, 0, trained.stderr);
  const { modelId } = JSON.parse(trained.stdout) as { modelId: string };
  const file = readdirSync(models).find((name) => name.endsWith('.ml4t'))!;
  assert.ok(file.includes(modelId));
  const text = ml4t('inspect', join(models, file));
  assert.is(text.status, 0);
  assert.ok(text.stdout.includes(modelId));
  const json = JSON.parse(ml4t('inspect', join(models, file), '--json').stdout) as {
    modelId: string;
    featureNames: string[];
    toxicityQuantiles: Record<string, number[]>;
  };
  assert.ok(Object.values(json.toxicityQuantiles).every((quantiles) => quantiles.length === 101));
  assert.is(json.modelId, modelId);
  assert.is(json.featureNames.length, 14);

  const before = readdirSync(models);
  const repeated = JSON.parse(ml4t('train', '--model-dir', models, '--json').stdout) as {
    modelId: string;
    verdict: { sentence: string };
  };
  assert.is(repeated.modelId, modelId);
  assert.match(repeated.verdict.sentence, /once more, which serves already: nothing changes/);
  assert.equal(readdirSync(models), before);

  const bytes = readFileSync(join(models, file));
  bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 1;
  writeFileSync(join(directory, 'damaged.ml4t'), bytes);
  const damaged = ml4t('inspect', join(directory, 'damaged.ml4t'));
  assert.is(damaged.status, 3);
  assert.match(damaged.stderr, /MODEL_CORRUPT/);
});

test('the simulated market is served a model, sized, and repeats by its seed', () => {
  const run = (...more: string[]): Report =>
    JSON.parse(ml4t('run', '--json', '--market', 'simulated', ...more).stdout) as Report;
  const report = run('--seed', '3');
  assert.is(report.promotion.verdict, 'provisional');
  assert.ok(report.metrics.logLoss < report.metrics.baseRateLogLoss - 0.02, 'most of the planted edge is found');
  assert.ok(report.live.returns.interval[0] > 0, 'sized signals earn more than equal weights');
  const nothing = run('--seed', '3', '--edge', '0');
  assert.is(nothing.promotion.verdict, 'refused');
  assert.is(nothing.live.returns.sized, null);
});

test('every failure is one readable line and its own exit code', () => {
  const badNumber = join(directory, 'bad.csv');
  writeFileSync(badNumber, 'timestamp,open,high,low,close\n2020-01-01,1,2,1,x\n');
  const cases: [string[], number, RegExp][] = [
    [['run', '--no-such-option'], 2, /unknown option/],
    [['run', '--timestamp-is', 'middle'], 2, /Allowed choices/],
    [['run', '--primary', 'astrology'], 2, /^ml4t: .*\[USAGE\]\n$/],
    [['run', '--market', 'simulated', '--bars', BUNDLED], 2, /cannot be used with/],
    [['run', '--market', 'simulated', '--edge', 'much'], 2, /^ml4t: .*\[OUT_OF_RANGE\]\n$/],
    [['run', '--cost-bps', '-1'], 2, /^ml4t: labels\.costBps: .*\[CONFIG_INVALID\]\n$/],
    [['run', '--bars', join(directory, 'none.csv')], 3, /^ml4t: .*\[FILE_UNREADABLE\]\n$/],
    [['run', '--bars', badNumber], 3, /^ml4t: .*line 2, column close.*\[NOT_A_NUMBER\]\n$/],
    [
      ['run', '--bars', csvOf('few.csv', randomBars(400, 1))],
      4,
      /^ml4t: .*at least 1000 bars; there are 280 \[INSUFFICIENT_DATA\]\n$/,
    ],
    [['inspect', join(directory, 'none.ml4t')], 3, /^ml4t: .*\[MODEL_NOT_FOUND\]\n$/],
  ];
  for (const [parameters, status, message] of cases) {
    const outcome = ml4t(...parameters);
    assert.is(outcome.status, status, parameters.join(' '));
    assert.match(outcome.stderr, message);
    assert.is(outcome.stdout, '');
  }
});

test('help is no failure', () => {
  const { status, stdout } = ml4t('run', '--help');
  assert.is(status, 0);
  assert.ok(stdout.includes('--bars'));
});

test.run();
