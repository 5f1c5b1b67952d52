import { createHash } from 'node:crypto';
import { DECILE_COUNT } from '../drift/population-stability.js';
import { OrchestratorError } from '../errors.js';
import { TOXICITY_QUANTILES } from '../orderflow/toxicity.js';
import type { RegimeScale } from '../regime/regime-inputs.js';
import { BUNDLE_FORMAT, type BundleFormat, BundleScorer, GOLDEN_ROW_COUNT, type ModelBundle } from './bundle.js';
import { canonicalJson, parseHeader, sortedEntries } from './bundle-header.js';
import { type Forest, forestLength } from './forest.js';

/** Larger bundles are refused: every one must fit the slot it is served from. */
export const MODEL_BYTES_MAX = 4 * 1024 * 1024;

const MAGIC = new TextEncoder().encode('ML4TBNDL');
/** Magic, format and header bytes; in format 5 the time of making follows. */
const PREFIX_BYTES = 16;
const STAMP_BYTES = 8;
const CHECKSUM_BYTES = 32;
const ID_BYTES = 8;
const ALIGNMENT = 8;

/**
 * The file of a bundle, little endian:
 *
 *   magic "ML4TBNDL" · u32 format version · u32 header bytes · i64 time of making · header (JSON, UTF-8) · padding to 8
 *   forest: threshold f32[] · leaf f32[] · feature u16[] · padding to 8
 *   golden rows f32[64 × columns] · padding to 8 · golden confidences f64[64]
 *   toxicity quantiles f64[instruments × 101] · regime scales f64[instruments × 4], in the order of the names in the header
 *   feature deciles f64[columns × 9]
 *   SHA-256 of everything before it
 *
 * The model id is the start of the SHA-256 of everything but the time of making and that checksum:
 * the same training gives the same id at any time. Format 4 has the time in its header, and the
 * start of the checksum as its model id.
 */
export function encodeBundle(content: Omit<ModelBundle, 'modelId'> & { readonly modelId?: string }): Uint8Array {
  const { forest, goldenRows, goldenConfidences, modelId: _derived, formatVersion, ...described } = content;
  const { regime, toxicityQuantiles, featureDeciles, createdAtNs, ...header } = described;
  const quantiles = sortedEntries(toxicityQuantiles);
  const scales = sortedEntries(regime?.scales ?? {});
  const text = canonicalJson({
    ...header,
    ...(formatVersion === 4 && { createdAtNs }),
    forest: forestShape(forest),
    toxicityQuantiles: quantiles.map(([name]) => name),
    regime: regime === null ? null : { ...regime, scales: scales.map(([name]) => name) },
  });
  const sections = [
    prefix(formatVersion, createdAtNs, new TextEncoder().encode(text)),
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
  const formatVersion = readFormat(view);
  const headerStart = prefixBytes(formatVersion);
  if (body.length < headerStart) throw corrupt('it is cut short');
  const headerEnd = headerStart + view.getUint32(12, true);
  const {
    forest: shape,
    regime: named,
    createdAtNs: stamped,
    ...header
  } = parseHeader(body.subarray(headerStart, headerEnd));
  const createdAtNs = formatVersion === 4 ? stamped : view.getBigInt64(PREFIX_BYTES, true);
  if (createdAtNs === undefined) throw corrupt('it does not say when it was made');
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
  const digest =
    formatVersion === 4
      ? bytes.subarray(body.length)
      : sha256(body.subarray(0, PREFIX_BYTES), body.subarray(PREFIX_BYTES + STAMP_BYTES));
  const modelId = Buffer.from(digest.subarray(0, ID_BYTES)).toString('hex');
  const bundle: ModelBundle = Object.freeze({
    ...header,
    createdAtNs,
    toxicityQuantiles,
    regime,
    featureDeciles,
    modelId,
    formatVersion,
    forest,
    goldenRows,
    goldenConfidences,
  });
  checkGoldenRows(bundle);
  return bundle;
}

const SCALE_FIELDS = ['returnMean', 'returnDeviation', 'logVolatilityMean', 'logVolatilityDeviation'] as const;

type ForestShape = Pick<Forest, 'baseMargin' | 'depth' | 'treeCount' | 'featureCount'>;

function scaleOf([returnMean, returnDeviation, logVolatilityMean, logVolatilityDeviation]: Float64Array): RegimeScale {
  return {
    returnMean: returnMean!,
    returnDeviation: returnDeviation!,
    logVolatilityMean: logVolatilityMean!,
    logVolatilityDeviation: logVolatilityDeviation!,
  };
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

function prefix(formatVersion: BundleFormat, createdAtNs: bigint, header: Uint8Array): Uint8Array {
  const start = prefixBytes(formatVersion);
  const bytes = new Uint8Array(start + header.length);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, formatVersion, true);
  view.setUint32(12, header.length, true);
  if (formatVersion !== 4) view.setBigInt64(PREFIX_BYTES, createdAtNs, true);
  bytes.set(header, start);
  return bytes;
}

function prefixBytes(formatVersion: BundleFormat): number {
  return formatVersion === 4 ? PREFIX_BYTES : PREFIX_BYTES + STAMP_BYTES;
}

function readFormat(view: DataView): BundleFormat {
  const version = view.getUint32(8, true);
  if (version === 4 || version === BUNDLE_FORMAT) return version;
  throw new OrchestratorError(
    'MODEL_VERSION_UNKNOWN',
    `bundle format ${version}; this build reads 4 and ${BUNDLE_FORMAT}`,
    { field: 'model' },
  );
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

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function corrupt(reason: string): OrchestratorError {
  return new OrchestratorError('MODEL_CORRUPT', `the model bundle is damaged: ${reason}`, { field: 'model' });
}
