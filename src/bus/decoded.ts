import { OrchestratorError } from '../errors.js';
import type { Decoded, SequencePlace } from './dialect.js';
import { readPayload, type UntrustedObject } from './payload.js';
import type { SignalClaim } from './signal-claim.js';

export const HEARTBEAT: Decoded = { kind: 'heartbeat' };

export interface PayloadDecoderOptions {
  readonly payloadBytesMax: number;
  /** Throws an {@link OrchestratorError} for what it refuses. */
  readonly placeOf: (object: UntrustedObject) => SequencePlace | null;
  /** Throws likewise. A message that is refused for what is in it has its place all the same. */
  readonly read: (object: UntrustedObject, place: SequencePlace | null) => Decoded;
  /**
   * What a refused message tells of its signal; null where it is none and names none. Never throws.
   */
  readonly claimOf: (object: UntrustedObject) => SignalClaim | null;
}

/** What `read` makes of a payload, or why it is refused. */
export function payloadDecoder({
  payloadBytesMax,
  placeOf,
  read,
  claimOf,
}: PayloadDecoderOptions): (payload: Uint8Array) => Decoded {
  return (payload) => {
    let object: UntrustedObject | null = null;
    let place: SequencePlace | null = null;
    try {
      object = readPayload(payload, payloadBytesMax);
      place = placeOf(object);
      return read(object, place);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      return { kind: 'invalid', error, claim: object === null ? null : claimOf(object), place };
    }
  };
}
