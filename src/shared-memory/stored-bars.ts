import { invariant } from '../invariant.js';

/** Columns of a stored bar, in the order in which {@link viewStoredBars} finds them: tsEventNs first, then these. */
export const BAR_VALUES = ['open', 'high', 'low', 'close', 'volume', 'logReturn', 'volatility', 'vpin'] as const;

/** Eight bytes for tsEventNs and for each of {@link BAR_VALUES}. */
export const BAR_BYTES = 8 * (1 + BAR_VALUES.length);

export interface BarColumns extends Readonly<Record<(typeof BAR_VALUES)[number], Float64Array>> {
  readonly tsEventNs: BigInt64Array;
}

/** Consecutive bars of one instrument outside the ring, with everything the feature store keeps of them. */
export interface StoredBars {
  /** Sequence number of the first. */
  readonly firstSequence: number;
  readonly count: number;
  readonly columns: BarColumns;
}

/** Bars that lie column after column in `bytes`, which begin at a multiple of 8 of their buffer: views, nothing is copied. */
export function viewStoredBars(firstSequence: number, bytes: Uint8Array): StoredBars {
  const count = bytes.length / BAR_BYTES;
  invariant(Number.isInteger(count) && bytes.byteOffset % 8 === 0, 'bars are whole and aligned');
  const { buffer, byteOffset } = bytes;
  const value = (name: (typeof BAR_VALUES)[number]): Float64Array =>
    new Float64Array(buffer, byteOffset + (1 + BAR_VALUES.indexOf(name)) * 8 * count, count);
  return {
    firstSequence,
    count,
    columns: {
      tsEventNs: new BigInt64Array(buffer, byteOffset, count),
      open: value('open'),
      high: value('high'),
      low: value('low'),
      close: value('close'),
      volume: value('volume'),
      logReturn: value('logReturn'),
      volatility: value('volatility'),
      vpin: value('vpin'),
    },
  };
}
