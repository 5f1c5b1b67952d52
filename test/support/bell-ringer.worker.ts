import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../src/invariant.js';
import { Evaluation } from '../../src/shared-memory/evaluation.js';
import { SignalRingConsumer } from '../../src/shared-memory/signal-ring-consumer.js';
import type { SharedSignalRing } from '../../src/shared-memory/signal-ring-layout.js';
import { SlotRequest } from '../../src/shared-memory/signal-ring-slots.js';
import { ECHO_COLUMNS, ECHO_USER_VALUES, echo } from './echo.js';
import { changesFrom, setWord } from './threads.js';

/** Answers one request a round, held by main between its two steps; says 'quiet' once it will not ring any more. The control looks for main's wish before it answers. */
const { ring, bell, gate, rounds, control } = workerData as {
  ring: SharedSignalRing;
  bell: MessagePort;
  gate: SharedArrayBuffer;
  rounds: number;
  control: boolean;
};
invariant(parentPort !== null, 'answers on a thread of its own');

const [PARKED, RELEASED] = [0, 1];
const words = new Int32Array(gate);
const consumer = new SignalRingConsumer(ring);
const request = new SlotRequest(ECHO_USER_VALUES);
const evaluation = new Evaluation(ECHO_COLUMNS);

function answer(): void {
  echo(request, evaluation);
  consumer.answer(evaluation);
}

function ringBell(): void {
  if (consumer.takeBell()) bell.postMessage('bell');
}

parentPort.postMessage('ready');
const [first, second] = control ? [ringBell, answer] : [answer, ringBell];
for (let round = 1; round <= rounds; round++) {
  while (consumer.isEmpty) consumer.sleepUnless(() => false);
  consumer.read(request);
  first();
  setWord(words, PARKED, round);
  changesFrom(words, RELEASED, round - 1);
  second();
  bell.postMessage('quiet');
}
