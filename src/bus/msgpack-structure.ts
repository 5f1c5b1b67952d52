import { isUtf8 } from 'node:buffer';
import { malformed, NESTING_MAX } from './malformed.js';

/** Bytes after the first of scalars from 0xc0 on. What is missing here is a container, a text, or refused. */
const SCALAR_BYTES: Readonly<Record<number, number>> = {
  192: 0, // nil
  194: 0, // false
  195: 0, // true
  202: 4, // float 32
  203: 8, // float 64
  204: 1, // uint 8 to 64
  205: 2,
  206: 4,
  207: 8,
  208: 1, // int 8 to 64
  209: 2,
  210: 4,
  211: 8,
};

/**
 * Refuses with PAYLOAD_MALFORMED what is not exactly one MessagePack value of maps with text keys, arrays, texts in UTF-8, bytes, numbers, booleans and nil, at most 32 levels deep. No
 * extension types: decoders build dates, expressions and references from them. One pass that builds nothing: a count or a length beyond the bytes at hand is refused where it is met.
 */
export function checkMsgpackStructure(bytes: Uint8Array): void {
  new StructureCheck(bytes).run();
}

class StructureCheck {
  private at = 0;
  private depth = 0;
  /** Values that are still to come in every open container, and whether it is a map, in which every other value is a key. */
  private readonly left = new Int32Array(NESTING_MAX + 1);
  private readonly isMap = new Uint8Array(NESTING_MAX + 1);

  constructor(private readonly bytes: Uint8Array) {
    this.left[0] = 1;
  }

  run(): void {
    while (this.depth > 0 || this.left[0]! > 0) {
      if (this.left[this.depth] === 0) {
        this.depth--;
        continue;
      }
      const isKey = this.isMap[this.depth] === 1 && this.left[this.depth]! % 2 === 0;
      this.left[this.depth]!--;
      this.value(this.length(1), isKey);
    }
    if (this.at !== this.bytes.length) throw malformed('bytes follow the MessagePack value');
  }

  private value(token: number, isKey: boolean): void {
    if (token >= 0xa0 && token <= 0xbf) this.text(token & 0x1f);
    else if (token >= 0xd9 && token <= 0xdb) this.text(this.length(1 << (token - 0xd9)));
    else if (isKey) throw malformed('a MessagePack map has a key that is no text');
    else if (token <= 0x7f || token >= 0xe0) return;
    else if (token <= 0x8f) this.open(token & 0x0f, true);
    else if (token <= 0x9f) this.open(token & 0x0f, false);
    else if (token === 0xdc || token === 0xdd) this.open(this.length(token === 0xdc ? 2 : 4), false);
    else if (token === 0xde || token === 0xdf) this.open(this.length(token === 0xde ? 2 : 4), true);
    else if (token >= 0xc4 && token <= 0xc6) this.skip(this.length(1 << (token - 0xc4)));
    else this.scalar(SCALAR_BYTES[token]);
  }

  private scalar(size: number | undefined): void {
    if (size === undefined) throw malformed('MessagePack extension types are not read');
    this.skip(size);
  }

  private open(count: number, isMap: boolean): void {
    const values = isMap ? 2 * count : count;
    // Every value takes a byte at least.
    if (values > this.bytes.length - this.at) throw malformed('a MessagePack count is beyond the bytes at hand');
    if (++this.depth > NESTING_MAX) throw malformed(`nested more than ${NESTING_MAX} deep`);
    this.left[this.depth] = values;
    this.isMap[this.depth] = isMap ? 1 : 0;
  }

  private text(length: number): void {
    const start = this.at;
    this.skip(length);
    for (let at = start; at < this.at; at++) {
      if (this.bytes[at]! < 0x80) continue;
      if (isUtf8(this.bytes.subarray(start, this.at))) return;
      throw malformed('a MessagePack text is not UTF-8');
    }
  }

  /** A big-endian number of so many bytes. */
  private length(size: number): number {
    const start = this.at;
    this.skip(size);
    let value = 0;
    for (let at = start; at < this.at; at++) value = value * 256 + this.bytes[at]!;
    return value;
  }

  private skip(count: number): void {
    if (count > this.bytes.length - this.at) throw malformed('the MessagePack value is cut short');
    this.at += count;
  }
}
