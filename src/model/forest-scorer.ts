import { type Forest, TREES_ABREAST } from './forest.js';

/** Scores encoded rows with one forest; keeps a scratch row, so a scorer belongs to one thread. */
export class ForestScorer {
  private readonly walk: TreeWalk;

  constructor(readonly forest: Forest) {
    this.walk = compileTreeWalk(forest);
  }

  /** The margin (log-odds) of the row at `offset`, bit-equal to ml-xgboost's: leaves are added in tree order in float32, the base last. */
  margin(rows: Float32Array, offset: number): number {
    return this.walk(rows, offset);
  }
}

/** The margin of the encoded row at `offset`. */
type TreeWalk = (rows: Float32Array, offset: number) => number;

/**
 * A function that scores rows with this forest alone. Its source is put together for the forest's depth, every level written out, and the arrays become
 * constants of the compiled code: that is about 1.7 times as fast as one loop for all forests, which spends its time on bounds and addresses.
 * Only integers enter the source. The row is kept twice, missing as −∞ for nodes that send it left and as +∞ for nodes that send it right.
 */
function compileTreeWalk(forest: Forest): TreeWalk {
  const { depth, featureCount, feature, threshold, leaf, baseMargin } = forest;
  const size = 1 << depth;
  const lanes = Array.from({ length: TREES_ABREAST }, (_, lane) => ({
    at: `n${lane}`,
    tree: `t${lane}`,
    offset: lane * size,
  }));
  const level = lanes
    .map(({ at, tree }) => `${at} = (${at} << 1) | +(x[feature[${tree} | ${at}]] >= threshold[${tree} | ${at}]);`)
    .join('\n');
  const source = `
    return (rows, offset) => {
      for (let k = 0; k < ${featureCount}; k++) {
        const value = rows[offset + k];
        const missing = Number.isNaN(value);
        x[k] = missing ? -Infinity : value;
        x[${featureCount} + k] = missing ? Infinity : value;
      }
      let sum = 0;
      for (let first = 0; first < ${leaf.length}; first += ${TREES_ABREAST * size}) {
        ${lanes.map(({ at, tree, offset }) => `const ${tree} = first + ${offset}; let ${at} = 1;`).join('\n')}
        ${Array.from({ length: depth }, () => level).join('\n')}
        ${lanes.map(({ at, tree }) => `sum = Math.fround(sum + leaf[${tree} | (${at} & ${size - 1})]);`).join('\n')}
      }
      return Math.fround(baseMargin + sum);
    };`;
  const build = new Function('feature', 'threshold', 'leaf', 'x', 'baseMargin', source) as (
    ...constants: unknown[]
  ) => TreeWalk;
  return build(feature, threshold, leaf, new Float32Array(2 * featureCount), baseMargin);
}
