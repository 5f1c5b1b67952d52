import type { FeatureColumns } from '../features/feature-columns.js';
import { invariant } from '../invariant.js';
import { INSTRUMENT_ID_BYTES_MAX } from '../market/instrument-id.js';
import { CACHE_LINE_BYTES, LINE_WORDS } from './cache-line.js';

/** The store as it is handed to a thread. */
export interface SharedFeatureStore {
  readonly buffer: SharedArrayBuffer;
  readonly instrumentsMax: number;
  /** A power of two. */
  readonly barsPerInstrument: number;
}

export interface StoredColumns extends FeatureColumns {
  /** Raw VPIN stored with each bar; NaN while unavailable. */
  readonly vpin: Float64Array;
}

const NAME_BYTES = INSTRUMENT_ID_BYTES_MAX + 1;
const VALUE_BYTES = 8;
const VALUE_COLUMNS = ['open', 'high', 'low', 'close', 'volume', 'logReturn', 'volatility', 'vpin'] as const;

/**
 * I instruments of C bars each, in one buffer. Main alone writes; anyone reads.
 *
 *   published  Int32    [I], each alone on its 64-byte line: how many bars of the instrument can be read
 *   names      bytes    [I][128]: length, then the id in UTF-8; written before the instrument's first bar
 *   tsEventNs  BigInt64 [I][C]
 *   open, high, low, close, volume, log return, 20-bar volatility, vpin: Float64 [I][C] each
 *
 * Bar s of instrument k lies at k·C + (s & (C − 1)) of every column. The writer fills the columns, then stores `published` (the publish of the LMAX
 * Disruptor), so a thread that sees the count sees the bars. Pages that nothing was written to take no memory.
 */
export interface FeatureStoreViews {
  readonly published: Int32Array;
  readonly names: Uint8Array;
  readonly tsEventNs: BigInt64Array;
  readonly open: Float64Array;
  readonly columns: Omit<StoredColumns, 'base' | 'mask'>;
}

export function featureStoreBytes(instrumentsMax: number, barsPerInstrument: number): number {
  const valueCount = instrumentsMax * barsPerInstrument * (1 + VALUE_COLUMNS.length);
  return instrumentsMax * (CACHE_LINE_BYTES + NAME_BYTES) + valueCount * VALUE_BYTES;
}

export function viewFeatureStore({ buffer, instrumentsMax, barsPerInstrument }: SharedFeatureStore): FeatureStoreViews {
  invariant(Number.isInteger(Math.log2(barsPerInstrument)), 'a ring of bars is a power of two long');
  invariant(
    buffer.byteLength === featureStoreBytes(instrumentsMax, barsPerInstrument),
    'a feature store is as large as its layout',
  );
  const valueCount = instrumentsMax * barsPerInstrument;
  const namesAt = instrumentsMax * CACHE_LINE_BYTES;
  const valuesAt = namesAt + instrumentsMax * NAME_BYTES;
  const column = (name: (typeof VALUE_COLUMNS)[number]): Float64Array => {
    const index = 1 + VALUE_COLUMNS.indexOf(name);
    return new Float64Array(buffer, valuesAt + index * valueCount * VALUE_BYTES, valueCount);
  };
  return {
    published: new Int32Array(buffer, 0, instrumentsMax * LINE_WORDS),
    names: new Uint8Array(buffer, namesAt, instrumentsMax * NAME_BYTES),
    tsEventNs: new BigInt64Array(buffer, valuesAt, valueCount),
    open: column('open'),
    columns: {
      high: column('high'),
      low: column('low'),
      close: column('close'),
      volume: column('volume'),
      logReturn: column('logReturn'),
      volatility: column('volatility'),
      vpin: column('vpin'),
    },
  };
}

/** Index of an instrument's word in `published`. */
export function publishedAt(instrument: number): number {
  return instrument * LINE_WORDS;
}

/** Writes a valid instrument id: one byte of length, then the text. */
export function writeName(names: Uint8Array, instrument: number, instrumentId: string): void {
  const bytes = new TextEncoder().encode(instrumentId);
  names[instrument * NAME_BYTES] = bytes.length;
  names.set(bytes, instrument * NAME_BYTES + 1);
}

export function readName(names: Uint8Array, instrument: number): string {
  const at = instrument * NAME_BYTES;
  // A copy, since a decoder takes no shared memory.
  const bytes = names.slice(at + 1, at + 1 + names[at]!);
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
