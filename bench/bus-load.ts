import type { SignalEvent } from '../src/market/events.js';

/** What the other end of the bus is told, as one JSON argument. */
export interface BusLoad {
  readonly url: string;
  readonly mode: 'streams' | 'pubsub';
  readonly input: string;
  readonly output: string;
  readonly window: number;
  /** The first id; they count on from there. */
  readonly first: number;
  readonly count: number;
  readonly instruments: readonly string[];
  readonly timestamp: string;
}

/** What it says: nanoseconds each, and seconds in all. */
export interface BusTimes {
  readonly latencies: readonly number[];
  readonly seconds: number;
}

export function payloadOf(load: Pick<BusLoad, 'instruments' | 'timestamp'>, k: number): string {
  const instrumentId = load.instruments[k % load.instruments.length]!;
  const signal: SignalEvent['signal'] = k % 2 === 0 ? 1 : -1;
  return JSON.stringify({ type: 'signal', signalId: `s${k}`, instrumentId, signal, timestamp: load.timestamp });
}
