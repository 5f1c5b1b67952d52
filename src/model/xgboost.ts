import { createRequire } from 'node:module';
import { OrchestratorError } from '../errors.js';

type XgboostModule = typeof import('ml-xgboost/dist/wasm/xgboost.js').default;

/** XGBoost's documented parameters that this build honours under `hist`; it ignores unknown names silently, so nothing else is let through. */
const PARAMETER_NAMES = [
  'eta',
  'max_depth',
  'max_bin',
  'lambda',
  'alpha',
  'gamma',
  'min_child_weight',
  'max_delta_step',
  'subsample',
  'colsample_bytree',
  'base_score',
  'seed',
] as const;

export type BoosterParameters = Readonly<Partial<Record<(typeof PARAMETER_NAMES)[number], number>>>;

/** What a prediction is: a probability, or the margin behind it; the trees are the same. */
export type BoosterObjective = 'binary:logistic' | 'binary:logitraw';

/** What the library takes for "missing"; {@link toModelValue} keeps real values away from it. */
const MISSING = -1;
const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

/** What the library prints, which is where it puts the reason of a failure; only the newest lines are of use. */
const printed: string[] = [];
const PRINTED_MAX = 20;

let loading: Promise<XgboostModule> | undefined;

/** Loads the WebAssembly once per thread. Its heap only grows, and a throw inside leaves it undefined: run it in a worker that can be ended. */
function loadModule(): Promise<XgboostModule> {
  loading ??= startLoading();
  return loading;
}

function startLoading(): Promise<XgboostModule> {
  // required, not imported: the file is a script that assigns module.exports before it is ready.
  const module = createRequire(import.meta.url)('ml-xgboost/dist/wasm/xgboost.js') as XgboostModule;
  module.printErr = (text) => {
    printed.push(text);
    if (printed.length > PRINTED_MAX) printed.shift();
  };
  return module.isReady;
}

/** A boosted-tree classifier inside ml-xgboost, on the `hist` method. Must be freed. */
export class Booster {
  private freed = false;
  private trained = false;

  private constructor(
    private readonly module: XgboostModule,
    private readonly model: number,
    private readonly columnCount: number,
    private readonly labels: Uint8Array,
  ) {}

  /**
   * A booster over row-major float32 rows (NaN = missing) and labels 0/1, not trained yet.
   * Throws BOOSTER_INPUT_INVALID, BOOSTER_PARAMETER_UNKNOWN, BOOSTER_FAILED.
   */
  static async create(
    rows: Float32Array,
    labels: Uint8Array,
    columnCount: number,
    parameters: BoosterParameters,
    objective: BoosterObjective = 'binary:logistic',
  ): Promise<Booster> {
    checkInput(rows, labels, columnCount);
    checkParameters(parameters);
    const module = await loadModule();
    const rowPointer = copyToHeap(module, rows, (value) => (Number.isNaN(value) ? MISSING : value));
    const labelPointer = copyToHeap(module, labels, (label) => label);
    const model = guarded('create', () => module._create_model(rowPointer, labelPointer, labels.length, columnCount));
    module._free(rowPointer);
    module._free(labelPointer);
    const setParameter = module.cwrap('set_param', null, ['number', 'string', 'string']);
    const fixed = { booster: 'gbtree', objective, tree_method: 'hist', silent: 1 };
    for (const [name, value] of Object.entries({ ...fixed, ...parameters })) setParameter(model, name, String(value));
    return new Booster(module, model, columnCount, labels);
  }

  /** Adds boosting rounds; many small steps give the same trees as one large one. Throws BOOSTER_FAILED, after which the thread must be replaced. */
  train(rounds: number): void {
    this.checkLive();
    this.trained = true;
    guarded('train', () => this.module._train_full_model(this.model, rounds));
  }

  /** The model file of the trees so far. */
  save(): Uint8Array {
    this.checkLive();
    const size = guarded('save', () => this.module._save_model(this.model));
    if (size <= 0) throw new OrchestratorError('BOOSTER_FAILED', 'ml-xgboost could not save its model');
    const pointer = this.module._malloc(size);
    this.module._get_file_content(pointer, size);
    const bytes = this.module.HEAPU8.slice(pointer, pointer + size);
    this.module._free(pointer);
    return bytes;
  }

  /**
   * Gives every row a weight (finite, not negative, not all 0), before the first round. The library exports no way, so its matrix is found in the heap and patched; false, with nothing
   * changed, when what lies there is not the matrix this booster was made from.
   */
  setWeights(weights: Float32Array): boolean {
    this.checkLive();
    const total = weights.reduce((sum, weight) => sum + (weight >= 0 ? weight : Number.NaN), 0);
    if (this.trained || weights.length !== this.labels.length || !(total > 0 && Number.isFinite(total))) return false;
    const matrix = findMatrix(this.module, this.model, this.labels, this.columnCount);
    if (matrix === null) return false;
    const pointer = copyToHeap(this.module, weights, (weight) => weight);
    // The vector owns the memory from here on: begin, end, end of capacity.
    const words = new Int32Array(this.module.HEAPU8.buffer);
    const end = pointer + weights.length * FLOAT_BYTES;
    words.set([pointer, end, end], (matrix + MATRIX.weights) >> 2);
    return true;
  }

  /** The library's own prediction for one encoded row, in float32: slow, there to check the scorer against. */
  predictOne(row: Float32Array): number {
    this.checkLive();
    if (row.length !== this.columnCount) {
      throw new OrchestratorError('BOOSTER_INPUT_INVALID', `a row has ${this.columnCount} values, not ${row.length}`, {
        field: 'row',
      });
    }
    const rowPointer = copyToHeap(this.module, row, (value) => (Number.isNaN(value) ? MISSING : value));
    const outPointer = this.module._malloc(FLOAT_BYTES);
    guarded('predict', () => this.module._predict_one(this.model, rowPointer, this.columnCount, outPointer));
    const prediction = this.module.HEAPF32[outPointer / FLOAT_BYTES]!;
    this.module._free(rowPointer);
    this.module._free(outPointer);
    return prediction;
  }

  /** Gives the model's memory back to the WebAssembly heap; harmless when repeated. */
  free(): void {
    if (this.freed) return;
    this.freed = true;
    this.module._free_memory_model(this.model);
  }

  private checkLive(): void {
    if (this.freed) throw new OrchestratorError('BOOSTER_FAILED', 'the booster was freed already');
  }
}

function checkInput(rows: Float32Array, labels: Uint8Array, columnCount: number): void {
  const refuse = (message: string, field: string): never => {
    throw new OrchestratorError('BOOSTER_INPUT_INVALID', message, { field });
  };
  if (!Number.isInteger(columnCount) || columnCount < 1) refuse(`${columnCount} columns`, 'columnCount');
  if (labels.length === 0) refuse('no rows', 'labels');
  if (rows.length !== labels.length * columnCount) {
    refuse(`${rows.length} values are not ${labels.length} rows of ${columnCount}`, 'rows');
  }
  if (labels.some((label) => label > 1)) refuse('a label is neither 0 nor 1', 'labels');
  let known = 0;
  for (let i = 0; i < rows.length; i++) {
    const value = rows[i]!;
    if (value === MISSING || value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
      refuse(`value ${value} in row ${Math.floor(i / columnCount)} was not encoded`, 'rows');
    }
    if (!Number.isNaN(value)) known++;
  }
  if (known === 0) refuse('every value is missing', 'rows');
}

function checkParameters(parameters: BoosterParameters): void {
  for (const [name, value] of Object.entries(parameters)) {
    if (!(PARAMETER_NAMES as readonly string[]).includes(name)) {
      throw new OrchestratorError('BOOSTER_PARAMETER_UNKNOWN', `${name} is no parameter of this build`, {
        field: name,
      });
    }
    if (!Number.isFinite(value))
      throw new OrchestratorError('BOOSTER_INPUT_INVALID', `parameter ${name} is ${value}`, { field: name });
  }
}

/** Where a matrix of this build keeps what is looked at, in bytes from its start. */
const MATRIX = { rowCount: 8, columnCount: 16, labels: 32, weights: 68 } as const;

/** The heap address of the booster's matrix (ml-xgboost 1.1.2: model + 4 → holder → handle → matrix + 8), or null when it does not look like it in every detail. */
function findMatrix(module: XgboostModule, model: number, labels: Uint8Array, columnCount: number): number | null {
  const words = new Int32Array(module.HEAPU8.buffer);
  const floats = module.HEAPF32;
  const follow = (address: number): number => (address > 0 && address % 4 === 0 ? (words[address >> 2] ?? 0) : 0);
  const handle = follow(follow(follow(model + 4)));
  const matrix = handle === 0 ? 0 : follow(handle + 8);
  if (matrix === 0) return null;
  const at = (offset: number): number => words[(matrix + offset) >> 2] ?? -1;
  const sizes = [at(MATRIX.rowCount), at(MATRIX.rowCount + 4), at(MATRIX.columnCount), at(MATRIX.columnCount + 4)];
  if (sizes.join() !== [labels.length, 0, columnCount, 0].join()) return null;
  const first = at(MATRIX.labels);
  if (at(MATRIX.labels + 4) - first !== labels.length * FLOAT_BYTES) return null;
  if (!labels.every((label, row) => floats[(first >> 2) + row] === label)) return null;
  const unweighted = at(MATRIX.weights) === at(MATRIX.weights + 4);
  return unweighted ? matrix : null;
}

function copyToHeap(
  module: XgboostModule,
  values: Float32Array | Uint8Array,
  encode: (value: number) => number,
): number {
  const pointer = module._malloc(values.length * FLOAT_BYTES);
  // The heap view is taken after the allocation, which may have replaced it.
  const heap = module.HEAPF32;
  const start = pointer / FLOAT_BYTES;
  for (let i = 0; i < values.length; i++) heap[start + i] = encode(values[i]!);
  return pointer;
}

/** The library throws strings and prints the reason; this is the one place that expects them. */
function guarded<T>(step: string, call: () => T): T {
  printed.length = 0;
  try {
    return call();
  } catch (error) {
    const reason =
      printed.find((line) => line.includes('Check failed') || line.includes('rror')) ?? String(error).slice(0, 200);
    throw new OrchestratorError('BOOSTER_FAILED', `ml-xgboost failed in ${step}: ${reason}`, { cause: error });
  }
}
