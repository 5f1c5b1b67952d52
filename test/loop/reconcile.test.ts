import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { reconcile } from '../../src/loop/reconcile.js';
import type { ReconcileReport } from '../../src/loop/reconcile-report.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { type BAR_VALUES, viewStoredBars } from '../../src/shared-memory/stored-bars.js';
import { BLOCK_BARS, nameOfBars } from '../../src/state/bar-blocks.js';
import { ByteWriter } from '../../src/state/byte-stream.js';
import { decodeSignal, encodeSignal } from '../../src/state/record-codec.js';
import type { SignalRecord } from '../../src/state/records.js';
import { sealedCopy, unseal } from '../../src/state/seal.js';
import { openStateReader } from '../../src/state/state-store.js';
import { openTables, type Tables } from '../../src/state/tables.js';
import { NASTY_INSTRUMENT, RECORDED_BARS, RECORDED_CONFIG, recordRun } from '../support/recorded-run.js';
import { refusalOf } from '../support/refusal.js';

const test = suite('reconcile');
const parent = mkdtempSync(join(tmpdir(), 'ml4t-reconcile-'));
test.after(() => rmSync(parent, { recursive: true }));

const original = join(parent, 'original');
let models: ModelBundle[];
test.before(async () => {
  models = await recordRun(original);
});

let copies = 0;
/** A copy of the recorded run, for a test to spoil. */
function copied(): string {
  const dataDir = join(parent, `copy-${++copies}`);
  cpSync(original, dataDir, { recursive: true });
  return dataDir;
}

async function reconciled(dataDir: string, input: OrchestratorConfigInput = RECORDED_CONFIG): Promise<ReconcileReport> {
  const { stored, close } = openStateReader(dataDir);
  try {
    return await reconcile(stored, { dataDir, config: OrchestratorConfig.parse(input) });
  } finally {
    await close();
  }
}

async function altered(dataDir: string, alter: (tables: Tables) => void): Promise<string> {
  const tables = openTables(dataDir);
  alter(tables);
  await tables.root.close();
  return dataDir;
}

function signalsOf(dataDir: string): SignalRecord[] {
  const { stored, close } = openStateReader(dataDir);
  const signals = [...stored.signals()];
  void close();
  return signals;
}

/** Rewrites one stored signal with a valid seal. */
function withSignal(dataDir: string, ordinal: number, change: Partial<SignalRecord>): Promise<string> {
  return altered(dataDir, ({ signals }) => {
    const record = { ...decodeSignal(ordinal, signals.get(ordinal)!), ...change };
    const writer = new ByteWriter();
    const { start, end } = encodeSignal(writer, record);
    signals.putSync(ordinal, Buffer.from(writer.view(start, end)));
  });
}

/** Changes a stored value of one bar of the first instrument by a millionth, with a valid seal. */
function withBarValue(dataDir: string, sequence: number, column: (typeof BAR_VALUES)[number]): Promise<string> {
  return altered(dataDir, ({ bars }) => {
    const first = sequence - (sequence % BLOCK_BARS);
    const name = nameOfBars(0, first);
    const { tag, content } = unseal(bars.get([0, first])!, name);
    const bytes = Uint8Array.from(content);
    const values = viewStoredBars(first, bytes).columns[column];
    values[sequence - first] = values[sequence - first]! * (1 + 1e-6);
    bars.putSync([0, first], sealedCopy(bytes, tag, name));
  });
}

test('every answer of a run with several instruments and swapped models is recomputed to the last bit', async () => {
  const report = await reconciled(original);
  const signals = signalsOf(original);
  assert.equal(report.differences, []);
  assert.equal(report.unknown, []);
  assert.is(report.isSound, true);
  assert.is(report.signals, signals.length);
  assert.is(report.degraded, signals.filter(({ degraded }) => degraded !== null).length);
  assert.is(report.equal + report.degraded, report.signals);
  assert.ok(report.degraded > 10, 'some came before there was a window');
  for (const modelId of ['', ...models.map((model) => model.modelId)]) {
    assert.ok(report.equalByModel[modelId]! > 100, `${report.equalByModel[modelId]} answers by ${modelId || 'none'}`);
  }
  // What was compared had something to say.
  const sized = signals.filter(({ size }) => size !== 0).length;
  assert.ok(sized > 100 && new Set(signals.map(({ size }) => size)).size > sized / 2, `${sized} sizes`);
  assert.ok(new Set(signals.map(({ confidence }) => confidence)).size > 500);
  assert.ok(signals.some(({ regimeAvailable }) => regimeAvailable) && signals.some((one) => one.toxicityAvailable));
  assert.ok(signals.some(({ instrumentId }) => instrumentId === NASTY_INSTRUMENT));
  assert.ok(
    signals.some(({ asOf }, k) => k > 2 && asOf < signals[k - 3]!.asOf - 20),
    'as-ofs are not in order',
  );
});

for (const [column, field] of [
  ['close', 'row.momentum'],
  ['high', 'row.normalized_atr'],
  ['volatility', 'row.volatility'],
  ['volume', 'row.volume_ratio'],
  ['vpin', 'row.toxicity'],
] as const) {
  test(`a ${column} that is changed by a millionth under a valid seal is found in the answers that saw it`, async () => {
    const { asOf: sequence } = signalsOf(original).find(
      (one) => one.instrumentId === 'X' && one.asOf > 300 && one.toxicityAvailable,
    )!;
    const report = await reconciled(await withBarValue(copied(), sequence, column));
    assert.is(report.isSound, false);
    assert.ok(report.different > 0);
    const own = report.differences.find(({ asOf }) => asOf === sequence)!;
    assert.ok(own.fields.some((one) => one.field === field && one.stored !== one.recomputed));
    for (const { instrumentId, asOf } of report.differences) {
      assert.is(instrumentId, 'X');
      assert.ok(asOf >= sequence && asOf < sequence + 100, `as of ${asOf}`);
    }
  });
}

const CHANGES: Partial<SignalRecord>[] = [
  { confidence: 0.51 },
  { size: 0.125 },
  { sizeReason: 'no-edge' },
  { regimeWeight: 0.25 },
  { toxicity: 0.75 },
  { regimeAvailable: false },
  { toxicityAvailable: false },
  { modelAvailable: false },
  { side: 1 },
  { asOfNs: 1n },
  { asOf: 500 },
  { asOf: RECORDED_BARS },
  { generation: 0 },
  { modelId: '' },
  { instrumentId: 'nobody' },
  { userValues: Float64Array.of(0.5) },
];

for (const change of CHANGES) {
  const name = Object.entries(change).join().replace(',', ' is changed to ');
  test(`an answer whose ${name} under a valid seal is named with both values`, async () => {
    const victim = signalsOf(original).findLast(
      (one) => one.regimeAvailable && one.toxicityAvailable && one.size !== 0 && one.side === -1,
    )!;
    const { differences, different, equal } = await reconciled(await withSignal(copied(), victim.ordinal, change));
    assert.is(different, 1);
    assert.is(differences[0]!.signalId, victim.signalId);
    assert.ok(differences[0]!.fields.length > 0);
    assert.is(equal + 1, (await reconciled(original)).equal);
  });
}

test('a changed number of an answer that was degraded is found too', async () => {
  const victim = signalsOf(original).find(({ degraded }) => degraded !== null)!;
  const report = await reconciled(await withSignal(copied(), victim.ordinal, { size: 0.5 }));
  assert.equal(report.differences[0]!.fields, [{ field: 'size', stored: '0.5', recomputed: '0' }]);
  assert.is(report.isSound, false);
});

test('an answer that claims to have been computed before there was a window is different', async () => {
  const victim = signalsOf(original).find(({ degraded }) => degraded === 'insufficient-history')!;
  const report = await reconciled(
    await withSignal(copied(), victim.ordinal, { degraded: null, sizeReason: 'no-model' }),
  );
  assert.is(report.different, 1);
  assert.ok(report.differences[0]!.fields.some(({ field }) => field === 'degraded'));
});

test('a model file that is gone, damaged, forgotten or another one is told, with the answers it leaves unproved', async () => {
  const [first, second] = models as [ModelBundle, ModelBundle];
  const fileOf = (dataDir: string, { modelId }: ModelBundle): string =>
    join(dataDir, 'models', readdirSync(join(dataDir, 'models')).find((name) => name.includes(modelId))!);
  const whole = await reconciled(original);
  const cases: [string, boolean, (dataDir: string) => unknown][] = [
    ['model-missing', false, (dataDir) => rmSync(fileOf(dataDir, first))],
    [
      'model-damaged',
      false,
      (dataDir) => {
        const bytes = readFileSync(fileOf(dataDir, first));
        bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 1;
        writeFileSync(fileOf(dataDir, first), bytes);
      },
    ],
    ['model-damaged', false, (dataDir) => cpSync(fileOf(dataDir, second), fileOf(dataDir, first))],
    ['model-forgotten', true, (dataDir) => altered(dataDir, (tables) => void tables.models.removeSync(first.modelId))],
  ];
  for (const [reason, isSound, spoil] of cases) {
    const dataDir = copied();
    await spoil(dataDir);
    const report = await reconciled(dataDir);
    assert.equal(
      report.unknown.map((one) => [one.reason, one.count]),
      [[reason, whole.equalByModel[first.modelId]]],
    );
    assert.is(report.isSound, isSound, reason);
    assert.is(report.equal, whole.equal - whole.equalByModel[first.modelId]!);
  }
});

test('answers whose bars are no longer kept cannot be recomputed, and the others are', async () => {
  const dataDir = await altered(copied(), ({ bars }) => void bars.removeSync([0, 0]));
  const gone = signalsOf(dataDir).filter(
    ({ instrumentId, asOf, degraded }) => instrumentId === 'X' && degraded === null && asOf - 99 < BLOCK_BARS,
  );
  const report = await reconciled(dataDir);
  assert.equal(
    report.unknown.map(({ reason, count }) => [reason, count]),
    [['bars-forgotten', gone.length]],
  );
  assert.is(report.equal, (await reconciled(original)).equal - gone.length);
  assert.is(report.isSound, true);
});

test('with other defaults configured what was a default cannot be told, and what was not is still compared', async () => {
  const config = { ...RECORDED_CONFIG, defaultConfidence: 0.6, defaultRegimeWeight: 0.4 };
  const report = await reconciled(original, config);
  const known = signalsOf(original).filter(({ modelAvailable, regimeAvailable }) => modelAvailable && regimeAvailable);
  assert.is(report.different, 0);
  assert.is(report.equal, known.length);
  assert.equal(
    report.unknown.map(({ reason, count }) => [reason, count]),
    [['defaults-differ', report.signals - known.length]],
  );
  const victim = signalsOf(original).findLast((one) => one.modelAvailable && !one.regimeAvailable)!;
  const dataDir = await withSignal(copied(), victim.ordinal, { confidence: 0.51 });
  assert.is((await reconciled(dataDir, config)).different, 1);
});

test('under another sizing only sizes differ, which the report says', async () => {
  const report = await reconciled(original, {
    ...RECORDED_CONFIG,
    sizing: { ...RECORDED_CONFIG.sizing, kappa: 0.0004 },
  });
  assert.ok(report.different > 100);
  assert.is(report.onlySizesDiffer, true);
  assert.is(report.differences.length, 5);
});

test('what was answered before any model needs the configured features for its row only', async () => {
  const { userFeatures: _mood, ...others } = RECORDED_CONFIG;
  const report = await reconciled(original, others);
  assert.is(report.different, 0);
  assert.is(report.isSound, true);
});

test('a record that is not what was written is refused, and so is a store without signals', async () => {
  const dataDir = await altered(copied(), ({ bars }) => {
    const value = Buffer.from(bars.get([0, BLOCK_BARS])!);
    value[100] = value[100]! ^ 1;
    bars.putSync([0, BLOCK_BARS], value);
  });
  assert.is((await refusalOf(() => reconciled(dataDir))).code, 'STORE_DAMAGED');
  const empty = await altered(copied(), ({ signals }) => void signals.clearSync());
  assert.is((await refusalOf(() => reconciled(empty))).code, 'NO_ROWS');
});

test('bars at the edges of blocks are recomputed like any other', async () => {
  const edges = signalsOf(original).filter(
    ({ asOf }) => [0, 1, BLOCK_BARS - 1].includes(asOf % BLOCK_BARS) && asOf > 200,
  );
  assert.ok(edges.length > 5 && edges.some(({ asOf }) => asOf > BLOCK_BARS) && RECORDED_BARS > 2 * BLOCK_BARS);
});

test.run();
