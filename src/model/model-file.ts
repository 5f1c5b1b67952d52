import { OrchestratorError } from '../errors.js';

/** One tree as ml-xgboost stores it, nodes by index, node 0 the root; `left` is −1 on a leaf. */
export interface TreeNodes {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly feature: Int32Array;
  /** 1 where a missing value goes left. */
  readonly defaultLeft: Uint8Array;
  /** Split threshold (left iff x < threshold), or the leaf's value. */
  readonly value: Float32Array;
  /** Loss reduction of the split. */
  readonly gain: Float32Array;
  /** Sum of hessians that reached the node. */
  readonly cover: Float32Array;
}

export interface ModelFile {
  /** Margin (log-odds) every prediction starts from. */
  readonly baseMargin: number;
  readonly featureCount: number;
  readonly trees: readonly TreeNodes[];
}

const LEARNER_BYTES = 136;
const GBTREE_BYTES = 160;
const TREE_BYTES = 148;
const NODE_BYTES = 20;
const STAT_BYTES = 16;
const FEATURE_BITS = 0x7fffffff;

/**
 * Reads a binary model of XGBoost 0.7 as ml-xgboost 1.1.2 writes it: little endian, `gbtree`, one output group, no attributes.
 * Throws MODEL_UNSUPPORTED for any other kind, MODEL_CORRUPT for bytes that do not add up.
 */
export function parseModelFile(bytes: Uint8Array): ModelFile {
  const reader = new Reader(bytes);
  const learner = reader.skip(LEARNER_BYTES);
  const baseMargin = reader.f32(learner);
  const featureCount = reader.u32(learner + 4);
  if (reader.i32(learner + 12) !== 0 || reader.i32(learner + 16) !== 0) throw unsupported('attributes or metrics');
  reader.text();
  const booster = reader.text();
  if (booster !== 'gbtree') throw unsupported(`booster ${booster}`);
  const gbtree = reader.skip(GBTREE_BYTES);
  const treeCount = reader.i32(gbtree);
  if (reader.i32(gbtree + 24) !== 1) throw unsupported('more than one output group');
  if (reader.i32(gbtree + 28) !== 0) throw unsupported('leaf vectors');
  if (treeCount < 0 || treeCount * TREE_BYTES > bytes.length) throw corrupt();
  const trees = Array.from({ length: treeCount }, () => readTree(reader, featureCount));
  for (let k = 0; k < treeCount; k++) if (reader.i32(reader.skip(4)) !== 0) throw unsupported('tree groups');
  if (!reader.atEnd) throw corrupt();
  return { baseMargin, featureCount, trees };
}

function readTree(reader: Reader, featureCount: number): TreeNodes {
  const head = reader.skip(TREE_BYTES);
  const count = reader.i32(head + 4);
  if (count < 1) throw corrupt();
  const nodes = reader.skip(count * NODE_BYTES);
  const stats = reader.skip(count * STAT_BYTES);
  const tree = {
    left: new Int32Array(count),
    right: new Int32Array(count),
    feature: new Int32Array(count),
    defaultLeft: new Uint8Array(count),
    value: new Float32Array(count),
    gain: new Float32Array(count),
    cover: new Float32Array(count),
  };
  for (let k = 0; k < count; k++) {
    const node = nodes + k * NODE_BYTES;
    const split = reader.u32(node + 12);
    tree.left[k] = reader.i32(node + 4);
    tree.right[k] = reader.i32(node + 8);
    tree.feature[k] = split & FEATURE_BITS;
    tree.defaultLeft[k] = split >>> 31;
    tree.value[k] = reader.f32(node + 16);
    tree.gain[k] = reader.f32(stats + k * STAT_BYTES);
    tree.cover[k] = reader.f32(stats + k * STAT_BYTES + 4);
  }
  checkReachable(tree, featureCount);
  return tree;
}

/** Pruned nodes stay in the array unreachable and full of sentinels, so only what the root reaches is held to the rules. */
function checkReachable(tree: TreeNodes, featureCount: number): void {
  const count = tree.left.length;
  const pending = [0];
  for (let visited = 0; pending.length > 0; visited++) {
    if (visited >= count) throw corrupt();
    const node = pending.pop()!;
    if (tree.left[node] === -1) continue;
    for (const child of [tree.left[node]!, tree.right[node]!]) {
      if (child <= 0 || child >= count) throw corrupt();
      pending.push(child);
    }
    if (tree.feature[node]! >= featureCount) throw corrupt();
  }
}

class Reader {
  private readonly view: DataView;
  private position = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.position === this.bytes.length;
  }

  /** Moves past a block and returns where it began. */
  skip(length: number): number {
    const start = this.position;
    if (!(length >= 0) || start + length > this.bytes.length) throw corrupt();
    this.position = start + length;
    return start;
  }

  f32(at: number): number {
    return this.view.getFloat32(at, true);
  }

  i32(at: number): number {
    return this.view.getInt32(at, true);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  text(): string {
    const length = Number(this.view.getBigUint64(this.skip(8), true));
    const start = this.skip(length);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }
}

function unsupported(what: string): OrchestratorError {
  return new OrchestratorError('MODEL_UNSUPPORTED', `the model file has ${what}`, { field: 'model' });
}

function corrupt(): OrchestratorError {
  return new OrchestratorError('MODEL_CORRUPT', 'the model file is damaged', { field: 'model' });
}
