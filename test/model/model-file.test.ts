import { createRequire } from 'node:module';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { parseModelFile } from '../../src/model/model-file.js';
import { Booster } from '../../src/model/xgboost.js';
import { noisyLabels, randomRows } from '../support/forests.js';
import { seededRandom } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';
import { BIT_FLIPS } from '../support/sizes.js';

const COLUMNS = 3;
const ROWS = randomRows(200, COLUMNS, 21);
const LABELS = noisyLabels(ROWS, COLUMNS, 22);

async function smallModel(rounds = 3): Promise<Uint8Array> {
  const booster = await Booster.create(ROWS, LABELS, COLUMNS, { max_depth: 2, base_score: 0.2 });
  booster.train(rounds);
  const bytes = booster.save();
  booster.free();
  return bytes;
}

test('a saved model is read back with its trees, its width and its base margin', async () => {
  const model = parseModelFile(await smallModel());
  assert.is(model.trees.length, 3);
  assert.is(model.featureCount, COLUMNS);
  assert.ok(Math.abs(model.baseMargin - Math.log(0.2 / 0.8)) < 1e-6, `base margin ${model.baseMargin}`);
  for (const tree of model.trees) {
    assert.ok(tree.left[0]! > 0 && tree.right[0]! > 0, 'the root splits');
    assert.ok(tree.gain[0]! > 0);
    const children = tree.cover[tree.left[0]!]! + tree.cover[tree.right[0]!]!;
    assert.ok(Math.abs(tree.cover[0]! - children) < 1e-3, 'the cover of a node is the sum of its children');
  }
});

test('a model without trees is read as one', async () => {
  assert.is(parseModelFile(await smallModel(0)).trees.length, 0);
});

test('a model cut off at any byte is refused as corrupt', async () => {
  const bytes = await smallModel();
  for (let length = 0; length < bytes.length; length++) {
    const { code } = await refusalOf(() => parseModelFile(bytes.subarray(0, length)));
    assert.is(code, 'MODEL_CORRUPT', `cut off at byte ${length}`);
  }
});

test('a model with a byte too many is refused as corrupt', async () => {
  const bytes = await smallModel();
  const { code } = await refusalOf(() => parseModelFile(Uint8Array.from([...bytes, 0])));
  assert.is(code, 'MODEL_CORRUPT');
});

test('a flipped byte is refused with a code or gives a model that can be walked', async () => {
  const seed = 23;
  const bytes = await smallModel();
  const random = seededRandom(seed);
  let refused = 0;
  for (let k = 0; k < BIT_FLIPS; k++) {
    const damaged = bytes.slice();
    const at = Math.floor(random() * damaged.length);
    damaged[at] = damaged[at]! ^ (1 + Math.floor(random() * 255));
    try {
      const { trees, featureCount } = parseModelFile(damaged);
      for (const tree of trees) {
        const pending = [0];
        for (let steps = 0; pending.length > 0; steps++) {
          assert.ok(steps < tree.left.length, `a walk after flip ${k} of seed ${seed} ends`);
          const node = pending.pop()!;
          if (tree.left[node] === -1) continue;
          assert.ok(tree.feature[node]! < featureCount);
          pending.push(tree.left[node]!, tree.right[node]!);
        }
      }
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      assert.ok(
        ['MODEL_CORRUPT', 'MODEL_UNSUPPORTED'].includes(error.code),
        `${error.code}, flip ${k} of seed ${seed}`,
      );
      refused++;
    }
  }
  assert.ok(refused > 0, 'some flips were noticed');
});

test('a tree that leads back into itself is refused instead of walked for ever', async () => {
  const bytes = await smallModel(1);
  const { left, right } = parseModelFile(bytes).trees[0]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  // The file ends with nodes of 20 bytes, their statistics of 16, and the tree's group of 4.
  const nodes = bytes.length - 4 - 36 * left.length;
  for (const child of [0, right[0]!, left.length, -7]) {
    const leaf = left.indexOf(-1);
    const copy = new DataView(bytes.slice().buffer);
    copy.setInt32(nodes + 20 * leaf + 4, child, true);
    copy.setInt32(nodes + 20 * leaf + 8, child, true);
    const { code } = await refusalOf(() => parseModelFile(new Uint8Array(copy.buffer)));
    assert.is(code, 'MODEL_CORRUPT', `a leaf that links to ${child}`);
  }
  assert.is(view.getInt32(nodes + 4, true), left[0], 'the nodes were where they were looked for');
});

test('a dart model, whose trees are weighted, is refused as unsupported', async () => {
  const { code, message } = await refusalOf(async () => parseModelFile(await dartModel()));
  assert.is(code, 'MODEL_UNSUPPORTED');
  assert.match(message, 'dart');
});

async function dartModel(): Promise<Uint8Array> {
  type Library = typeof import('ml-xgboost/dist/wasm/xgboost.js').default;
  const library = await (createRequire(import.meta.url)('ml-xgboost/dist/wasm/xgboost.js') as Library).isReady;
  const rows = library._malloc(4 * ROWS.length);
  library.HEAPF32.set(
    ROWS.map((value) => (Number.isNaN(value) ? 0 : value)),
    rows / 4,
  );
  const labels = library._malloc(4 * LABELS.length);
  library.HEAPF32.set(LABELS, labels / 4);
  const model = library._create_model(rows, labels, LABELS.length, COLUMNS);
  const setParameter = library.cwrap('set_param', null, ['number', 'string', 'string']);
  setParameter(model, 'booster', 'dart');
  setParameter(model, 'objective', 'binary:logistic');
  library._train_full_model(model, 2);
  const size = library._save_model(model);
  const pointer = library._malloc(size);
  library._get_file_content(pointer, size);
  return library.HEAPU8.slice(pointer, pointer + size);
}

test.run();
