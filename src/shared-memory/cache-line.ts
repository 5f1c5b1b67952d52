/** What two threads must not share if one of them writes it: a word alone on its line is never slowed down by its neighbour. */
export const CACHE_LINE_BYTES = 64;

/** Int32 words in a cache line. */
export const LINE_WORDS = CACHE_LINE_BYTES / Int32Array.BYTES_PER_ELEMENT;

export function alignedToLine(bytes: number): number {
  return Math.ceil(bytes / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
}
