import type { SignalEvent } from '../market/events.js';
import { KNOWN, RecentIds } from '../recent-ids.js';

/** Signals remembered: a producer that sends one again does so soon. */
export const RECORDED_SIGNALS = 65_536;

/** The newest recorded signals. One that is sent again is answered again, but neither recorded nor followed a second time. */
export class RecordedSignals {
  private readonly ids = new RecentIds(RECORDED_SIGNALS);
  /** By the place of its id, what tells a signal from others that are given it. */
  private readonly instrumentIds: string[] = [];
  private readonly timestamps = new BigInt64Array(RECORDED_SIGNALS);
  /** Signals that came with the id of another one; null while there was none. */
  private namesakes: RecentIds | null = null;

  /** False for a signal that is known: the same id for the same instrument and time. An id that is given to another signal makes no same one. */
  add(signalId: string, { instrumentId, timestamp }: Pick<SignalEvent, 'instrumentId' | 'timestamp'>): boolean {
    const place = this.ids.add(signalId);
    if (place !== KNOWN) {
      this.instrumentIds[place] = instrumentId;
      this.timestamps[place] = timestamp;
      // The signal whose id it had may be forgotten before it.
      return this.namesakes === null || !this.namesakes.has(nameOf(signalId, instrumentId, timestamp));
    }
    const known = this.ids.placeOf(signalId);
    if (this.instrumentIds[known] === instrumentId && this.timestamps[known] === timestamp) return false;
    this.namesakes ??= new RecentIds(RECORDED_SIGNALS);
    return this.namesakes.add(nameOf(signalId, instrumentId, timestamp)) !== KNOWN;
  }
}

function nameOf(signalId: string, instrumentId: string, timestamp: bigint): string {
  return `${signalId}\n${instrumentId}\n${timestamp}`;
}
