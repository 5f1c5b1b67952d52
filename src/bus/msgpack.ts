import { Packr, Unpackr } from 'msgpackr';
import { malformed } from './malformed.js';
import { checkMsgpackStructure } from './msgpack-structure.js';

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint', structuredClone: false });
const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true });

/**
 * The value of a MessagePack map: maps as plain objects, 64-bit integers as bigints, other numbers as numbers. A key `__proto__` is renamed and sets no prototype.
 * Throws PAYLOAD_MALFORMED for what {@link checkMsgpackStructure} refuses.
 */
export function readMsgpack(bytes: Uint8Array): unknown {
  checkMsgpackStructure(bytes);
  try {
    return unpackr.unpack(bytes);
  } catch {
    throw malformed('the bytes are not MessagePack');
  }
}

/** The bytes of a plain value: bigints as 64-bit integers, numbers with their bits, except that −0 is 0. Keys without a value are left out. */
export function writeMsgpack(value: unknown): Buffer {
  return packr.pack(value);
}
