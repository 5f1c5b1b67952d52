const ROOM_MIN = 4096;
const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;

/** Bytes one after another, little endian, in a buffer that grows: room is made before the buffer is looked up, which making room may exchange. */
export class ByteWriter {
  private bytes = Buffer.alloc(ROOM_MIN);
  private end = 0;

  get length(): number {
    return this.end;
  }

  u8(value: number): void {
    const at = this.room(1);
    this.bytes.writeUInt8(value, at);
  }

  u32(value: number): void {
    const at = this.room(4);
    this.bytes.writeUInt32LE(value, at);
  }

  f64(value: number): void {
    const at = this.room(8);
    this.bytes.writeDoubleLE(value, at);
  }

  /** An instant beyond 64 bits of nanoseconds (the year 2262) becomes the last there is. */
  i64(value: bigint): void {
    const at = this.room(8);
    const isInside = value >= I64_MIN && value <= I64_MAX;
    this.bytes.writeBigInt64LE(isInside ? value : value > 0n ? I64_MAX : I64_MIN, at);
  }

  /** UTF-8, its length first. */
  text(value: string): void {
    const at = this.room(4 + 3 * value.length);
    const length = this.bytes.write(value, at + 4, 'utf8');
    this.bytes.writeUInt32LE(length, at);
    this.end = at + 4 + length;
  }

  /** The bits of typed numbers, how many bytes first. */
  numbers(values: ArrayBufferView): void {
    this.u32(values.byteLength);
    const at = this.room(values.byteLength);
    this.bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
  }

  /** Leaves a gap of `count` bytes, and says where it begins. */
  room(count: number): number {
    const at = this.end;
    this.end += count;
    if (this.end > this.bytes.length) {
      const grown = Buffer.alloc(Math.max(this.end, 2 * this.bytes.length));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    return at;
  }

  /** What was written from `start` to `end`, in place: valid until something else is written. */
  view(start: number, end: number): Buffer {
    return this.bytes.subarray(start, end);
  }
}

/** Reads what a {@link ByteWriter} wrote. Reading beyond the end throws a RangeError. */
export class ByteReader {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  get atEnd(): boolean {
    return this.at === this.bytes.length;
  }

  u8(): number {
    return this.bytes.readUInt8(this.take(1));
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.take(4));
  }

  f64(): number {
    return this.bytes.readDoubleLE(this.take(8));
  }

  i64(): bigint {
    return this.bytes.readBigInt64LE(this.take(8));
  }

  text(): string {
    const length = this.u32();
    const at = this.take(length);
    return this.bytes.toString('utf8', at, at + length);
  }

  /** The bits of typed numbers, in memory of their own. */
  numbers(): ArrayBuffer {
    const length = this.u32();
    const at = this.take(length);
    const start = this.bytes.byteOffset + at;
    return (this.bytes.buffer as ArrayBuffer).slice(start, start + length);
  }

  private take(count: number): number {
    const at = this.at;
    if (at + count > this.bytes.length) throw new RangeError('the bytes end too early');
    this.at += count;
    return at;
  }
}
