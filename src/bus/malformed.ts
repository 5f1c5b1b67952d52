import { OrchestratorError } from '../errors.js';

/** Deeper than any message, and shallow enough for whatever walks one. */
export const NESTING_MAX = 32;

/** Bytes that are no message in any format read here. The reason never quotes them. */
export function malformed(reason: string): OrchestratorError {
  return new OrchestratorError('PAYLOAD_MALFORMED', reason, { field: 'payload' });
}
