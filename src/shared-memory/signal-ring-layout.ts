import { invariant } from '../invariant.js';
import { alignedToLine, CACHE_LINE_BYTES, LINE_WORDS } from './cache-line.js';

/** A ring as it is handed to a thread. */
export interface SharedSignalRing {
  readonly buffer: SharedArrayBuffer;
  /** A power of two. */
  readonly slotCount: number;
  readonly userFeatureCount: number;
  readonly columnCount: number;
}

/**
 * Control words of one ring, each alone on its 64-byte line. Counters only grow and wrap as 32-bit integers do: they are compared by their difference.
 *
 *   TAIL      main    requests submitted
 *   WAKE      main    changes whenever the worker has a reason to look; the one word it sleeps on
 *   STOP      main    1: return as soon as the item in hand is answered
 *   DONE      worker  requests answered
 *   WSLEEP    worker  1 from before its last look until it has woken
 *   HEARTBEAT worker  requests read: changes with every item, and differs from DONE while one is in hand
 *   MARMED    both    1: main sleeps and wants a bell. Main sets it; whoever exchanges it for 0 has taken it
 *   HOT       main    1 while main polls: the worker may spin before it sleeps
 *
 * After the worker's thread has exited, main clears the words the dead can no longer write.
 */
export const TAIL = 0 * LINE_WORDS;
export const WAKE = 1 * LINE_WORDS;
export const STOP = 2 * LINE_WORDS;
export const DONE = 3 * LINE_WORDS;
export const WSLEEP = 4 * LINE_WORDS;
export const HEARTBEAT = 5 * LINE_WORDS;
export const MARMED = 6 * LINE_WORDS;
export const HOT = 7 * LINE_WORDS;
const CONTROL_BYTES = 8 * CACHE_LINE_BYTES;
/** Where the slots begin. */
export const SLOTS_AT = CONTROL_BYTES;

/** What the worker is to do with a slot. Main may turn it into a skip until the worker has come to it. */
export const EVALUATE = 0;
/** Nothing to compute: the slot keeps a signal's place among its instrument's. */
export const PASS = 1;
/** A slot that two workers died on: answered as failed without being computed. */
export const POISONED = 2;
export type SlotOperation = typeof EVALUATE | typeof PASS | typeof POISONED;

/**
 * One slot: a request half and an answer half, each on lines of its own, so that the two threads never write to one line.
 *
 *   request  operation i32 · instrument i32 · as-of i32 · side i32 · user values f64[U]
 *   answer   status i32 · size reason i32 · model id 2 × i32 · confidence, regime weight, toxicity, size, generation, feature ns, prediction ns: f64 · row f32[columns]
 */
const REQUEST_HEAD_BYTES = 16;
const ANSWER_HEAD_BYTES = 16;
export const ANSWER_VALUES = 7;
const VALUE_BYTES = 8;

export interface SlotLayout {
  readonly slotBytes: number;
  readonly userValuesAt: number;
  readonly answerAt: number;
  readonly answerValuesAt: number;
  readonly rowAt: number;
}

export function slotLayout(userFeatureCount: number, columnCount: number): SlotLayout {
  const answerAt = alignedToLine(REQUEST_HEAD_BYTES + userFeatureCount * VALUE_BYTES);
  const answerValuesAt = answerAt + ANSWER_HEAD_BYTES;
  const rowAt = answerValuesAt + ANSWER_VALUES * VALUE_BYTES;
  const slotBytes = alignedToLine(rowAt + columnCount * Float32Array.BYTES_PER_ELEMENT);
  invariant(answerAt % CACHE_LINE_BYTES === 0 && slotBytes % CACHE_LINE_BYTES === 0, 'the halves share no line');
  return { slotBytes, userValuesAt: REQUEST_HEAD_BYTES, answerAt, answerValuesAt, rowAt };
}

/** A ring for at least `capacity` requests. `firstSequence` is where its counters begin. */
export function createSignalRing(
  capacity: number,
  userFeatureCount: number,
  columnCount: number,
  firstSequence = 0,
): SharedSignalRing {
  const slotCount = 2 ** Math.ceil(Math.log2(capacity));
  const { slotBytes } = slotLayout(userFeatureCount, columnCount);
  const buffer = new SharedArrayBuffer(CONTROL_BYTES + slotCount * slotBytes);
  const control = new Int32Array(buffer, 0, CONTROL_BYTES / Int32Array.BYTES_PER_ELEMENT);
  control[TAIL] = firstSequence;
  control[DONE] = firstSequence;
  control[HEARTBEAT] = firstSequence;
  return { buffer, slotCount, userFeatureCount, columnCount };
}

export function controlWords({ buffer }: SharedSignalRing): Int32Array {
  return new Int32Array(buffer, 0, CONTROL_BYTES / Int32Array.BYTES_PER_ELEMENT);
}
