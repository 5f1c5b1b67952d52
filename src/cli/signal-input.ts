import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.js';
import { OrchestratorError } from '../errors.js';
import { TIMESTAMP_NS_MAX } from '../market/bar.js';
import type { SignalEvent } from '../market/events.js';
import { isInstrumentId } from '../market/instrument-id.js';
import { parseTimestampNs } from '../market/timestamp.js';

/** A signal as it is written on a command line. */
export interface SignalInput {
  instrument: string;
  side: string;
  timestamp?: string;
  id?: string;
  feature?: readonly string[];
}

const SIDES: Readonly<Record<string, -1 | 0 | 1>> = { '-1': -1, '0': 0, '1': 1, '+1': 1 };

/** The signal, with an id of its own and now as its instant where none is given. Throws USAGE, naming the field. */
export function signalOf(input: SignalInput, clock: Clock): SignalEvent & { readonly signalId: string } {
  const { instrument: instrumentId, side, timestamp, id, feature = [] } = input;
  const signal = Object.hasOwn(SIDES, side) ? SIDES[side]! : refuse('side', 'must be -1, 0 or 1');
  if (!isInstrumentId(instrumentId)) refuse('instrument', 'must be text of 1 to 127 bytes');
  if (id === '') refuse('id', 'must not be empty');
  const features = Object.fromEntries(feature.map(featureOf));
  return {
    instrumentId,
    signal,
    timestamp: timestamp === undefined ? clock.epochNs() : timestampOf(timestamp),
    signalId: id ?? randomUUID(),
    ...(feature.length > 0 && { features }),
  };
}

function timestampOf(text: string): bigint {
  const ns = parseTimestampNs(text);
  if (ns !== null && ns >= 0n && ns <= TIMESTAMP_NS_MAX) return ns;
  return refuse('timestamp', 'must be ISO 8601, or an integer in s, ms, us or ns');
}

function featureOf(text: string): [string, number] {
  const cut = text.indexOf('=');
  const [name, value] = [text.slice(0, cut).trim(), text.slice(cut + 1).trim()];
  const number = Number(value);
  if (cut < 1 || name === '' || value === '' || !Number.isFinite(number)) {
    refuse('feature', 'must be name=value with a finite number');
  }
  return [name, number];
}

/** A count or a number of seconds from the command line. Throws USAGE, naming the field. */
export function positive(field: string, value: number): number {
  return Number.isFinite(value) && value > 0 ? value : refuse(field, 'must be a positive number');
}

/** As {@link positive}, for integers. `least`: 0 or 1. */
export function wholeNumber(field: string, value: number, least: 0 | 1): number {
  return Number.isSafeInteger(value) && value >= least ? value : refuse(field, `must be an integer from ${least} on`);
}

function refuse(field: string, rule: string): never {
  throw new OrchestratorError('USAGE', `--${field} ${rule}`, { field });
}
