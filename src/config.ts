import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { OrchestratorError } from './errors.js';
import { FEATURE_NAMES } from './features/feature-row.js';
import { PRIMARY_SIGNALS } from './primary/primary-signal.js';
import { redisIssues, redisSchema } from './redis-config.js';

const fraction = z.number().min(0).max(1);
const positive = z.number().positive();
const count = z.int().positive();
/** JSON has no bigint: an integer, or its digits as text where it is beyond 2^53. */
const nanoseconds = z.union([z.bigint().positive(), count, z.string().regex(/^[1-9]\d*$/)]).transform(BigInt);

const labelsSchema = z.strictObject({
  ptMultiplier: positive.default(2),
  slMultiplier: positive.default(1),
  maxHoldingBars: count.default(10),
  touch: z.enum(['close', 'high-low']).default('high-low'),
  entry: z.enum(['signal-close', 'next-open']).default('next-open'),
  costBps: z.number().min(0).default(0),
  minReturn: z.number().default(0),
  labelCost: z.enum(['gross', 'net']).default('gross'),
});

const vpinSchema = z.strictObject({
  barsPerBucket: positive.default(25),
  volumeWindow: count.default(1440),
  nBuckets: count.default(50),
  sigmaWindow: count.default(50),
});

const trainingSchema = z.strictObject({
  trainBars: count.nullable().default(null),
  testBars: count.nullable().default(null),
  embargoBars: z.int().min(0).default(0),
  expanding: z.boolean().default(false),
  rounds: count.default(80),
  earlyStoppingRounds: count.nullable().default(null),
  maxDepth: z.int().min(1).max(8).default(3),
  eta: z.number().positive().max(1).default(0.05),
  subsample: z.number().positive().max(1).default(0.5),
  colsampleByTree: z.number().positive().max(1).default(0.7),
  lambda: z.number().min(0).default(10),
  gamma: z.number().min(0).default(0),
  minChildWeight: z.number().min(0).default(25),
  seed: z.int().min(0).max(0x7fffffff).default(42),
  queuedMax: count.default(4),
  lookAhead: z.enum(['refuse', 'allow']).default('refuse'),
});

const sizingSchema = z.strictObject({
  mode: z.enum(['edge', 'linear']).default('edge'),
  kappa: z.number().positive().max(1).default(0.25),
  maxFraction: z.number().positive().max(1).default(1),
  exponent: z.number().min(0).default(0.5),
  fractionalKelly: z.number().min(0).default(0.5),
  minSize: z.number().min(0).default(0.01),
  maxSize: positive.default(1),
});

const storeSchema = z.strictObject({
  instrumentsMax: count.default(4096),
  barsPerInstrument: z
    .int()
    .min(128)
    .refine((bars) => Number.isInteger(Math.log2(bars)), 'must be a power of two')
    .default(1024),
});

const retrainSchema = z.strictObject({
  mode: z.enum(['auto', 'manual']).default('auto'),
  labelsPerFalseAlarm: z.number().min(100).default(20_000),
  sampleCount: count.nullable().default(null),
  intervalMs: positive.nullable().default(null),
  cooldownBars: z.int().min(0).default(500),
  barsMax: z.int().min(2000).default(60_000),
  testBars: count.nullable().default(null),
  primarySignal: z.enum(PRIMARY_SIGNALS).nullable().default(null),
  maxTestsPerYear: z.int().min(1).max(365).default(24),
  errorPerYear: z.number().positive().max(0.5).default(0.05),
});

const retentionSchema = z.strictObject({
  days: positive.default(400),
  signals: count.default(2_000_000),
  barsPerInstrument: count.default(2_000_000),
});

/** Most workers: every one has a model slot of 4 MiB and a ring. */
const WORKERS_MAX = 128;
const OUTSTANDING_MAX = 16_384;
/** Longer timers fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** A thread that only waits for its turn on a busy machine does not hang. */
const HANG_MS_MIN = 100;
/** Bars in the feature store: 72 bytes each of one shared buffer. */
const STORED_BARS_MAX = 2 ** 27;
/** What an evaluation is taken to cost before any was measured. */
export const EVALUATION_US = 5;

const schema = z.strictObject({
  modelPath: z.string().min(1).nullable().default(null),
  dataDir: z.string().min(1).nullable().default(null),
  defaultConfidence: fraction.default(0.5),
  defaultRegimeWeight: fraction.default(0.5),
  defaultToxicity: fraction.default(0.5),
  retrainAccuracyDropThreshold: z.number().positive().max(0.5).default(0.1),
  retrainMinSamples: z.int().min(100).default(1000),
  retrainIntervalBars: count.nullable().default(null),
  retrain: retrainSchema.prefault({}),
  retention: retentionSchema.prefault({}),
  outcomeExpiryNs: nanoseconds.default(7n * 86_400_000_000_000n),
  inferenceTimeoutMs: positive.max(TIMER_MS_MAX).default(250),
  dispatch: z.enum(['auto', 'inline', 'pool']).default('auto'),
  workers: z.int().min(1).max(WORKERS_MAX).nullable().default(null),
  outstandingMax: z.int().positive().max(OUTSTANDING_MAX).nullable().default(null),
  inlineShareMax: fraction.default(0.5),
  wakeUpUs: positive.default(60),
  workerHangMs: z.number().min(HANG_MS_MIN).max(TIMER_MS_MAX).default(2000),
  latencyBudgetMs: positive.default(10),
  barAgeMaxNs: nanoseconds.nullable().default(null),
  awaitBarMs: z.int().min(0).max(60_000).default(500),
  featureNames: z
    .array(z.enum(FEATURE_NAMES))
    .min(1)
    .default([...FEATURE_NAMES]),
  userFeatures: z.array(z.string().min(1)).default([]),
  firstModel: z.enum(['provisional', 'strict', 'always']).default('provisional'),
  labels: labelsSchema.prefault({}),
  vpin: vpinSchema.prefault({}),
  training: trainingSchema.prefault({}),
  sizing: sizingSchema.prefault({}),
  store: storeSchema.prefault({}),
  redis: redisSchema.prefault({}),
});

/** The complete configuration, frozen. Every field with its meaning and default is in the README's table. */
export type OrchestratorConfig = DeepReadonly<z.output<typeof schema>>;
/** What a user writes: every field may be left out. */
export type OrchestratorConfigInput = DeepReadonly<z.input<typeof schema>>;

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** Refused with every invalid value at once; `issues` gives each by its path. */
export class ConfigError extends OrchestratorError {
  constructor(readonly issues: readonly { readonly path: string; readonly message: string }[]) {
    super('CONFIG_INVALID', issues.map(({ path, message }) => `${path}: ${message}`).join('; '), {
      field: issues[0]?.path ?? '',
    });
  }
}

export const OrchestratorConfig = {
  /** Defaults filled in, checked, frozen. Throws {@link ConfigError}. */
  parse(input: OrchestratorConfigInput = {}): OrchestratorConfig {
    return parseConfig(input);
  },

  /** A JSON file, then the environment over it, then `overrides` over both. */
  load(
    options: { file?: string; environment?: NodeJS.ProcessEnv; overrides?: OrchestratorConfigInput } = {},
  ): OrchestratorConfig {
    const file = options.file === undefined ? {} : readConfigFile(options.file);
    return parseConfig(merge(merge(file, fromEnvironment(options.environment ?? {})), { ...options.overrides }));
  },
};

const ENVIRONMENT_PREFIX = 'ML4T_';
/** Variables with the prefix that are no fields of the configuration. */
const ENVIRONMENT_OTHERS = new Set(['ML4T_LOG_LEVEL', 'ML4T_TEST_SIZE']);

type Tree = { [key: string]: unknown };

/** `ML4T_DEFAULT_CONFIDENCE=0.6`, nested fields behind a double underscore: `ML4T_TRAINING__ROUNDS=50`. Values are JSON, or else plain text. */
function fromEnvironment(environment: NodeJS.ProcessEnv): Tree {
  let tree: Tree = {};
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || ENVIRONMENT_OTHERS.has(name) || text === undefined) continue;
    const path = name.slice(ENVIRONMENT_PREFIX.length).split('__').map(camelCase);
    tree = merge(tree, path.reduceRight<unknown>((value, key) => ({ [key]: value }), jsonOrText(text)) as Tree);
  }
  return tree;
}

function parseConfig(input: unknown): OrchestratorConfig {
  const result = schema.safeParse(input);
  if (!result.success) {
    throw new ConfigError(
      result.error.issues.map(({ path, message }) => ({ path: path.join('.') || '(configuration)', message })),
    );
  }
  const issues = [
    ...unboundedWaits(result.data),
    ...unboundedStore(result.data),
    ...unreachableHorizon(result.data),
    ...twoModelPaths(result.data),
    ...redisIssues(result.data),
    ...repeatedNames('featureNames', result.data.featureNames, []),
    ...repeatedNames('userFeatures', result.data.userFeatures, FEATURE_NAMES),
  ];
  if (issues.length > 0) throw new ConfigError(issues);
  return deepFreeze(result.data);
}

/** Inference workers: the configured number, or one core fewer than there are, which is left to the main thread; none where main evaluates everything. */
export function workerCountOf({ dispatch, workers }: Pick<OrchestratorConfig, 'dispatch' | 'workers'>): number {
  return dispatch === 'inline' ? 0 : (workers ?? Math.max(1, availableParallelism() - 1));
}

/** Signals that may be on their way: the configured number, or as many as are answered within half the timeout. */
export function outstandingMaxOf(config: BoundsConfig & { readonly outstandingMax: number | null }): number {
  return config.outstandingMax ?? Math.min(OUTSTANDING_MAX, outstandingThatFit(config));
}

type BoundsConfig = Pick<OrchestratorConfig, 'dispatch' | 'workers' | 'inferenceTimeoutMs'>;

function outstandingThatFit(config: BoundsConfig): number {
  return Math.max(
    1,
    Math.floor((config.inferenceTimeoutMs * 500 * Math.max(1, workerCountOf(config))) / EVALUATION_US),
  );
}

/** A queue that takes longer to answer than half the timeout would be admitted only to expire. */
function unboundedWaits(config: BoundsConfig & { readonly outstandingMax: number | null }): Issue[] {
  const fit = outstandingThatFit(config);
  if (config.outstandingMax === null || config.outstandingMax <= fit) return [];
  const message = `at most ${fit} signals of ${EVALUATION_US} us are answered within half of inferenceTimeoutMs`;
  return [{ path: 'outstandingMax', message }];
}

function unboundedStore({ store }: Pick<OrchestratorConfig, 'store'>): Issue[] {
  if (store.instrumentsMax * store.barsPerInstrument <= STORED_BARS_MAX) return [];
  return [{ path: 'store.instrumentsMax', message: `times barsPerInstrument at most ${STORED_BARS_MAX} bars` }];
}

/** A signal is followed on the bars of the feature store, which must hold its window and its whole horizon. */
function unreachableHorizon({ store, labels }: Pick<OrchestratorConfig, 'store' | 'labels'>): Issue[] {
  const longest = store.barsPerInstrument / 2;
  if (labels.maxHoldingBars <= longest) return [];
  return [{ path: 'labels.maxHoldingBars', message: `at most half of store.barsPerInstrument, ${longest}` }];
}

function twoModelPaths({ modelPath, dataDir }: Pick<OrchestratorConfig, 'modelPath' | 'dataDir'>): Issue[] {
  if (modelPath === null || dataDir === null) return [];
  return [{ path: 'modelPath', message: 'models lie in dataDir: name only one of the two' }];
}

type Issue = { path: string; message: string };

/** A feature name stands for one column: it may be neither repeated nor taken. */
function repeatedNames(
  path: string,
  names: readonly string[],
  taken: readonly string[],
): { path: string; message: string }[] {
  const repeated = names.filter((name, index) => names.indexOf(name) !== index || taken.includes(name));
  return repeated.map((name) => ({ path, message: `${name} is taken already` }));
}

function readConfigFile(path: string): Tree {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError([{ path: '(file)', message: `${path}: ${(error as Error).message}` }]);
  }
  if (!isTree(parsed)) throw new ConfigError([{ path: '(file)', message: `${path}: not a JSON object` }]);
  return parsed;
}

function merge(base: Tree, over: Tree): Tree {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    merged[key] = isTree(merged[key]) && isTree(value) ? merge(merged[key], value) : value;
  }
  return merged;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Freezes arrays and plain objects; a buffer among the options of a library cannot be frozen. */
function deepFreeze<T extends object>(value: T): DeepReadonly<T> {
  for (const child of Object.values(value)) {
    if (Array.isArray(child) || (isTree(child) && Object.getPrototypeOf(child) === Object.prototype)) deepFreeze(child);
  }
  return Object.freeze(value) as DeepReadonly<T>;
}
