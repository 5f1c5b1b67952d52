import { crc32 } from 'node:zlib';
import { OrchestratorError } from '../errors.js';

/** Bytes in front of every stored value: a CRC-32, and four bytes of the value's own (so that what follows stays aligned). */
export const SEAL_BYTES = 8;

/**
 * Fills in the seal of a value whose content begins after {@link SEAL_BYTES}; `tag` is kept with it. `name` says which record it is, and is part of the checksum: a record that is
 * found under another's key is damaged as well.
 */
export function seal(value: Buffer, tag: number, name: string): Buffer {
  value.writeUInt32LE(tag, 4);
  value.writeUInt32LE(checksum(value.subarray(SEAL_BYTES), tag, name), 0);
  return value;
}

/** Content in memory of its own, sealed. */
export function sealedCopy(content: Uint8Array, tag: number, name: string): Buffer {
  const value = Buffer.alloc(SEAL_BYTES + content.length);
  value.set(content, SEAL_BYTES);
  return seal(value, tag, name);
}

/** The content and tag of a sealed value. Throws STORE_DAMAGED for bytes that are not what was stored as the record of that name. */
export function unseal(value: Buffer, name: string): { tag: number; content: Buffer } {
  if (value.length < SEAL_BYTES) throw damaged(`${name} is cut short`);
  const tag = value.readUInt32LE(4);
  const content = value.subarray(SEAL_BYTES);
  if (checksum(content, tag, name) !== value.readUInt32LE(0)) throw damaged(`${name} is not what was written`);
  return { tag, content };
}

function checksum(content: Buffer, tag: number, name: string): number {
  return crc32(content, crc32(`${tag} ${name}`));
}

/** What to say when the store cannot be trusted. */
export function damaged(reason: string, cause?: unknown): OrchestratorError {
  const hint = 'restore dataDir from a backup, or move it away to start afresh';
  return new OrchestratorError('STORE_DAMAGED', `${reason}; ${hint}`, { field: 'dataDir', cause });
}
