import type { EnrichedSignalEvent } from '../../src/market/events.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import type { ML4TOrchestrator } from '../../src/orchestrator.js';
import { CRASH_INSTRUMENTS, type CrashEvent } from './crash-input.js';

/** Puts one event in and waits where a caller has to wait: until a model serves. The answer, if it was a signal. */
export async function play(
  orchestrator: ML4TOrchestrator,
  event: CrashEvent,
  bundles: readonly ModelBundle[],
): Promise<EnrichedSignalEvent | null> {
  switch (event.kind) {
    case 'bar':
      orchestrator.addBar(CRASH_INSTRUMENTS[event.instrument]!, event.bar);
      return null;
    case 'signal':
      if (event.event.signalId.endsWith('1')) return orchestrator.processSignal(event.event);
      return orchestrator.processSignalSync(event.event);
    case 'outcome':
      orchestrator.recordOutcome(event.signalId, event.outcome);
      return null;
    default:
      // A process that comes back finds the step taken, or takes it.
      if (orchestrator.model?.modelId === bundles[event.model]!.modelId) return null;
      if (event.kind === 'install') await orchestrator.hotSwapModel(bundles[event.model]!);
      else await orchestrator.rollback();
      return null;
  }
}

/** Index of the event after the last bar that is stored: nothing after it is known for certain, everything before it is. `barCounts`: stored bars by instrument. */
export function resumeIndex(events: readonly CrashEvent[], barCounts: readonly number[]): number {
  const firstMissing = events.findIndex(
    (event) => event.kind === 'bar' && event.sequence >= (barCounts[event.instrument] ?? 0),
  );
  const end = firstMissing < 0 ? events.length : firstMissing;
  return events.slice(0, end).findLastIndex(({ kind }) => kind === 'bar') + 1;
}
