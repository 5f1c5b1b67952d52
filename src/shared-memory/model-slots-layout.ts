import { alignedToLine, CACHE_LINE_BYTES, LINE_WORDS } from './cache-line.js';

/** The slots as they are handed to a thread. */
export interface SharedModelSlots {
  readonly buffer: SharedArrayBuffer;
  readonly readerCount: number;
  /** A multiple of 64. */
  readonly slotBytes: number;
}

/**
 * R readers, N = R + 2 slots. A version is `count << 8 | slot`; only equality of versions is used, so that the count may wrap; 0 is no version.
 *
 *   CURRENT    Int32  main      version to answer with
 *   STAGED     Int32  main      version to get ready for; becomes CURRENT next
 *   HAZARD[r]  Int32  reader r  slot + 1 while it reads a slot, else 0
 *   READY[r]   Int32  reader r  version it has got ready for
 *   slots      [N]: generation f64, bytes u32 on a line of their own, then the model
 *
 * Each control word is alone on its 64-byte line. After a reader's thread has exited, main clears its two words. The writer takes a slot that is neither current nor announced; of R + 2 there is always one, so it never
 * waits. A reader announces a slot and looks again whether it is still the version's: if so, no writer that has not seen the announcement can take it
 * any more. Hazard pointers (Michael 2004).
 */
export const CURRENT = 0;
export const STAGED = LINE_WORDS;
const READERS_AT = 2 * LINE_WORDS;
const SPARE_SLOTS = 2;
const SLOT_HEADER_BYTES = CACHE_LINE_BYTES;
const SLOT_BITS = 8;
export const READERS_MAX = (1 << SLOT_BITS) - SPARE_SLOTS;
export const NO_VERSION = 0;

export function slotCountFor(readerCount: number): number {
  return readerCount + SPARE_SLOTS;
}

export function hazardAt(reader: number): number {
  return READERS_AT + 2 * reader * LINE_WORDS;
}

export function readyAt(reader: number): number {
  return hazardAt(reader) + LINE_WORDS;
}

export function versionOf(count: number, slot: number): number {
  return (count << SLOT_BITS) | slot;
}

export function slotOf(version: number): number {
  return version & ((1 << SLOT_BITS) - 1);
}

function controlBytes(readerCount: number): number {
  return (2 + 2 * readerCount) * CACHE_LINE_BYTES;
}

export function createModelSlots(readerCount: number, modelBytesMax: number): SharedModelSlots {
  const slotBytes = SLOT_HEADER_BYTES + alignedToLine(modelBytesMax);
  const buffer = new SharedArrayBuffer(controlBytes(readerCount) + slotCountFor(readerCount) * slotBytes);
  return { buffer, readerCount, slotBytes };
}

export function modelControlWords({ buffer, readerCount }: SharedModelSlots): Int32Array {
  return new Int32Array(buffer, 0, controlBytes(readerCount) / Int32Array.BYTES_PER_ELEMENT);
}

/** One slot's header and bytes. */
export interface ModelSlotViews {
  readonly generation: Float64Array;
  readonly byteCount: Uint32Array;
  readonly bytes: Uint8Array;
}

export function modelSlotViews({ buffer, readerCount, slotBytes }: SharedModelSlots): ModelSlotViews[] {
  return Array.from({ length: slotCountFor(readerCount) }, (_, slot) => {
    const at = controlBytes(readerCount) + slot * slotBytes;
    return {
      generation: new Float64Array(buffer, at, 1),
      byteCount: new Uint32Array(buffer, at + 8, 1),
      bytes: new Uint8Array(buffer, at + SLOT_HEADER_BYTES, slotBytes - SLOT_HEADER_BYTES),
    };
  });
}
