import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toModelValue } from '../../src/features/feature-set.js';
import { flattenForest, splitImportance } from '../../src/model/forest.js';
import { ForestScorer } from '../../src/model/forest-scorer.js';
import { marginOf, probabilityOf } from '../../src/model/log-odds.js';
import { type ModelFile, parseModelFile, type TreeNodes } from '../../src/model/model-file.js';
import { Booster, type BoosterParameters } from '../../src/model/xgboost.js';
import { noisyLabels, randomModel, randomRows } from '../support/forests.js';
import { seededRandom } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';
import { SCORER_ROWS } from '../support/sizes.js';

const COLUMNS = 5;
const SEED = 20_240_501;
const TRAINING_ROWS = randomRows(800, COLUMNS, SEED);
const TRAINING_LABELS = noisyLabels(TRAINING_ROWS, COLUMNS, SEED + 1);

/** Hands a booster that returns margins, and its parsed model, to `look`, and frees it. */
async function withModel(
  parameters: BoosterParameters,
  rounds: number,
  look: (booster: Booster, model: ModelFile) => void | Promise<void>,
): Promise<void> {
  const booster = await Booster.create(TRAINING_ROWS, TRAINING_LABELS, COLUMNS, parameters, 'binary:logitraw');
  try {
    booster.train(rounds);
    await look(booster, parseModelFile(booster.save()));
  } finally {
    booster.free();
  }
}

function assertSameMargins(booster: Booster, model: ModelFile, rows: Float32Array): void {
  const scorer = new ForestScorer(flattenForest(model));
  for (let offset = 0; offset < rows.length; offset += COLUMNS) {
    const expected = booster.predictOne(rows.subarray(offset, offset + COLUMNS));
    const margin = scorer.margin(rows, offset);
    if (!Object.is(margin, expected)) {
      assert.unreachable(`row ${offset / COLUMNS} of seed ${SEED}: ${margin} instead of the library's ${expected}`);
    }
  }
}

/** Nodes the root reaches. */
function reachable(tree: TreeNodes, node = 0): number[] {
  if (tree.left[node] === -1) return [node];
  return [node, ...reachable(tree, tree.left[node]), ...reachable(tree, tree.right[node])];
}

function depthOf(tree: TreeNodes, node = 0): number {
  return tree.left[node] === -1 ? 0 : 1 + Math.max(depthOf(tree, tree.left[node]), depthOf(tree, tree.right[node]));
}

const DEEP: BoosterParameters = { eta: 0.3, min_child_weight: 0, lambda: 0.1 };

for (let depth = 1; depth <= 8; depth++) {
  test(`margins of trees of depth ${depth} are the library's to the last bit`, async () => {
    await withModel({ ...DEEP, max_depth: depth }, 12, (booster, model) => {
      assert.is(Math.max(...model.trees.map((tree) => depthOf(tree))), depth);
      assert.is(flattenForest(model).depth, depth);
      assertSameMargins(booster, model, randomRows(SCORER_ROWS, COLUMNS, SEED + 10 + depth));
    });
  });
}

test('margins are the same to the last bit for any number of trees', async () => {
  for (const rounds of [1, 2, 3, 5, 6, 7, 9, 50]) {
    await withModel({ ...DEEP, max_depth: 3, subsample: 0.6 }, rounds, (booster, model) => {
      assert.is(model.trees.length, rounds);
      assertSameMargins(booster, model, randomRows(SCORER_ROWS, COLUMNS, SEED + 100 + rounds));
    });
  }
});

test('margins are the same to the last bit when branches were pruned', async () => {
  await withModel({ ...DEEP, max_depth: 6, gamma: 4 }, 11, (booster, model) => {
    const pruned = model.trees.filter((tree) => reachable(tree).length < tree.left.length);
    assert.ok(pruned.length > 0, 'gamma left unreachable nodes behind');
    assertSameMargins(booster, model, randomRows(SCORER_ROWS, COLUMNS, SEED + 200));
  });
});

for (const [name, value] of [
  ['min_child_weight', 1e9],
  ['gamma', 1e9],
] as const) {
  test(`margins are the same to the last bit when ${name} leaves trees of a single leaf`, async () => {
    await withModel({ ...DEEP, max_depth: 3, base_score: 0.3, [name]: value }, 6, (booster, model) => {
      assert.ok(model.trees.every((tree) => tree.left[0] === -1));
      // A root lighter than min_child_weight gets no weight at all; a pruned one keeps its own.
      assert.is(
        model.trees.some((tree) => tree.value[0] !== 0),
        name === 'gamma',
      );
      assertSameMargins(booster, model, randomRows(20, COLUMNS, SEED + 300));
    });
  });
}

test('a value on a threshold, or one float to either side of it, takes the branch the library takes', async () => {
  await withModel({ ...DEEP, max_depth: 5 }, 15, (booster, model) => {
    const thresholds = Array.from({ length: COLUMNS }, (): number[] => [Number.NaN]);
    for (const tree of model.trees) {
      for (const node of reachable(tree)) {
        if (tree.left[node] !== -1) thresholds[tree.feature[node]!]!.push(tree.value[node]!);
      }
    }
    assert.ok(thresholds.every((values) => values.length > 2));
    const random = seededRandom(SEED + 400);
    const rows = Float32Array.from({ length: SCORER_ROWS * COLUMNS }, (_, k) => {
      const values = thresholds[k % COLUMNS]!;
      const threshold = values[Math.floor(random() * values.length)]!;
      return toModelValue(floatsAway(threshold, Math.floor(random() * 3) - 1));
    });
    assertSameMargins(booster, model, rows);
  });
});

/** The float32 that many places above or below. */
function floatsAway(value: number, places: number): number {
  const float = Float32Array.of(value);
  const bits = new Int32Array(float.buffer);
  bits[0] = bits[0]! + (value < 0 ? -places : places);
  return float[0]!;
}

test('a tree deeper than eight is refused by the parameter that made it', async () => {
  await withModel({ ...DEEP, lambda: 0, max_depth: 9 }, 1, async (_booster, model) => {
    assert.is(depthOf(model.trees[0]!), 9);
    const { code, field } = await refusalOf(() => flattenForest(model));
    assert.equal({ code, field }, { code: 'MODEL_TOO_DEEP', field: 'max_depth' });
  });
});

test('a forest without trees answers its base margin to every row', () => {
  const baseMargin = Math.fround(-0.7);
  const scorer = new ForestScorer(flattenForest({ baseMargin, featureCount: 2, trees: [] }));
  assert.is(scorer.margin(Float32Array.of(1, 2), 0), baseMargin);
  assert.is(scorer.margin(Float32Array.of(Number.NaN, -5), 0), baseMargin);
});

test('one row scores the same wherever it lies and whatever was scored before it', () => {
  const model = randomModel(9, 4, COLUMNS, SEED + 500);
  const scorer = new ForestScorer(flattenForest(model));
  const rows = randomRows(50, COLUMNS, SEED + 501);
  for (let k = 0; k < 50; k++) {
    const alone = rows.slice(k * COLUMNS, (k + 1) * COLUMNS);
    assert.is(scorer.margin(rows, k * COLUMNS), new ForestScorer(flattenForest(model)).margin(alone, 0));
  }
});

test('split importance is what a walk over the reachable nodes adds up', async () => {
  await withModel({ ...DEEP, max_depth: 5, gamma: 3 }, 8, (_booster, model) => {
    const gain = new Float64Array(COLUMNS);
    const cover = new Float64Array(COLUMNS);
    const splits = new Float64Array(COLUMNS);
    let stored = 0;
    for (const tree of model.trees) {
      stored += tree.left.length;
      for (const node of reachable(tree)) {
        if (tree.left[node] === -1) continue;
        const feature = tree.feature[node]!;
        gain[feature]! += tree.gain[node]!;
        cover[feature]! += tree.cover[node]!;
        splits[feature]! += 1;
      }
    }
    const importance = splitImportance(model);
    assert.equal(importance.splits, splits);
    for (let k = 0; k < COLUMNS; k++) {
      assert.ok(Math.abs(importance.gain[k]! - gain[k]!) <= 1e-9 * gain[k]!);
      assert.ok(Math.abs(importance.cover[k]! - cover[k]!) <= 1e-9 * cover[k]!);
    }
    const counted = splits.reduce((sum, count) => sum + count, 0);
    assert.ok(counted > 0 && 2 * counted + model.trees.length < stored, 'pruned nodes are stored and not counted');
  });
});

test('the importance of the column the labels follow is the largest', async () => {
  await withModel({ max_depth: 3 }, 10, (_booster, model) => {
    const { gain } = splitImportance(model);
    assert.is(gain.indexOf(Math.max(...gain)), 0);
  });
});

test('a margin and its probability are inverse to each other', () => {
  for (const probability of [0.001, 0.25, 0.5, 0.9]) {
    assert.ok(Math.abs(probabilityOf(marginOf(probability)) - probability) < 1e-12);
  }
  assert.is(probabilityOf(0), 0.5);
  assert.ok(probabilityOf(2) > probabilityOf(1));
});

test.run();
