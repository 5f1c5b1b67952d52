import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrorRecord } from '../../src/errors.js';
import { toModelValue } from '../../src/features/feature-set.js';
import { type ModelFile, parseModelFile } from '../../src/model/model-file.js';
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

/** Every round sees all rows, so that covers can be worked. */
const WEIGHED: BoosterParameters = { max_depth: 3, eta: 0.3, min_child_weight: 1, base_score: 0.3 };
/** p(1 − p) at the base score: what a row of weight 1 adds to the first tree's root. */
const HESSIAN = 0.3 * 0.7;
/** Sums of hundreds of float32 hessians. */
const COVER_ROUNDING = 1e-4;

/** A trained booster's model file; each of `weightings` is set in turn and must be answered as stated. */
async function weightedBytes(
  weightings: readonly (readonly [Float32Array, boolean])[],
  { rows = ROWS, labels = LABELS, columns = COLUMNS, parameters = WEIGHED, rounds = 5 } = {},
): Promise<Buffer> {
  const booster = await Booster.create(rows, labels, columns, parameters);
  try {
    for (const [weights, accepted] of weightings) assert.is(booster.setWeights(weights), accepted);
    booster.train(rounds);
    return Buffer.from(booster.save());
  } finally {
    booster.free();
  }
}

function constant(weight: number): Float32Array {
  return new Float32Array(LABELS.length).fill(weight);
}

/** Weights from 0.25 to 2.2 in no order. */
const UNEVEN = Float32Array.from(LABELS, (_, row) => 0.25 + ((row * 7919) % 40) / 20);

function rootCover(model: ModelFile): number {
  return model.trees[0]!.cover[0]!;
}

function assertCover(actual: number, expected: number): void {
  assert.ok(Math.abs(actual / expected - 1) < COVER_ROUNDING, `cover ${actual} is not ${expected}`);
}

test('rows that all weigh 1 give the same model bytes as rows without a weight', async () => {
  const plain = await weightedBytes([]);
  assert.ok(plain.equals(await weightedBytes([[constant(1), true]])));
  assert.not.ok(plain.equals(await weightedBytes([[UNEVEN, true]])), 'other weights give another model');
});

test('the cover of the first root is the weighted sum of the hessians', async () => {
  assertCover(rootCover(parseModelFile(await weightedBytes([]))), HESSIAN * LABELS.length);
  assertCover(rootCover(parseModelFile(await weightedBytes([[constant(2), true]]))), 2 * HESSIAN * LABELS.length);
  const total = UNEVEN.reduce((sum, weight) => sum + weight, 0);
  assert.ok(Math.abs(total / LABELS.length - 1) > 0.1, 'the uneven weights do not add up to the rows');
  assertCover(rootCover(parseModelFile(await weightedBytes([[UNEVEN, true]]))), HESSIAN * total);
});

/** Four columns of eight values each, so that the same cuts are tried however many rows there are. */
const STEPPED = ROWS.map((value) => (Number.isNaN(value) ? value : Math.floor(2 * value)));

function rowsOf(chosen: readonly number[]): { rows: Float32Array; labels: Uint8Array } {
  const encode = (value: number): number => toModelValue(value);
  const rows = Float32Array.from(
    chosen.flatMap((row) => [...STEPPED.slice(row * COLUMNS, (row + 1) * COLUMNS)].map(encode)),
  );
  return { rows, labels: Uint8Array.from(chosen, (row) => LABELS[row]!) };
}

test('rows of weight 0 and 2 count like rows left out and rows given twice', async () => {
  const every = [...LABELS.keys()];
  const weights = Float32Array.from(every, (row) => (row % 2 === 0 ? 2 : 0));
  const even = every.filter((row) => row % 2 === 0);
  const weighted = parseModelFile(await weightedBytes([[weights, true]], rowsOf(every)));
  const twice = parseModelFile(await weightedBytes([], rowsOf([...even, ...even])));
  const once = parseModelFile(await weightedBytes([], rowsOf(even)));
  assertCover(rootCover(weighted), rootCover(twice));
  assertCover(rootCover(weighted), 2 * rootCover(once));
  const { feature, left, cover, value } = weighted.trees[0]!;
  assert.equal({ feature, left }, { feature: twice.trees[0]!.feature, left: twice.trees[0]!.left }, 'the same splits');
  for (const [node, one] of cover.entries()) {
    assertCover(one, twice.trees[0]!.cover[node]!);
    if (left[node] === -1) assert.ok(Math.abs(value[node]! - twice.trees[0]!.value[node]!) < COVER_ROUNDING);
  }
});

test('weights of another length are refused and nothing is changed', async () => {
  const plain = await weightedBytes([]);
  const wrong = [UNEVEN.subarray(1), new Float32Array([...UNEVEN, 1]), new Float32Array(0)];
  for (const weights of wrong) assert.ok(plain.equals(await weightedBytes([[weights, false]])));
  const weighted = await weightedBytes([[UNEVEN, true]]);
  const afterwards = await weightedBytes([
    [wrong[0]!, false],
    [UNEVEN, true],
  ]);
  assert.ok(weighted.equals(afterwards), 'the right ones are still taken');
});

test('rows that have weights keep them', async () => {
  const weighted = await weightedBytes([[UNEVEN, true]]);
  const again = await weightedBytes([
    [UNEVEN, true],
    [constant(2), false],
    [UNEVEN, false],
  ]);
  assert.ok(weighted.equals(again));
});

test('the weights are copied', async () => {
  const weights = UNEVEN.slice();
  const booster = await Booster.create(ROWS, LABELS, COLUMNS, WEIGHED);
  assert.ok(booster.setWeights(weights));
  weights.fill(0);
  booster.train(5);
  assert.ok((await weightedBytes([[UNEVEN, true]])).equals(booster.save()));
  booster.free();
});

test('two boosters alive at once keep their own weights', async () => {
  const [first, second] = [
    await Booster.create(ROWS, LABELS, COLUMNS, WEIGHED),
    await Booster.create(ROWS, LABELS, COLUMNS, WEIGHED),
  ];
  assert.ok(second.setWeights(UNEVEN));
  for (const booster of [first, second]) booster.train(5);
  assert.ok((await weightedBytes([])).equals(first.save()));
  assert.ok((await weightedBytes([[UNEVEN, true]])).equals(second.save()));
  first.free();
  second.free();
});

test('a booster that was freed takes no weights', async () => {
  const booster = await Booster.create(ROWS, LABELS, COLUMNS, WEIGHED);
  booster.free();
  assert.is((await refusalOf(() => booster.setWeights(UNEVEN))).code, 'BOOSTER_FAILED');
});

test('training with weights and freeing again and again does not grow the WebAssembly heap', async () => {
  const library = createRequire(import.meta.url)('ml-xgboost/dist/wasm/xgboost.js') as { HEAPU8: Uint8Array };
  const rows = randomRows(40_000, 1, 15);
  const labels = noisyLabels(rows, 1, 16);
  const weights = Float32Array.from(labels, (_, row) => 0.5 + (row % 3) / 2);
  const cycle = async (): Promise<void> => {
    const booster = await Booster.create(rows, labels, 1, { max_depth: 2 });
    assert.ok(booster.setWeights(weights));
    assert.not.ok(booster.setWeights(weights.subarray(1)));
    booster.train(1);
    booster.free();
  };
  for (let k = 0; k < 5; k++) await cycle();
  const settled = library.HEAPU8.length;
  // The weights take 160 kB a cycle: kept, they would fill all of the heap there is.
  for (let k = 0; k < settled / weights.byteLength; k++) await cycle();
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
