import { OrchestratorError } from '../errors.js';
import { invariant } from '../invariant.js';
import type { ModelFile, TreeNodes } from './model-file.js';

export const FOREST_DEPTH_MAX = 8;
/** Trees walked side by side, so that one tree's loads hide behind another's; forests are padded to it. */
export const TREES_ABREAST = 4;

/**
 * Boosted trees, each padded to a perfect binary tree of one common depth D and laid out in heap order: node 1 is the root, the children of i are
 * 2i and 2i + 1, and slot 2^D + leaf of a D-step walk is the leaf. Plain typed arrays, ready to lie in shared memory:
 *
 *   feature    Uint16  [tree][2^D]   which entry of the doubled row to compare (see the forest scorer); slot 0 unused
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
