import type { Evaluation } from './evaluation.js';
import {
  controlWords,
  DONE,
  HEARTBEAT,
  HOT,
  MARMED,
  type SharedSignalRing,
  STOP,
  TAIL,
  WAKE,
  WSLEEP,
} from './signal-ring-layout.js';
import { SignalRingSlots, type SlotRequest } from './signal-ring-slots.js';

/** The worker's half of a ring. There is one at a time: the next begins where the last has left off. */
export class SignalRingConsumer {
  private readonly control: Int32Array;
  private readonly slots: SignalRingSlots;
  private done: number;

  constructor(shared: SharedSignalRing) {
    this.control = controlWords(shared);
    this.slots = new SignalRingSlots(shared);
    this.done = Atomics.load(this.control, DONE);
  }

  get stopped(): boolean {
    return Atomics.load(this.control, STOP) === 1;
  }

  get isEmpty(): boolean {
    return this.waitingCount === 0;
  }

  get waitingCount(): number {
    return (Atomics.load(this.control, TAIL) - this.done) | 0;
  }

  /** Reads the oldest unanswered request; the ring must not be empty. */
  read(into: SlotRequest): void {
    Atomics.store(this.control, HEARTBEAT, (this.done + 1) | 0);
    this.slots.readRequest(this.done, into);
  }

  /** Answers the request that was read last. */
  answer(evaluation: Evaluation): void {
    this.slots.writeAnswer(this.done, evaluation);
    this.done = (this.done + 1) | 0;
    Atomics.store(this.control, DONE, this.done);
  }

  /** True once for every time main has asked for a bell. */
  takeBell(): boolean {
    return Atomics.load(this.control, MARMED) === 1 && Atomics.exchange(this.control, MARMED, 0) === 1;
  }

  /** Whether main polls, so that work may come at any moment. */
  get mainIsAwake(): boolean {
    return Atomics.load(this.control, HOT) === 1;
  }

  /**
   * Sleeps until main calls, unless there is something to do. All reasons to wake are changed before WAKE is, and WAKE is read before they are checked: whatever
   * happens after the check makes the wait return at once. Waiting on TAIL instead would sleep through a stop.
   */
  sleepUnless(hasWork: () => boolean): void {
    const seen = Atomics.load(this.control, WAKE);
    Atomics.store(this.control, WSLEEP, 1);
    if (this.isEmpty && !this.stopped && !hasWork()) Atomics.wait(this.control, WAKE, seen);
    Atomics.store(this.control, WSLEEP, 0);
  }
}
