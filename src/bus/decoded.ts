import { OrchestratorError } from '../errors.js';
import type { Decoded } from './dialect.js';
import { isText } from './fields.js';
import type { UntrustedObject } from './payload.js';

export const IGNORED: Decoded = { kind: 'ignored' };
export const HEARTBEAT: Decoded = { kind: 'heartbeat' };

/** What `read` makes of a message, or why it refuses it. `signalIdOf`: what a refused message tells as the id of its signal, if anything. */
export function decodeWith(
  readObject: () => UntrustedObject,
  read: (object: UntrustedObject) => Decoded,
  signalIdOf: (object: UntrustedObject) => unknown,
): Decoded {
  let object: UntrustedObject | null = null;
  try {
    object = readObject();
    return read(object);
  } catch (error) {
    if (!(error instanceof OrchestratorError)) throw error;
    const signalId = object === null ? null : signalIdOf(object);
    return { kind: 'invalid', error, signalId: isText(signalId) ? signalId : null };
  }
}
