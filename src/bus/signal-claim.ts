import type { SignalEvent } from '../market/events.js';
import { fieldOf, isText, readTimestampNs } from './fields.js';
import type { BusInput } from './message-bus.js';
import type { UntrustedObject } from './payload.js';

/** What a message tells of the signal that it is, whether it can be taken or not. */
export interface SignalClaim {
  readonly signalId: string | null;
  readonly instrumentId: string | null;
  /** null where it cannot be read. */
  readonly timestamp: bigint | null;
  /** Instrument, side and time as text: with the same id they are the same signal. */
  readonly contents: string;
}

/** How a dialect names what a signal is known by. */
export interface ClaimNames {
  readonly signalId: string;
  readonly instrumentId: string;
  readonly timestamp: string;
  /** May throw. */
  readonly sideOf: (object: UntrustedObject) => number;
}

/** What a signal that was read tells; `signalId`, where it has been given one since. */
export function claimOfEvent(event: SignalEvent, signalId = event.signalId ?? null): SignalClaim {
  const { instrumentId, signal, timestamp } = event;
  return { signalId, instrumentId, timestamp, contents: contentsOf(instrumentId, signal, timestamp) };
}

/** null for a bar. */
export function claimOfInput(input: BusInput): SignalClaim | null {
  return input.kind === 'signal' ? claimOfEvent(input.event) : null;
}

/**
 * What a message tells that is refused for what is in it. As {@link claimOfEvent} wherever a part
 * can be read, so that a signal is the same before and after it was mended elsewhere.
 */
export function readClaim(object: UntrustedObject, names: ClaimNames): SignalClaim {
  const [signalId, instrumentId] = [fieldOf(object, names.signalId), fieldOf(object, names.instrumentId)];
  const timestamp = unlessThrown(() => readTimestampNs(object, names.timestamp));
  const side = unlessThrown(() => names.sideOf(object));
  return {
    signalId: isText(signalId) ? signalId : null,
    instrumentId: isText(instrumentId) ? instrumentId : null,
    timestamp,
    contents: contentsOf(instrumentId, side, timestamp ?? fieldOf(object, names.timestamp)),
  };
}

function contentsOf(...parts: readonly unknown[]): string {
  // An object of somebody else's may have anything for its `toString`.
  return parts.map((part) => (typeof part === 'object' ? '' : String(part))).join('\n');
}

function unlessThrown<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
