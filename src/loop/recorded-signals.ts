import type { SignalEvent } from '../market/events.js';
import { RecentIds } from '../recent-ids.js';

/** Signals remembered at the least: a producer that sends one again does so soon. */
export const RECORDED_SIGNALS_MIN = 65_536;

/** The newest recorded signals. One that is sent again is answered again, but neither recorded nor followed a second time. */
export class RecordedSignals {
  private readonly ids = new RecentIds(RECORDED_SIGNALS_MIN);

  /** False for a signal that is known: the same id for the same instrument and time. An id that is given to another signal makes no same one. */
  add(signalId: string, { instrumentId, timestamp }: Pick<SignalEvent, 'instrumentId' | 'timestamp'>): boolean {
    return this.ids.add(`${signalId}\n${instrumentId}\n${timestamp}`);
  }
}
