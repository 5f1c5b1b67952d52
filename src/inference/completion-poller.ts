import type { RingLane } from './ring-lane.js';

/** Empty turns of the event loop after which main stops asking and waits to be called. */
const EMPTY_TURNS_MAX = 32;
/** Answers taken in one turn, so that other events have theirs. */
const TAKEN_PER_TURN_MAX = 256;

/**
 * Takes the workers' answers on the main thread: asks once per turn of the event loop while answers keep coming, then arms a bell and sleeps. It asks with
 * `setImmediate`, never from a microtask, which would keep every other event waiting.
 */
export class CompletionPoller {
  private isPolling = false;
  private emptyTurns = 0;

  constructor(
    private readonly lanes: readonly RingLane[],
    /** Called in every turn, after its answers were taken. */
    private readonly onTurn: () => void,
  ) {}

  /** Something was submitted, or a bell rang: from now on answers may come. */
  resume(): void {
    this.emptyTurns = 0;
    if (this.isPolling) return;
    this.isPolling = true;
    this.stayAwake();
    setImmediate(this.turn);
  }

  private readonly turn = (): void => {
    let taken = 0;
    let held = 0;
    for (const lane of this.lanes) {
      if (lane.heldCount === 0) continue;
      taken += lane.take(TAKEN_PER_TURN_MAX);
      held += lane.heldCount;
    }
    this.onTurn();
    this.emptyTurns = taken === 0 ? this.emptyTurns + 1 : 0;
    if (held > 0 && (this.emptyTurns <= EMPTY_TURNS_MAX || !this.arm())) {
      setImmediate(this.turn);
      return;
    }
    this.isPolling = false;
  };

  private stayAwake(): void {
    for (const { producer } of this.lanes) {
      producer.disarm();
      producer.setHot(true);
    }
  }

  /** Asks every worker that has work for a bell. False if an answer came in the meantime. */
  private arm(): boolean {
    let quiet = true;
    for (const { heldCount, producer } of this.lanes) {
      producer.setHot(false);
      if (heldCount > 0 && !producer.arm()) quiet = false;
    }
    if (!quiet) this.stayAwake();
    return quiet;
  }
}
