import type { DegradedReason } from '../market/events.js';
import { fieldOf, isAbsent, readBoolean, readOptionalText, refusal } from './fields.js';
import type { UntrustedObject } from './payload.js';

const DEGRADED_REASONS: Readonly<Record<DegradedReason, true>> = {
  deadline: true,
  'worker-failed': true,
  'stale-window': true,
  'insufficient-history': true,
  'stale-bars': true,
  'bar-missing': true,
};

/** null where the answer is not degraded. Throws INVALID_MESSAGE. */
export function readDegraded(object: UntrustedObject, name: string): DegradedReason | null {
  const text = readOptionalText(object, name, 'INVALID_MESSAGE');
  if (isAbsent(text)) return null;
  if (!isDegradedReason(text)) throw refusal('INVALID_MESSAGE', name, 'is no known reason');
  return text;
}

/** False where there is none: an answer that an earlier version wrote. Throws INVALID_MESSAGE. */
export function readRepeated(object: UntrustedObject): boolean {
  return !isAbsent(fieldOf(object, 'repeated')) && readBoolean(object, 'repeated');
}

function isDegradedReason(text: string): text is DegradedReason {
  return Object.hasOwn(DEGRADED_REASONS, text);
}
