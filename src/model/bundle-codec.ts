import { createHash } from 'node:crypto';
import { z } from 'zod';
import { DECILE_COUNT } from '../drift/population-stability.js';
import { OrchestratorError } from '../errors.js';
import { TOXICITY_QUANTILES } from '../orderflow/toxicity.js';
import type { RegimeScale } from '../regime/regime-inputs.js';
import { BundleScorer, GOLDEN_ROW_COUNT, type ModelBundle } from './bundle.js';
import { FOREST_DEPTH_MAX, type Forest, forestLength } from './forest.js';

/** Larger bundles are refused: every one must fit the slot it is served from. */
export const MODEL_BYTES_MAX = 4 * 1024 * 1024;

const FORMAT_VERSION = 4;
const MAGIC = new TextEncoder().encode('ML4TBNDL');
const PREFIX_BYTES = 16;
const CHECKSUM_BYTES = 32;
const ALIGNMENT = 8;

/**
 * The file of a bundle, little endian:
 *
 *   magic "ML4TBNDL" · u32 format version · u32 header bytes · header (JSON, UTF-8) · padding to 8
 *   forest: threshold f32[] · leaf f32[] · feature u16[] · padding to 8
 *   golden rows f32[64 × columns] · padding to 8 · golden confidences f64[64]
 *   toxicity quantiles f64[instruments × 101] · regime scales f64[instruments × 4], in the order of the names in the header
 *   feature deciles f64[columns × 9]
 *   SHA-256 of everything before it
 */
export function encodeBundle(content: Omit<ModelBundle, 'modelId'> & { readonly modelId?: string }): Uint8Array {
  const { forest, goldenRows, goldenConfidences, modelId: _derived, ...described } = content;
  const { regime, toxicityQuantiles, featureDeciles, ...header } = described;
  const quantiles = sortedEntries(toxicityQuantiles);
  const scales = sortedEntries(regime?.scales ?? {});
  const text = canonicalJson({
    ...header,
    forest: forestShape(forest),
    toxicityQuantiles: quantiles.map(([name]) => name),
    regime: regime === null ? null : { ...regime, scales: scales.map(([name]) => name) },
  });
  const sections = [
    prefix(new TextEncoder().encode(text)),
    concatenate([bytesOf(forest.threshold), bytesOf(forest.leaf), bytesOf(forest.feature)]),
    bytesOf(goldenRows),
    bytesOf(goldenConfidences),
    concatenate(quantiles.map(([, values]) => bytesOf(values))),
    bytesOf(Float64Array.from(scales.flatMap(([, scale]) => SCALE_FIELDS.map((field) => scale[field])))),
    concatenate(featureDeciles.map(bytesOf)),
  ];
  const body = concatenate(sections.map(padded));
  const bytes = concatenate([body, sha256(body)]);
  if (bytes.length > MODEL_BYTES_MAX) {
    throw new OrchestratorError('MODEL_TOO_LARGE', `a bundle of ${bytes.length} bytes; at most ${MODEL_BYTES_MAX}`, {
      field: 'model',
    });
  }
  return bytes;
}

/**
 * The bundle in these bytes, after checking all of it: checksum, version, shape, and that the golden rows score to the last bit.
 * Throws MODEL_CORRUPT, MODEL_VERSION_UNKNOWN, MODEL_TOO_LARGE.
 */
export function decodeBundle(bytes: Uint8Array): ModelBundle {
  if (bytes.length > MODEL_BYTES_MAX)
    throw new OrchestratorError('MODEL_TOO_LARGE', `${bytes.length} bytes`, { field: 'model' });
  if (bytes.length < PREFIX_BYTES + CHECKSUM_BYTES) throw corrupt('it is cut short');
  // No Buffer, whose slice() copies nothing: every section is copied out below.
  const body = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length - CHECKSUM_BYTES);
  if (!MAGIC.every((byte, index) => body[index] === byte)) throw corrupt('it is no model bundle');
  if (!equal(sha256(body), bytes.subarray(body.length))) throw corrupt('its checksum differs');
  const view = new DataView(body.buffer, body.byteOffset);
  const version = view.getUint32(8, true);
  if (version !== FORMAT_VERSION) {
    throw new OrchestratorError(
      'MODEL_VERSION_UNKNOWN',
      `bundle format ${version}; this build reads ${FORMAT_VERSION}`,
      { field: 'model' },
    );
  }
  const headerEnd = PREFIX_BYTES + view.getUint32(12, true);
  const { forest: shape, regime: named, ...header } = parseHeader(body.subarray(PREFIX_BYTES, headerEnd));
  const cursor = new Cursor(body, aligned(headerEnd));
  const length = forestLength(shape.treeCount, shape.depth);
  const forest: Forest = {
    ...shape,
    threshold: new Float32Array(cursor.take(4 * length)),
    leaf: new Float32Array(cursor.take(4 * length)),
    feature: new Uint16Array(cursor.takeSection(2 * length)),
  };
  const goldenRows = new Float32Array(cursor.takeSection(4 * GOLDEN_ROW_COUNT * shape.featureCount));
  const goldenConfidences = new Float64Array(cursor.takeSection(8 * GOLDEN_ROW_COUNT));
  const toxicityQuantiles = Object.fromEntries(cursor.takeRecords(header.toxicityQuantiles, TOXICITY_QUANTILES));
  const scales = Object.fromEntries(
    cursor.takeRecords(named?.scales ?? [], SCALE_FIELDS.length).map(([name, values]) => [name, scaleOf(values)]),
  );
  const regime = named === null ? null : { ...named, scales };
  const featureDeciles = header.featureNames.map(() => new Float64Array(cursor.take(8 * DECILE_COUNT)));
  if (!cursor.atEnd) throw corrupt('its length differs');
  if (header.featureNames.length !== shape.featureCount) throw corrupt('its features and its trees differ');
  if (forest.feature.some((entry) => entry >= 2 * shape.featureCount)) throw corrupt('a split uses an unknown feature');
  const modelId = Buffer.from(bytes.subarray(body.length, body.length + 8)).toString('hex');
  const bundle: ModelBundle = Object.freeze({
    ...header,
    toxicityQuantiles,
    regime,
    featureDeciles,
    modelId,
    forest,
    goldenRows,
    goldenConfidences,
  });
  checkGoldenRows(bundle);
  return bundle;
}

const bigint = z
  .string()
  .regex(/^-?\d+$/)
  .transform(BigInt);
/** JSON has no NaN: an undefined metric is null in the file. */
const metric = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);

const fraction = z.number().min(0).max(1);
const SCALE_FIELDS = ['returnMean', 'returnDeviation', 'logVolatilityMean', 'logVolatilityDeviation'] as const;

const headerSchema = z.object({
  kind: z.enum(['trees', 'base-rate']),
  createdAtNs: bigint,
  featureNames: z.array(z.string()),
  featureFingerprint: z.string(),
  labels: z.object({
    ptMultiplier: z.number(),
    slMultiplier: z.number(),
    maxHoldingBars: z.number(),
    touch: z.enum(['close', 'high-low']),
    entry: z.enum(['signal-close', 'next-open']),
    costBps: z.number(),
    minReturn: z.number(),
    labelCost: z.enum(['gross', 'net']),
  }),
  trainingStartNs: bigint,
  trainingEndNs: bigint,
  instrumentIds: z.array(z.string()),
  baseRate: z.number().min(0).max(1),
  seed: z.number(),
  boosterParameters: z.record(z.string(), z.number()),
  rounds: z.number(),
  calibration: z.object({ baseMargin: z.number(), lambda: z.number().min(0).max(1) }),
  evidence: z.enum(['none', 'provisional', 'forced', 'strict']),
  edge: z.object({ intercept: z.number(), slope: z.number(), squareWon: z.number(), squareLost: z.number() }),
  regime: z
    .object({
      stateCount: z.int().min(1).max(3),
      names: z.array(z.enum(['volatile', 'trending', 'reverting', 'ranging'])),
      weights: z.array(fraction),
      stationary: z.array(fraction),
      transition: z.array(fraction),
      mean: z.array(z.number()),
      variance: z.array(z.number().positive()),
      scales: z.array(z.string()),
    })
    .refine(({ stateCount: n, names, weights, stationary, transition, mean, variance }) =>
      [
        names.length,
        weights.length,
        stationary.length,
        transition.length / n,
        mean.length / 2,
        variance.length / 2,
      ].every((size) => size === n),
    )
    .nullable(),
  toxicityQuantiles: z.array(z.string()),
  importance: z.record(z.string(), z.number()),
  metrics: z.object({
    nFolds: z.number(),
    nSamples: z.number(),
    effectiveN: metric,
    accuracy: metric,
    majorityAccuracy: metric,
    auc: metric,
    logLoss: metric,
    baseRateLogLoss: metric,
    brier: metric,
    baseRateBrier: metric,
  }),
  meanConcurrency: z.number().min(1),
  detectors: z
    .object({
      labelsPerFalseAlarm: z.number().positive(),
      skillThreshold: z.number().positive().nullable(),
      rateThreshold: z.number().positive(),
      rateAllowance: z.number().min(0),
      verified: z.object({ labels: z.number(), lower: z.number(), upper: z.number() }),
    })
    .nullable(),
  forest: z.object({
    baseMargin: z.number(),
    depth: z.int().min(1).max(FOREST_DEPTH_MAX),
    treeCount: z.int().min(0).max(1_000_000),
    featureCount: z.int().min(1).max(0x7fff),
  }),
});

/** Keys sorted, bigint as decimal strings: equal content is equal bytes, whoever put it together. */
function canonicalJson(content: object): string {
  return JSON.stringify(content, (_key, value: unknown) => {
    if (typeof value === 'bigint') return value.toString();
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(sortedEntries(value as Record<string, unknown>));
  });
}

type ForestShape = Pick<Forest, 'baseMargin' | 'depth' | 'treeCount' | 'featureCount'>;

/** The header as it is in the file: of what is kept by instrument, only the names. */
type FileHeader = z.output<typeof headerSchema>;

function sortedEntries<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}

function scaleOf([returnMean, returnDeviation, logVolatilityMean, logVolatilityDeviation]: Float64Array): RegimeScale {
  return {
    returnMean: returnMean!,
    returnDeviation: returnDeviation!,
    logVolatilityMean: logVolatilityMean!,
    logVolatilityDeviation: logVolatilityDeviation!,
  };
}

function parseHeader(bytes: Uint8Array): FileHeader {
  try {
    return headerSchema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new OrchestratorError('MODEL_CORRUPT', 'the bundle header cannot be read', { field: 'model', cause: error });
  }
}

function forestShape(forest: Forest): ForestShape {
  const { baseMargin, depth, treeCount, featureCount } = forest;
  return { baseMargin, depth, treeCount, featureCount };
}

function checkGoldenRows(bundle: ModelBundle): void {
  const confidences = new BundleScorer(bundle).confidences(bundle.goldenRows);
  if (!confidences.every((confidence, index) => Object.is(confidence, bundle.goldenConfidences[index]))) {
    throw corrupt('its golden rows score differently here');
  }
}

class Cursor {
  constructor(
    private readonly body: Uint8Array,
    private position: number,
  ) {}

  get atEnd(): boolean {
    return this.position === this.body.length;
  }

  /** A copy of the next bytes, so that typed arrays over it are aligned and own their memory. */
  take(length: number): ArrayBuffer {
    const end = this.position + length;
    if (end > this.body.length) throw corrupt('it is cut short');
    const bytes = this.body.slice(this.position, end);
    this.position = end;
    return bytes.buffer;
  }

  /** As many finite numbers for each name. */
  takeRecords(names: readonly string[], size: number): [string, Float64Array][] {
    const values = new Float64Array(this.takeSection(8 * names.length * size));
    for (let k = 0; k < values.length; k++) {
      if (!Number.isFinite(values[k]!)) throw corrupt('a number kept by instrument is missing');
    }
    return names.map((name, k) => [name, new Float64Array(values.buffer, 8 * k * size, size)]);
  }

  takeSection(length: number): ArrayBuffer {
    const bytes = this.take(length);
    this.position = aligned(this.position);
    return bytes;
  }
}

function prefix(header: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PREFIX_BYTES + header.length);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, header.length, true);
  bytes.set(header, PREFIX_BYTES);
  return bytes;
}

function aligned(position: number): number {
  return Math.ceil(position / ALIGNMENT) * ALIGNMENT;
}

function padded(section: Uint8Array): Uint8Array {
  return concatenate([section, new Uint8Array(aligned(section.length) - section.length)]);
}

function bytesOf(array: Float32Array | Float64Array | Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function corrupt(reason: string): OrchestratorError {
  return new OrchestratorError('MODEL_CORRUPT', `the model bundle is damaged: ${reason}`, { field: 'model' });
}
