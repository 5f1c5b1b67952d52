import type { BusEvents } from './bus/message-bus.js';
import type { LoopEvents } from './loop/loop-events.js';
import type { EnrichedSignalEvent } from './market/events.js';

/** What the orchestrator tells those who listen. A listener that throws is logged; it keeps the event from those after it, and changes nothing else. */
export interface OrchestratorEvents extends LoopEvents, BusEvents {
  enriched: (answer: EnrichedSignalEvent) => void;
  /** `from`: the model id served before, '' for none. */
  modelSwapped: (swap: { generation: number; modelId: string; from: string }) => void;
}
