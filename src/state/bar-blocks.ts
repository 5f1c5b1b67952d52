import { BAR_BYTES, type StoredBars, viewStoredBars } from '../shared-memory/stored-bars.js';
import { damaged, SEAL_BYTES, unseal } from './seal.js';

/** Bars of a block; blocks begin at multiples of this, so that a sequence number says which block it is in. */
export const BLOCK_BARS = 256;

/** Sequence of the first bar of the block that a bar is in. */
export function blockStart(sequence: number): number {
  return sequence - (sequence % BLOCK_BARS);
}

/** Room for a value of so many bars, to be sealed with their number and {@link nameOfBars}. */
export function createBarValue(count: number): Buffer {
  return Buffer.alloc(SEAL_BYTES + count * BAR_BYTES);
}

export function nameOfBars(instrument: number, firstSequence: number): string {
  return `the bars of instrument ${instrument} from ${firstSequence} on`;
}

/** The bars of a stored value, by views where the value is aligned. Throws STORE_DAMAGED. */
export function decodeBars(instrument: number, firstSequence: number, value: Buffer): StoredBars {
  const name = nameOfBars(instrument, firstSequence);
  const { tag, content } = unseal(value, name);
  if (content.length !== tag * BAR_BYTES || tag === 0 || tag > BLOCK_BARS)
    throw damaged(`${name} have the wrong length`);
  return viewStoredBars(firstSequence, content.byteOffset % 8 === 0 ? content : Uint8Array.from(content));
}

/** Consecutive pieces as one. */
export function joinBars(pieces: readonly StoredBars[]): StoredBars {
  const [first] = pieces;
  if (pieces.length === 1) return first!;
  const count = pieces.reduce((sum, piece) => sum + piece.count, 0);
  const bytes = new Uint8Array(count * BAR_BYTES);
  let at = 0;
  for (const piece of pieces) {
    copyColumns(piece, bytes, at, count);
    at += piece.count;
  }
  return viewStoredBars(first!.firstSequence, bytes);
}

/** The bars from `first` to `end`, which lie within `bars`; in memory of their own unless they are all of them. */
export function sliceBars(bars: StoredBars, first: number, end: number): StoredBars {
  if (first === bars.firstSequence && end === first + bars.count) return bars;
  const count = end - first;
  const from = first - bars.firstSequence;
  const bytes = new Uint8Array(count * BAR_BYTES);
  for (const [k, column] of Object.values<Float64Array | BigInt64Array>({ ...bars.columns }).entries()) {
    bytes.set(bytesOf(column.subarray(from, from + count)), 8 * k * count);
  }
  return viewStoredBars(first, bytes);
}

/** Writes bars into bytes that hold `count` of them, column after column, from bar `at` on. */
export function copyColumns(bars: StoredBars, target: Uint8Array, at: number, count: number): void {
  for (const [k, column] of Object.values<Float64Array | BigInt64Array>({ ...bars.columns }).entries()) {
    target.set(bytesOf(column), 8 * (k * count + at));
  }
}

function bytesOf(column: Float64Array | BigInt64Array): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}
