import { OrchestratorError } from '../errors.js';
import { invariant } from '../invariant.js';
import type { ModelFile, TreeNodes } from './model-file.js';

export const FOREST_DEPTH_MAX = 8;
/** Trees walked side by side, so that one tree's loads hide behind another's. */
const TREES_ABREAST = 4;

/**
 * Boosted trees, each padded to a perfect binary tree of one common depth D and laid out in heap order: node 1 is the root, the children of i are
 * 2i and 2i + 1, and slot 2^D + leaf of a D-step walk is the leaf. Plain typed arrays, ready to lie in shared memory:
 *
 *   feature    Uint16  [tree][2^D]   which entry of the doubled row to compare (see {@link ForestScorer}); slot 0 unused
 *   threshold  Float32 [tree][2^D]   right iff value >= threshold
 *   leaf       Float32 [tree][2^D]   leaf values
 *
 * The number of trees is padded to a multiple of four with trees that add 0.
 */
export interface Forest {
  readonly baseMargin: number;
  readonly depth: number;
  /** Trees before padding. */
  readonly treeCount: number;
  readonly featureCount: number;
  readonly feature: Uint16Array;
  readonly threshold: Float32Array;
  readonly leaf: Float32Array;
}

/** Sizes of a forest's arrays, each `paddedTrees × 2^depth` long. */
export function forestLength(treeCount: number, depth: number): number {
  return Math.ceil(treeCount / TREES_ABREAST) * TREES_ABREAST * (1 << depth);
}

/** Flattens a parsed model. Throws MODEL_TOO_DEEP beyond depth 8. */
export function flattenForest(model: ModelFile): Forest {
  const depth = Math.max(1, ...model.trees.map((tree) => depthOf(tree, 0)));
  if (depth > FOREST_DEPTH_MAX) {
    throw new OrchestratorError('MODEL_TOO_DEEP', `a tree of depth ${depth}; at most ${FOREST_DEPTH_MAX} are served`, {
      field: 'max_depth',
    });
  }
  invariant(2 * model.featureCount <= 0xffff, 'a doubled row is addressed by 16 bits');
  const length = forestLength(model.trees.length, depth);
  const forest: Forest = {
    baseMargin: model.baseMargin,
    depth,
    treeCount: model.trees.length,
    featureCount: model.featureCount,
    feature: new Uint16Array(length),
    threshold: new Float32Array(length),
    leaf: new Float32Array(length),
  };
  for (const [index, tree] of model.trees.entries()) placeNode(forest, tree, 0, index << depth, 1);
  return forest;
}

/** Total gain, total cover and number of splits by feature. */
export interface SplitImportance {
  readonly gain: Float64Array;
  readonly cover: Float64Array;
  readonly splits: Float64Array;
}

export function splitImportance(model: ModelFile): SplitImportance {
  const gain = new Float64Array(model.featureCount);
  const cover = new Float64Array(model.featureCount);
  const splits = new Float64Array(model.featureCount);
  for (const tree of model.trees) {
    const pending = [0];
    while (pending.length > 0) {
      const node = pending.pop()!;
      if (tree.left[node] === -1) continue;
      const feature = tree.feature[node]!;
      gain[feature] = gain[feature]! + tree.gain[node]!;
      cover[feature] = cover[feature]! + tree.cover[node]!;
      splits[feature] = splits[feature]! + 1;
      pending.push(tree.left[node]!, tree.right[node]!);
    }
  }
  return { gain, cover, splits };
}

/** Scores encoded rows with one forest; keeps a scratch row, so a scorer belongs to one thread. */
export class ForestScorer {
  /** The row twice: missing as −∞ for nodes that send it left, then as +∞ for nodes that send it right. */
  private readonly doubled: Float32Array;

  constructor(readonly forest: Forest) {
    this.doubled = new Float32Array(2 * forest.featureCount);
  }

  /** The margin (log-odds), bit-equal to ml-xgboost's: leaves are added in tree order in float32, the base last. */
  margin(rows: Float32Array, offset: number): number {
    const { depth, treeCount, feature, threshold, leaf, featureCount } = this.forest;
    const x = this.doubled;
    for (let k = 0; k < featureCount; k++) {
      const value = rows[offset + k]!;
      const missing = Number.isNaN(value);
      x[k] = missing ? Number.NEGATIVE_INFINITY : value;
      x[featureCount + k] = missing ? Number.POSITIVE_INFINITY : value;
    }
    const size = 1 << depth;
    const mask = size - 1;
    let sum = 0;
    for (let tree = 0; tree < treeCount; tree += TREES_ABREAST) {
      const ta = tree << depth;
      const tb = ta + size;
      const tc = tb + size;
      const td = tc + size;
      let a = 1;
      let b = 1;
      let c = 1;
      let d = 1;
      // Two levels a turn: half of the loop's overhead, which is a third of the walk.
      for (let level = depth; level > 1; level -= 2) {
        a = (a << 1) | +(x[feature[ta | a]!]! >= threshold[ta | a]!);
        b = (b << 1) | +(x[feature[tb | b]!]! >= threshold[tb | b]!);
        c = (c << 1) | +(x[feature[tc | c]!]! >= threshold[tc | c]!);
        d = (d << 1) | +(x[feature[td | d]!]! >= threshold[td | d]!);
        a = (a << 1) | +(x[feature[ta | a]!]! >= threshold[ta | a]!);
        b = (b << 1) | +(x[feature[tb | b]!]! >= threshold[tb | b]!);
        c = (c << 1) | +(x[feature[tc | c]!]! >= threshold[tc | c]!);
        d = (d << 1) | +(x[feature[td | d]!]! >= threshold[td | d]!);
      }
      if ((depth & 1) === 1) {
        a = (a << 1) | +(x[feature[ta | a]!]! >= threshold[ta | a]!);
        b = (b << 1) | +(x[feature[tb | b]!]! >= threshold[tb | b]!);
        c = (c << 1) | +(x[feature[tc | c]!]! >= threshold[tc | c]!);
        d = (d << 1) | +(x[feature[td | d]!]! >= threshold[td | d]!);
      }
      sum = Math.fround(sum + leaf[ta | (a & mask)]!);
      sum = Math.fround(sum + leaf[tb | (b & mask)]!);
      sum = Math.fround(sum + leaf[tc | (c & mask)]!);
      sum = Math.fround(sum + leaf[td | (d & mask)]!);
    }
    return Math.fround(this.forest.baseMargin + sum);
  }
}

/** The logistic function. */
export function probabilityOf(margin: number): number {
  return 1 / (1 + Math.exp(-margin));
}

/** Log-odds of a probability. */
export function marginOf(probability: number): number {
  return Math.log(probability / (1 - probability));
}

function depthOf(tree: TreeNodes, node: number): number {
  if (tree.left[node] === -1) return 0;
  return 1 + Math.max(depthOf(tree, tree.left[node]!), depthOf(tree, tree.right[node]!));
}

/** Writes the subtree of `node` at heap position `at`; a leaf above the bottom fills every slot below it, so that any walk ends in its value. */
function placeNode(forest: Forest, tree: TreeNodes, node: number, offset: number, at: number): void {
  const size = 1 << forest.depth;
  const isLeaf = tree.left[node] === -1;
  if (at >= size) {
    invariant(isLeaf, 'no tree is deeper than its forest');
    forest.leaf[offset + at - size] = tree.value[node]!;
    return;
  }
  if (isLeaf) {
    placeNode(forest, tree, node, offset, 2 * at);
    placeNode(forest, tree, node, offset, 2 * at + 1);
    return;
  }
  forest.feature[offset + at] = tree.feature[node]! + (tree.defaultLeft[node] === 1 ? 0 : forest.featureCount);
  forest.threshold[offset + at] = tree.value[node]!;
  placeNode(forest, tree, tree.left[node]!, offset, 2 * at);
  placeNode(forest, tree, tree.right[node]!, offset, 2 * at + 1);
}
