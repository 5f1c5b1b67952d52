import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../src/invariant.js';
import { Evaluation } from '../../src/shared-memory/evaluation.js';
import { SignalRingConsumer } from '../../src/shared-memory/signal-ring-consumer.js';
import type { SharedSignalRing } from '../../src/shared-memory/signal-ring-layout.js';
import { SlotRequest } from '../../src/shared-memory/signal-ring-slots.js';
import { ECHO_COLUMNS, ECHO_USER_VALUES, echo } from './echo.js';

/** Echoes every request until it is stopped, rings the bell as a serving worker does, and tells at the end how often it has. */
const { ring, bell } = workerData as { ring: SharedSignalRing; bell: MessagePort };
invariant(parentPort !== null, 'echoes on a thread of its own');

const BATCH = 16;
const consumer = new SignalRingConsumer(ring);
const request = new SlotRequest(ECHO_USER_VALUES);
const evaluation = new Evaluation(ECHO_COLUMNS);
let rungCount = 0;

parentPort.postMessage('ready');
while (!consumer.stopped) {
  if (consumer.isEmpty) {
    if (!consumer.mainIsAwake) consumer.sleepUnless(() => false);
    continue;
  }
  for (let k = 0; k < BATCH && !consumer.isEmpty; k++) {
    consumer.read(request);
    echo(request, evaluation);
    consumer.answer(evaluation);
  }
  if (consumer.takeBell()) {
    rungCount++;
    bell.postMessage('bell');
  }
}
bell.postMessage(rungCount);
