import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrorRecord } from '../../src/errors.js';
import { toModelValue } from '../../src/features/feature-set.js';
import { Booster, type BoosterParameters } from '../../src/model/xgboost.js';
import { noisyLabels, randomRows } from '../support/forests.js';
import { refusalOf } from '../support/refusal.js';

const COLUMNS = 4;
const ROWS = randomRows(400, COLUMNS, 11);
const LABELS = noisyLabels(ROWS, COLUMNS, 12);
const BASE: BoosterParameters = { max_depth: 3, eta: 0.3, subsample: 0.5, colsample_bytree: 0.8, seed: 3 };

async function modelBytes(parameters: BoosterParameters, steps: readonly number[]): Promise<Buffer> {
  const booster = await Booster.create(ROWS, LABELS, COLUMNS, parameters);
  try {
    for (const rounds of steps) booster.train(rounds);
    return Buffer.from(booster.save());
  } finally {
    booster.free();
  }
}

test('twelve rounds give the same model bytes in one step, in twelve, and in uneven ones', async () => {
  const once = await modelBytes(BASE, [12]);
  assert.ok(once.equals(await modelBytes(BASE, new Array<number>(12).fill(1))));
  assert.ok(once.equals(await modelBytes(BASE, [5, 5, 2])));
  assert.not.ok(once.equals(await modelBytes(BASE, [11])), 'one round fewer is another model');
});

test('a model saved between two steps goes on as if it had not been', async () => {
  const booster = await Booster.create(ROWS, LABELS, COLUMNS, BASE);
  booster.train(5);
  booster.save();
  booster.train(7);
  assert.ok((await modelBytes(BASE, [12])).equals(booster.save()));
  booster.free();
});

test('the same seed gives the same model bytes and another seed does not', async () => {
  const first = await modelBytes(BASE, [5]);
  assert.ok(first.equals(await modelBytes(BASE, [5])));
  assert.not.ok(first.equals(await modelBytes({ ...BASE, seed: 4 }, [5])));
});

test('every parameter that is let through changes the model', async () => {
  const changes: Required<BoosterParameters> = {
    eta: 0.05,
    max_depth: 2,
    max_bin: 4,
    lambda: 50,
    alpha: 5,
    gamma: 3,
    min_child_weight: 30,
    max_delta_step: 0.1,
    subsample: 0.9,
    colsample_bytree: 0.5,
    base_score: 0.2,
    seed: 99,
  };
  const base = await modelBytes(BASE, [4]);
  for (const [name, value] of Object.entries(changes)) {
    const changed = await modelBytes({ ...BASE, [name]: value }, [4]);
    assert.not.ok(base.equals(changed), `${name} = ${value} changed nothing`);
  }
});

test('a parameter the library would ignore silently is refused by its name', async () => {
  const parameters = JSON.parse('{"eta":0.1,"colsample_bylevel":0.5}') as BoosterParameters;
  const { code, field } = await refusalOf(() => Booster.create(ROWS, LABELS, COLUMNS, parameters));
  assert.equal({ code, field }, { code: 'BOOSTER_PARAMETER_UNKNOWN', field: 'colsample_bylevel' });
});

test('a parameter that is no finite number is refused by its name', async () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const { code, field } = await refusalOf(() => Booster.create(ROWS, LABELS, COLUMNS, { eta: value }));
    assert.equal({ code, field }, { code: 'BOOSTER_INPUT_INVALID', field: 'eta' });
  }
});

const BAD_INPUTS: readonly (readonly [string, number[], number[], number, string])[] = [
  ['rows that do not fill their columns', [1, 2, 3], [0, 1], 2, 'rows'],
  ['fewer labels than rows', [1, 2, 3, 4], [0], 2, 'rows'],
  ['a label 2', [1, 2, 3, 4], [0, 2], 2, 'labels'],
  ['no rows', [], [], 2, 'labels'],
  ['no columns', [], [0, 1], 0, 'columnCount'],
  ['half a column', [1, 2, 3], [0, 1], 1.5, 'columnCount'],
  ['nothing but missing values', [Number.NaN, Number.NaN], [0, 1], 1, 'rows'],
  ['a −1 the library would take for missing', [1, -1], [0, 1], 1, 'rows'],
  ['an infinity', [1, Number.POSITIVE_INFINITY], [0, 1], 1, 'rows'],
  ['a negative infinity', [1, Number.NEGATIVE_INFINITY], [0, 1], 1, 'rows'],
];

for (const [what, rows, labels, columns, expected] of BAD_INPUTS) {
  test(`${what} is refused before the library sees it`, async () => {
    const { code, field } = await refusalOf(() =>
      Booster.create(Float32Array.from(rows), Uint8Array.from(labels), columns, {}),
    );
    assert.equal({ code, field }, { code: 'BOOSTER_INPUT_INVALID', field: expected });
  });
}

test('an encoded −1 is a value and not a missing one', async () => {
  const values = [toModelValue(-1), 1, Number.NaN];
  const rows = Float32Array.from({ length: 300 }, (_, k) => values[k % 3]!);
  const labels = Uint8Array.from({ length: 300 }, (_, k) => Number(k % 3 === 0));
  const booster = await Booster.create(rows, labels, 1, { max_depth: 1, min_child_weight: 0 });
  booster.train(10);
  const [minusOne, one, missing] = values.map((value) => booster.predictOne(Float32Array.of(value)));
  booster.free();
  assert.ok(minusOne! > 0.8, `−1 is always a winner, predicted ${minusOne}`);
  assert.ok(one! < 0.2 && missing! < 0.2, `1 and missing are always losers, predicted ${one} and ${missing}`);
});

test('a row of another width is refused instead of scored', async () => {
  const booster = await Booster.create(ROWS, LABELS, COLUMNS, BASE);
  booster.train(1);
  for (const width of [COLUMNS - 1, COLUMNS + 1]) {
    const { code, field } = await refusalOf(() => booster.predictOne(new Float32Array(width)));
    assert.equal({ code, field }, { code: 'BOOSTER_INPUT_INVALID', field: 'row' });
  }
  booster.free();
});

test('a booster that was freed is refused, and freeing it again is harmless', async () => {
  const booster = await Booster.create(ROWS, LABELS, COLUMNS, BASE);
  booster.train(1);
  booster.free();
  booster.free();
  const uses = [() => booster.train(1), () => booster.save(), () => booster.predictOne(new Float32Array(COLUMNS))];
  for (const use of uses) assert.is((await refusalOf(use)).code, 'BOOSTER_FAILED');
});

test('training and freeing again and again does not grow the WebAssembly heap', async () => {
  const library = createRequire(import.meta.url)('ml-xgboost/dist/wasm/xgboost.js') as { HEAPU8: Uint8Array };
  const rows = randomRows(40_000, 1, 13);
  const labels = noisyLabels(rows, 1, 14);
  const cycle = async (): Promise<void> => {
    const booster = await Booster.create(rows, labels, 1, { max_depth: 2 });
    booster.train(1);
    booster.save();
    booster.predictOne(rows.subarray(0, 1));
    booster.free();
  };
  for (let k = 0; k < 5; k++) await cycle();
  const settled = library.HEAPU8.length;
  // Rows and labels take 160 kB each a cycle: keeping either would show.
  for (let k = 0; k < 1.5 * (settled / rows.byteLength); k++) await cycle();
  assert.is(library.HEAPU8.length, settled);
});

for (const [name, value] of [
  ['max_depth', -1],
  ['max_bin', 1],
] as const) {
  test(`what the library throws about ${name} ${value} becomes an operating error`, async () => {
    const url = new URL('../support/failing-booster.worker.js', import.meta.url);
    const worker = new Worker(url, { workerData: { [name]: value }, stderr: true });
    const [error] = (await once(worker, 'message')) as [ErrorRecord | null];
    await worker.terminate();
    assert.is(error?.code, 'BOOSTER_FAILED');
    assert.match(error?.message ?? '', 'ml-xgboost failed in');
  });
}

test.run();
