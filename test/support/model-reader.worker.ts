import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../src/invariant.js';
import { ModelReader } from '../../src/shared-memory/model-reader.js';
import type { SharedModelSlots } from '../../src/shared-memory/model-slots-layout.js';
import { isWhole, ModelRace, NaiveBuffers } from './stamped-model.js';

/** Reads the current model over and over while main publishes, from the slots or from the control's double buffer, and counts what it sees. */
const { slots, naive, readerId, counts } = workerData as {
  slots: SharedModelSlots;
  /** null: read the slots. */
  naive: SharedArrayBuffer | null;
  readerId: number;
  counts: SharedArrayBuffer;
};
invariant(parentPort !== null, 'reads on a thread of its own');

const words = new Int32Array(counts);
const at = readerId * ModelRace.stride;
let newest = 0;

function look(bytes: Uint8Array, generation: number): void {
  Atomics.add(words, at + ModelRace.reads, 1);
  if (!isWhole(bytes, generation)) Atomics.add(words, at + ModelRace.torn, 1);
  else if (generation < newest) Atomics.add(words, at + ModelRace.backwards, 1);
  if (generation > newest) Atomics.add(words, at + ModelRace.seen, 1);
  newest = generation;
}

const reader = new ModelReader(slots, readerId);
const buffers = naive === null ? null : new NaiveBuffers(naive);
parentPort.postMessage('ready');
while (Atomics.load(words, ModelRace.stop) === 0) {
  if (buffers === null) reader.readCurrent(look);
  else buffers.read(look);
}
parentPort.postMessage('stopped');
