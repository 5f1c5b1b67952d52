import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../src/invariant.js';
import { ModelReader } from '../../src/shared-memory/model-reader.js';
import type { SharedModelSlots } from '../../src/shared-memory/model-slots-layout.js';
import { isWhole, NaiveBuffers } from './stamped-model.js';
import { changesFrom, setWord } from './threads.js';

/** Stays in the middle of a read until main lets it go on; then says which model it has in its hands and whether it is whole, before and after. */
const { slots, naive, readerId, gate } = workerData as {
  slots: SharedModelSlots;
  /** null: read the slots. */
  naive: SharedArrayBuffer | null;
  readerId: number;
  gate: SharedArrayBuffer;
};
invariant(parentPort !== null, 'reads on a thread of its own');

const [PARKED, RELEASED] = [0, 1];
const words = new Int32Array(gate);

function look(bytes: Uint8Array, generation: number): { generation: number; before: boolean; after: boolean } {
  const before = isWhole(bytes, generation);
  setWord(words, PARKED, 1);
  changesFrom(words, RELEASED, 0);
  return { generation, before, after: isWhole(bytes, generation) };
}

parentPort.postMessage('ready');
if (naive === null) parentPort.postMessage(new ModelReader(slots, readerId).readCurrent(look));
else new NaiveBuffers(naive).read((bytes, generation) => parentPort?.postMessage(look(bytes, generation)));
