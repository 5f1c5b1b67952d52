import { OrchestratorError } from '../errors.js';
import { type BigintForm, hasByteOrderMark, readJson, writeJson } from './json.js';
import { malformed } from './malformed.js';
import { readMsgpack, writeMsgpack } from './msgpack.js';

/** An object that somebody else wrote. Only its own properties mean anything, and none is what it should be. */
export type UntrustedObject = { readonly [name: string]: unknown };

export type PayloadEncoding = 'json' | 'msgpack';

const OPENING_BRACE = 0x7b;

/**
 * The object that the bytes are, in JSON or in MessagePack: their first byte tells which. Throws PAYLOAD_TOO_LARGE before anything is decoded, and PAYLOAD_MALFORMED for everything that is
 * no object in either format.
 */
export function readPayload(bytes: Uint8Array, payloadBytesMax: number): UntrustedObject {
  if (bytes.length > payloadBytesMax) {
    throw new OrchestratorError(
      'PAYLOAD_TOO_LARGE',
      `a message of ${bytes.length} bytes; at most ${payloadBytesMax} are read`,
      { field: 'payload' },
    );
  }
  switch (encodingOf(bytes)) {
    case 'json':
      return readJson(bytes) as UntrustedObject;
    case 'msgpack':
      return readMsgpack(bytes) as UntrustedObject;
    case null:
      throw malformed('neither a JSON object nor a MessagePack map');
  }
}

/** JSON as text: whoever sends it on writes text faster than bytes. */
export function writePayload(value: UntrustedObject, encoding: PayloadEncoding, bigints: BigintForm): Buffer | string {
  return encoding === 'json' ? writeJson(value, bigints) : writeMsgpack(value);
}

/** What an object in these bytes would be written in. */
function encodingOf(bytes: Uint8Array): PayloadEncoding | null {
  const first = bytes[0];
  if (first === undefined) return null;
  if ((first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf) return 'msgpack';
  let at = hasByteOrderMark(bytes) ? 3 : 0;
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return bytes[at] === OPENING_BRACE ? 'json' : null;
}
