import type { OrchestratorError } from '../errors.js';
import type { EnrichedSignalEvent } from '../market/events.js';
import type { AdmittedSignal } from './admission.js';
import type { Lane } from './lane.js';

/** The deadline of a batch's signals. */
export const NO_DEADLINE = Number.POSITIVE_INFINITY;

/** An admitted signal that waits for its one answer. */
export class PendingSignal {
  /** Set with the answer, whichever way it came: everything later is too late. */
  isSettled = false;
  /** Where it waits, once it was routed. */
  lane: Lane | null = null;
  /** Its place in that lane, for lanes that number theirs. */
  sequence = 0;

  constructor(
    readonly signal: AdmittedSignal,
    /** Monotonic time of its arrival; of a batch's signal, of its turn. */
    public startNs: number,
    /** Monotonic time by which it is answered, or {@link NO_DEADLINE}. */
    readonly deadlineNs: number,
    private readonly onAnswer: (answer: EnrichedSignalEvent) => void,
    private readonly onReject: (error: OrchestratorError) => void,
  ) {}

  get isOfBatch(): boolean {
    return this.deadlineNs === NO_DEADLINE;
  }

  settle(answer: EnrichedSignalEvent): void {
    this.isSettled = true;
    this.onAnswer(answer);
  }

  reject(error: OrchestratorError): void {
    this.isSettled = true;
    this.onReject(error);
  }
}
