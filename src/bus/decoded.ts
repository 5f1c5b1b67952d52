import { OrchestratorError } from '../errors.js';
import type { Decoded } from './dialect.js';
import { isText } from './fields.js';
import { readPayload, type UntrustedObject } from './payload.js';

export const IGNORED: Decoded = { kind: 'ignored' };
export const HEARTBEAT: Decoded = { kind: 'heartbeat' };

export interface PayloadDecoderOptions {
  readonly payloadBytesMax: number;
  /** Throws an {@link OrchestratorError} for what it refuses. */
  readonly read: (object: UntrustedObject) => Decoded;
  /** What a refused message tells as the id of its signal, if anything. */
  readonly signalIdOf: (object: UntrustedObject) => unknown;
}

/** What `read` makes of a payload, or why it is refused. */
export function payloadDecoder({
  payloadBytesMax,
  read,
  signalIdOf,
}: PayloadDecoderOptions): (payload: Uint8Array) => Decoded {
  return (payload) => {
    let object: UntrustedObject | null = null;
    try {
      object = readPayload(payload, payloadBytesMax);
      return read(object);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      const signalId = object === null ? null : signalIdOf(object);
      return { kind: 'invalid', error, signalId: isText(signalId) ? signalId : null };
    }
  };
}
