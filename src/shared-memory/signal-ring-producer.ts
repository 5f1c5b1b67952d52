import { invariant } from '../invariant.js';
import type { Evaluation, SignalRequest } from './evaluation.js';
import {
  controlWords,
  DONE,
  EVALUATE,
  HEARTBEAT,
  HOT,
  MARMED,
  PASS,
  POISONED,
  type SharedSignalRing,
  type SlotOperation,
  STOP,
  TAIL,
  WAKE,
  WSLEEP,
} from './signal-ring-layout.js';
import { SignalRingSlots } from './signal-ring-slots.js';

/** Main's half of a ring: submits requests and takes the answers in the same order. */
export class SignalRingProducer {
  private readonly control: Int32Array;
  private readonly slots: SignalRingSlots;
  /** Requests written, submitted or not. */
  private tail: number;
  /** Answers taken. */
  private head: number;

  constructor(readonly shared: SharedSignalRing) {
    this.control = controlWords(shared);
    this.slots = new SignalRingSlots(shared);
    this.tail = Atomics.load(this.control, TAIL);
    this.head = Atomics.load(this.control, DONE);
  }

  /** Requests whose answers were not taken yet. */
  get heldCount(): number {
    return (this.tail - this.head) | 0;
  }

  /** Sequence number of the request that is written next. */
  get nextSequence(): number {
    return this.tail;
  }

  /** Writes a request; the worker sees it with the next {@link submit}. Returns its sequence number. */
  write(operation: SlotOperation, request: SignalRequest): number {
    invariant(this.heldCount < this.shared.slotCount, 'admission lets in no more than a ring holds');
    const sequence = this.tail;
    this.slots.writeRequest(sequence, operation, request);
    this.tail = (sequence + 1) | 0;
    return sequence;
  }

  /** Shows everything written to the worker. True if the worker was asleep. */
  submit(): boolean {
    Atomics.store(this.control, TAIL, this.tail);
    return this.wake();
  }

  /** Makes the worker look once more, asleep or about to be. True if it was asleep. */
  wake(): boolean {
    Atomics.add(this.control, WAKE, 1);
    if (Atomics.load(this.control, WSLEEP) === 0) return false;
    Atomics.notify(this.control, WAKE);
    return true;
  }

  /** Sequence number of the next answer, or null while it is not there. */
  next(): number | null {
    return Atomics.load(this.control, DONE) === this.head ? null : this.head;
  }

  /** Reads the answer that {@link next} named and gives its slot back. */
  take(into: Evaluation): void {
    this.slots.readAnswer(this.head, into);
    this.head = (this.head + 1) | 0;
  }

  /** Spares the worker a request that was answered otherwise. */
  pass(sequence: number): void {
    this.slots.setOperation(sequence, PASS);
  }

  /** Has a request answered as failed without being computed. False if there is nothing to compute anyway. */
  poison(sequence: number): boolean {
    return this.slots.replaceOperation(sequence, EVALUATE, POISONED);
  }

  setHot(hot: boolean): void {
    Atomics.store(this.control, HOT, hot ? 1 : 0);
  }

  /** Asks for a bell with the next answers. False if an answer is there already: then there may be none. */
  arm(): boolean {
    Atomics.store(this.control, MARMED, 1);
    return this.next() === null;
  }

  disarm(): void {
    Atomics.store(this.control, MARMED, 0);
  }

  /** The request that a dead worker had in hand; null if it died without one. */
  suspect(): number | null {
    const done = Atomics.load(this.control, DONE);
    return Atomics.load(this.control, HEARTBEAT) === done ? null : done;
  }

  /** Changes while the worker gets on; null while it has nothing to get on with. */
  pulse(): number | null {
    const done = Atomics.load(this.control, DONE);
    if (done === Atomics.load(this.control, TAIL)) return null;
    const read = Atomics.load(this.control, HEARTBEAT);
    return 2 * read + (read === done ? 0 : 1);
  }

  /** Only after the worker's thread has exited: clears the words it left behind. */
  buryWorker(): void {
    Atomics.store(this.control, HEARTBEAT, Atomics.load(this.control, DONE));
    Atomics.store(this.control, WSLEEP, 0);
    Atomics.store(this.control, MARMED, 0);
  }

  stop(): void {
    Atomics.store(this.control, STOP, 1);
    this.wake();
  }
}
