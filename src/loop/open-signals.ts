import type { OutcomeEvent } from '../market/events.js';
import type { SignalRecord } from '../state/records.js';
import type { StoredState } from '../state/stored-state.js';

/** A recorded signal whose horizon had not closed when the process ended, and what it had been told by then. */
export interface OpenStoredSignal {
  readonly record: SignalRecord;
  readonly outcome: OutcomeEvent | null;
}

/**
 * The open ones among the recorded signals, none of which lies before `floor`: their horizon
 * `isOver` only after the newest bar, and nothing says that they have no label. Calls back with
 * every record from `recentFrom` on.
 */
export function openSignalsOf(
  stored: StoredState<unknown>,
  floor: number,
  recentFrom: number,
  { isOver, onRecent }: { isOver: (record: SignalRecord) => boolean; onRecent: (record: SignalRecord) => void },
): OpenStoredSignal[] {
  const outcomes = new Map<number, OutcomeEvent>();
  for (const { ordinal, ...outcome } of stored.outcomes(floor)) outcomes.set(ordinal, outcome);
  const open: OpenStoredSignal[] = [];
  for (const record of stored.signals(Math.min(floor, recentFrom))) {
    if (record.ordinal >= recentFrom) onRecent(record);
    if (record.ordinal < floor) continue;
    const outcome = outcomes.get(record.ordinal) ?? null;
    if (outcome !== null && outcome.metaLabel === null) continue;
    if (!isOver(record)) open.push({ record, outcome });
  }
  return open;
}
