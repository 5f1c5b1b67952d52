import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../src/invariant.js';
import { Evaluation } from '../../src/shared-memory/evaluation.js';
import { SignalRingConsumer } from '../../src/shared-memory/signal-ring-consumer.js';
import {
  controlWords,
  type SharedSignalRing,
  STOP,
  TAIL,
  WAKE,
  WSLEEP,
} from '../../src/shared-memory/signal-ring-layout.js';
import { SlotRequest } from '../../src/shared-memory/signal-ring-slots.js';
import { ECHO_COLUMNS, ECHO_USER_VALUES, echo } from './echo.js';
import { SleeperWord, type SleepVariant } from './sleeper.js';
import { changesFrom, setWord } from './threads.js';

/** Goes to sleep once a round and is held by main between its last look and its wait. */
const { ring, gate, rounds, variant } = workerData as {
  ring: SharedSignalRing;
  gate: SharedArrayBuffer;
  rounds: number;
  variant: SleepVariant;
};
invariant(parentPort !== null, 'sleeps on a thread of its own');

/** After which a control that missed its call gives up; the real consumer waits for ever. */
const CONTROL_WAIT_MS = 50;
const words = new Int32Array(gate);
const control = controlWords(ring);
const consumer = new SignalRingConsumer(ring);
const request = new SlotRequest(ECHO_USER_VALUES);
const evaluation = new Evaluation(ECHO_COLUMNS);

function hasModelWork(round: number): boolean {
  const has = Atomics.load(words, SleeperWord.model) === round;
  setWord(words, SleeperWord.parked, round);
  changesFrom(words, SleeperWord.released, round - 1);
  return has;
}

function sleepWrongly(word: number, round: number): void {
  const seenBefore = Atomics.load(control, word);
  Atomics.store(control, WSLEEP, 1);
  if (consumer.isEmpty && Atomics.load(control, STOP) === 0 && !hasModelWork(round)) {
    const seen = variant === 'late' ? Atomics.load(control, word) : seenBefore;
    const woken = Atomics.wait(control, word, seen, CONTROL_WAIT_MS);
    if (woken === 'timed-out') Atomics.store(words, SleeperWord.timedOut, round);
  }
  Atomics.store(control, WSLEEP, 0);
}

parentPort.postMessage('ready');
for (let round = 1; round <= rounds; round++) {
  changesFrom(words, SleeperWord.round, round - 1);
  if (variant === 'wake') consumer.sleepUnless(() => hasModelWork(round));
  else sleepWrongly(variant === 'tail' ? TAIL : WAKE, round);
  while (!consumer.isEmpty) {
    consumer.read(request);
    echo(request, evaluation);
    consumer.answer(evaluation);
  }
  setWord(words, SleeperWord.awake, round);
}
