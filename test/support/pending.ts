import { AdmittedSignal } from '../../src/inference/admission.js';
import { NO_DEADLINE, PendingSignal } from '../../src/inference/pending-signal.js';
import type { EnrichedSignalEvent, SignalEvent } from '../../src/market/events.js';
import type { WindowObstacle } from '../../src/shared-memory/feature-store-writer.js';

let count = 0;

/** A signal as admission would hand it on. */
export function admitted(
  instrument: number,
  { side = 1, asOf = 99, obstacle = null }: { side?: -1 | 0 | 1; asOf?: number; obstacle?: WindowObstacle | null } = {},
): AdmittedSignal {
  const event: SignalEvent = { instrumentId: `I${instrument}`, signal: side, timestamp: 1n };
  return new AdmittedSignal(`${++count}`, event, event.timestamp, new Float64Array(0), instrument, asOf, 1n, obstacle);
}

/** A pending signal nobody waits for, unless told who. */
export function pendingOf(
  signal: AdmittedSignal,
  deadlineNs = NO_DEADLINE,
  onAnswer: (answer: EnrichedSignalEvent) => void = () => undefined,
): PendingSignal {
  return new PendingSignal(signal, 0, deadlineNs, onAnswer, () => undefined);
}
