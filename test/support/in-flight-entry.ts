import type { InFlightEntry } from '../../src/bus/redis/in-flight.js';

/** An entry as it was let in, with what the test says of it. */
export function inFlightEntry(
  told: Pick<InFlightEntry, 'id' | 'asOf'> & Partial<Pick<InFlightEntry, 'reply' | 'replyKind'>>,
): InFlightEntry {
  const instead = (): never => {
    throw new Error('no id was known here');
  };
  return {
    ...{ dueNs: null, isBarMissing: false, readBefore: null, isWaiting: false, reconsider: null },
    ...{ reply: null, replyKind: 'enriched', isRepeated: false, wasSent: false, instead, ...told },
  };
}
