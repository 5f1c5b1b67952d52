import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { parse } from 'csv-parse/sync';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { exitCodeOf } from '../../src/cli/exit-code.js';
import { addStateCommands } from '../../src/cli/state-commands.js';
import { toErrorRecord } from '../../src/errors.js';
import type { BarSeries } from '../../src/market/bar.js';
import { loadBarsCsv } from '../../src/market/bars-csv.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import type { SignalRecord } from '../../src/state/records.js';
import { openStateReader } from '../../src/state/state-store.js';
import { silentLogger } from '../support/captured-log.js';
import { NASTY_INSTRUMENT, RECORDED, RECORDED_BARS, RECORDED_CONFIG, recordRun } from '../support/recorded-run.js';

const ROOT = resolve(fileURLToPath(import.meta.url), '../../../..');
const MAIN = join(ROOT, 'dist/src/cli/main.js');
const test = suite('ml4t for durable state');
const parent = mkdtempSync(join(tmpdir(), 'ml4t-state-'));
test.after(() => rmSync(parent, { recursive: true }));

const dataDir = join(parent, 'state');
const config = join(parent, 'config.json');
writeFileSync(config, JSON.stringify(RECORDED_CONFIG));
let models: ModelBundle[];
test.before(async () => {
  models = await recordRun(dataDir);
});

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** In a process of its own. */
function spawned(...parameters: string[]): Outcome {
  const environment = { ...process.env, ML4T_LOG_LEVEL: 'error' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...parameters], {
    cwd: ROOT,
    encoding: 'utf8',
    env: environment,
  });
  return { status, stdout, stderr };
}

/** In this process, which is quicker; what an export would write to stdout does not pass here. */
async function ml4t(...parameters: string[]): Promise<Outcome> {
  const lines: string[] = [];
  const program = new Command('ml4t').exitOverride().configureOutput({ writeErr: () => undefined });
  addStateCommands(program, (text) => lines.push(`${text}\n`));
  try {
    await program.parseAsync(parameters, { from: 'user' });
    const status = process.exitCode ?? 0;
    return { status: Number(status), stdout: lines.join(''), stderr: '' };
  } catch (error) {
    if (error instanceof CommanderError) return { status: 2, stdout: '', stderr: error.message };
    const { code, message } = toErrorRecord(error, 'TRAINING_FAILED');
    return { status: exitCodeOf(error), stdout: lines.join(''), stderr: `${message} [${code}]` };
  } finally {
    process.exitCode = 0;
  }
}

async function jsonOf<T>(...parameters: string[]): Promise<T> {
  const { status, stdout, stderr } = await ml4t(...parameters);
  assert.is(status, 0, stderr);
  return JSON.parse(stdout) as T;
}

let files = 0;
/** What an export writes to a file. */
async function exported(...flags: string[]): Promise<string> {
  const out = join(parent, `export-${++files}`);
  assert.equal(await ml4t('export', '--data-dir', dataDir, '--out', out, ...flags), {
    status: 0,
    stdout: '',
    stderr: '',
  });
  return readFileSync(out, 'utf8');
}

function storedSignals(): SignalRecord[] {
  const { stored, close } = openStateReader(dataDir);
  const signals = [...stored.signals()];
  void close();
  return signals;
}

interface ListJson {
  models: { modelId: string; role: string; how: string; sinceNs: string; fileName: string }[];
  verdicts: { kind: string; challengerId: string; atNs: string }[];
}

function listOf({ status, stdout, stderr }: Outcome): ListJson {
  assert.is(status, 0, stderr);
  return JSON.parse(stdout) as ListJson;
}

test('models list reads beside the orchestrator that owns the directory, which alone may change it', async () => {
  const owner = new ML4TOrchestrator(
    { ...RECORDED_CONFIG, dataDir, dispatch: 'inline', retrain: { mode: 'manual' } },
    { logger: silentLogger },
  );
  await owner.start();
  try {
    const { models: listed, verdicts } = listOf(spawned('models', 'list', '--data-dir', dataDir, '--json'));
    assert.equal(listed.map(({ modelId }) => modelId).sort(), models.map(({ modelId }) => modelId).sort());
    const champion = listed.find(({ role }) => role === 'champion')!;
    assert.equal([champion.modelId, champion.how], [models[1]!.modelId, 'rolled-back']);
    assert.equal(
      verdicts.map(({ kind, challengerId }) => [kind, challengerId]),
      [['rolled-back', models[1]!.modelId]],
    );
    const refused = spawned(
      'models',
      'promote',
      models[0]!.modelId,
      '--data-dir',
      dataDir,
      '--config',
      config,
      '--force',
    );
    assert.is(refused.status, 1);
    assert.match(refused.stderr, /^ml4t: .*ask that process, by promote\(\).*\[DATA_DIR_IN_USE\]\n$/);
    assert.is(owner.model!.modelId, models[1]!.modelId);
  } finally {
    await owner.stop();
  }
});

test('models show tells the bundle, its role, what was decided on it, how often it alarms falsely and how its features have moved', async () => {
  const [, second] = models;
  const { stdout, status } = await ml4t('models', 'show', second!.modelId, '--data-dir', dataDir);
  assert.is(status, 0);
  for (const part of [
    second!.modelId,
    '20 trees',
    'role          champion since ',
    '(rolled-back)',
    `makes way for ${second!.modelId}: by request.`,
    'reason manual',
    'shown only: no retrain comes of it',
  ]) {
    assert.ok(stdout.includes(part), part);
  }
  assert.match(stdout, /one false alarm in [\d,]+ to [\d,]+ labels: \d+ to \d+ a month at [\d,]+ labels/);
  assert.match(stdout, /mood +n\/a/);

  const card = await jsonOf<{
    record: { role: string };
    bundle: { modelId: string; detectors: { verified: { lower: number } } };
    falseAlarms: { labelsPerDay: number; lower: number; perMonth: [number, number] };
    stability: { rows: number; features: { feature: string; psi: number | null }[] };
  }>('models', 'show', second!.modelId, '--data-dir', dataDir, '--json');
  const answered = storedSignals().filter(({ modelId, degraded }) => modelId === second!.modelId && degraded === null);
  assert.is(card.stability.rows, answered.length);
  assert.ok(card.stability.features.find(({ feature }) => feature === 'normalized_atr')!.psi! > 0.1, 'other markets');
  const days = (RECORDED_BARS - 100) / 1440;
  const labels = storedSignals().length;
  assert.ok(Math.abs(card.falseAlarms.labelsPerDay / (labels / days) - 1) < 0.2, `${card.falseAlarms.labelsPerDay}`);
  assert.is(card.falseAlarms.perMonth[1], (30 * card.falseAlarms.labelsPerDay) / card.falseAlarms.lower);
  assert.is(card.falseAlarms.lower, card.bundle.detectors.verified.lower);
});

test('promote and rollback decide as the orchestrator does, print the sentence and are recorded', async () => {
  const own = join(parent, 'promoted');
  cpSync(dataDir, own, { recursive: true });
  const [first, second] = models as [ModelBundle, ModelBundle];
  const promoted = await ml4t('models', 'promote', first.modelId, '--data-dir', own, '--config', config, '--force');
  assert.is(promoted.status, 0, promoted.stderr);
  assert.is(promoted.stdout, `Model ${first.modelId} was installed by request, untested.\n`);
  const back = await ml4t('models', 'rollback', '--data-dir', own, '--config', config);
  assert.is(back.status, 0, back.stderr);
  assert.is(back.stdout, `${first.modelId} makes way for ${second.modelId}: by request.\n`);
  const again = await ml4t('models', 'rollback', '--data-dir', own, '--config', config);
  assert.is(again.status, 1);
  assert.match(again.stderr, /promote a kept one by its id.*\[NO_PREVIOUS_MODEL\]$/);
  const { verdicts } = await jsonOf<ListJson>('models', 'list', '--data-dir', own, '--json');
  assert.equal(
    verdicts.map(({ kind }) => kind),
    ['rolled-back', 'forced', 'rolled-back'],
  );
  const report = await jsonOf<{ isSound: boolean }>('reconcile', '--data-dir', own, '--config', config, '--json');
  assert.is(report.isSound, true);
});

function assertSameBars(found: BarSeries, expected: BarSeries): void {
  assert.is(found.length, expected.length);
  assert.equal(found.tsEventNs, expected.tsEventNs);
  for (const name of ['open', 'high', 'low', 'close', 'volume'] as const) {
    assert.ok(
      found[name].every((value, k) => Object.is(value, expected[name][k])),
      name,
    );
  }
}

test('exported bars are read again bit for bit, with volume and without', async () => {
  for (const [instrumentId, bars] of Object.entries(RECORDED)) {
    await exported('--what', 'bars', '--instrument', instrumentId);
    assertSameBars((await loadBarsCsv(join(parent, `export-${files}`), { timestampIs: 'close' })).bars, bars);
  }
  const rows = parse(await exported('--what', 'bars'), { columns: true }) as Record<string, string>[];
  assert.is(rows.length, 3 * RECORDED_BARS);
  assert.ok(rows.every(({ instrumentId, volume }) => (volume === '') === (instrumentId === NASTY_INSTRUMENT)));
});

test('exported signals hold every field as it was stored, and the features by their names', async () => {
  const rows = parse(await exported('--what', 'signals'), { columns: true }) as Record<string, string>[];
  const signals = storedSignals();
  assert.is(rows.length, signals.length);
  for (const [k, row] of rows.entries()) {
    const { signalId, instrumentId, asOf, asOfNs, modelId, confidence, size, degraded, row: features } = signals[k]!;
    assert.equal([row.signalId, row.instrumentId, row.modelId], [signalId, instrumentId, modelId]);
    assert.equal([row.asOf, row.asOfNs, row.degraded], [`${asOf}`, `${asOfNs}`, degraded ?? '']);
    assert.ok(Object.is(Number(row.confidence), confidence) && Object.is(Number(row.size), size));
    const atr = features[1] ?? Number.NaN;
    assert.is(row['feature.normalized_atr'], Number.isNaN(atr) ? '' : `${atr}`);
    assert.ok('feature.mood' in row);
  }
});

test('exported outcomes and verdicts are one JSON object a line, of one instrument where that is asked', async () => {
  const ndjson = ['--format', 'ndjson', '--what'];
  const lines = (await exported(...ndjson, 'outcomes', '--instrument', NASTY_INSTRUMENT))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { instrumentId: string; ordinal: number; exitNs: string });
  assert.ok(lines.length > 300);
  assert.ok(lines.every(({ instrumentId }) => instrumentId === NASTY_INSTRUMENT));
  assert.ok(lines.every(({ exitNs }) => /^\d+$/.test(exitNs)));
  const verdicts = (await exported(...ndjson, 'verdicts')).trim().split('\n');
  const verdict = JSON.parse(verdicts[0]!) as { kind: string; figures: { reason: string } };
  assert.equal([verdicts.length, verdict.kind, verdict.figures.reason], [1, 'rolled-back', 'manual']);
});

test('a reader that has seen enough ends an export without a word', async () => {
  const child = spawn(process.execPath, [MAIN, 'export', '--data-dir', dataDir, '--what', 'signals'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdout.once('data', () => child.stdout.destroy());
  const status = await new Promise((done) => child.once('close', done));
  assert.equal([status, stderr], [0, '']);
});

test('reconcile says in words what it found and fails where something differs', async () => {
  const sound = await ml4t('reconcile', '--data-dir', dataDir, '--config', config);
  assert.is(sound.status, 0, sound.stderr);
  assert.match(
    sound.stdout,
    /^[\d,]+ stored answers: [\d,]+ equal to the last bit \(by 3 models and without one\), 0 different, \d+ degraded/,
  );
  const otherwise = await ml4t('reconcile', '--data-dir', dataDir);
  assert.is(otherwise.status, 1);
  assert.match(
    otherwise.stdout,
    /\n {2}signal X,\d+ \(\d+\) on X as of bar \d+, model [0-9a-f]{16}:\n {4}size: stored \S+, recomputed \S+\n/,
  );
  assert.match(otherwise.stdout, /Only sizes differ: .*--config\.\n$/);
});

test('a visit without a configuration goes by that of the last owner: its open signals stay open', async () => {
  const visited = join(parent, 'visited');
  cpSync(dataDir, visited, { recursive: true });
  const outcomesOf = (): number => {
    const { stored, close } = openStateReader(visited);
    const { outcomes } = stored.counts();
    void close();
    return outcomes;
  };
  const before = outcomesOf();
  const { stdout } = await ml4t('models', 'promote', models[0]!.modelId, '--data-dir', visited, '--force');
  assert.match(stdout, /by request, untested/);
  assert.is(outcomesOf(), before, 'under other labels they would have been censored');
});

test('every failure has a hint and its own exit code', async () => {
  const none = join(parent, 'none');
  const damaged = join(parent, 'damaged');
  cpSync(dataDir, damaged, { recursive: true });
  const bytes = readFileSync(join(damaged, 'data.mdb'));
  bytes.fill(0xff, 16, 24);
  writeFileSync(join(damaged, 'data.mdb'), bytes.subarray(0, 5000));
  const id = models[0]!.modelId;
  const strange = join(parent, 'strange.json');
  writeFileSync(strange, JSON.stringify({ featureNames: ['momentum'] }));
  const cases: [string[], number, RegExp][] = [
    [['models', 'list', '--data-dir', none], 3, /name the dataDir.*\[DATA_DIR_UNUSABLE\]$/],
    [['models', 'promote', id, '--data-dir', none], 3, /\[DATA_DIR_UNUSABLE\]$/],
    [['reconcile', '--data-dir', damaged], 3, /\[STORE_DAMAGED\]$/],
    [['models', 'show', 'abc', '--data-dir', dataDir], 3, /models list shows.*\[NO_SUCH_MODEL\]$/],
    [['models', 'promote', id, '--data-dir', dataDir, '--config', strange], 1, /--config \[MODEL_FEATURES_DIFFER\]$/],
    [['export', '--data-dir', dataDir, '--what', 'bars', '--instrument', 'Q'], 3, /\[NO_ROWS\]$/],
    [['export', '--data-dir', dataDir, '--what', 'trades'], 2, /Allowed choices/],
    [['export', '--data-dir', dataDir], 2, /--what/],
    [['models', 'list'], 2, /--data-dir/],
  ];
  for (const [parameters, status, message] of cases) {
    const outcome = await ml4t(...parameters);
    assert.is(outcome.status, status, `${parameters.join(' ')}: ${outcome.stderr}`);
    assert.match(outcome.stderr, message);
    assert.is(outcome.stdout, '');
  }
  const outcome = spawned('models', 'show', 'abc', '--data-dir', dataDir);
  assert.is(outcome.status, 3);
  assert.match(outcome.stderr, /^ml4t: .*\[NO_SUCH_MODEL\]\n$/);
});

test.run();
