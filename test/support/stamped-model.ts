const WORDS_MIN = 1024;
const LENGTHS = 16;

/** The longest stamped model. */
export const STAMPED_BYTES_MAX = (WORDS_MIN + LENGTHS) * 4;

/** Every word of a stamped model, its length included, follows from its generation: two halves of different models never fit together. */
export function stampInto(words: Uint32Array, generation: number): Uint8Array {
  const length = WORDS_MIN + (generation % LENGTHS);
  const first = firstWord(generation);
  for (let k = 0; k < length; k++) words[k] = first + k;
  return new Uint8Array(words.buffer, words.byteOffset, 4 * length);
}

/** Whether the bytes are the model of this generation, all of it. */
export function isWhole(bytes: Uint8Array, generation: number): boolean {
  const length = WORDS_MIN + (generation % LENGTHS);
  if (bytes.byteLength !== 4 * length) return false;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, length);
  const first = firstWord(generation);
  for (let k = 0; k < length; k++) if (words[k] !== (first + k) >>> 0) return false;
  return true;
}

function firstWord(generation: number): number {
  return Math.imul(generation, 0x9e3779b1) >>> 0;
}

/** A double buffer without announcements: the control of every race for the model slots. */
export class NaiveBuffers {
  private readonly index: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(64 + 2 * NaiveBuffers.strideBytes)) {
    this.index = new Int32Array(buffer, 0, 1);
  }

  private static get strideBytes(): number {
    return 64 + STAMPED_BYTES_MAX;
  }

  publish(bytes: Uint8Array, generation: number): void {
    const other = 1 - Atomics.load(this.index, 0);
    const { header, content } = this.place(other);
    header[0] = generation;
    header[1] = bytes.length;
    content.set(bytes);
    Atomics.store(this.index, 0, other);
  }

  read(use: (bytes: Uint8Array, generation: number) => void): void {
    const { header, content } = this.place(Atomics.load(this.index, 0));
    use(content.subarray(0, header[1]), header[0]!);
  }

  private place(index: number): { header: Uint32Array; content: Uint8Array } {
    const at = 64 + index * NaiveBuffers.strideBytes;
    return {
      header: new Uint32Array(this.buffer, at, 2),
      content: new Uint8Array(this.buffer, at + 64, STAMPED_BYTES_MAX),
    };
  }
}

/** Words that a racing reader and the test share, each reader's on lines of their own. */
export const ModelRace = { reads: 0, torn: 1, backwards: 2, seen: 3, stride: 16, stop: 64, words: 80 } as const;
