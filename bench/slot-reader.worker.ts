import { workerData } from 'node:worker_threads';
import { ModelReader } from '../src/shared-memory/model-reader.js';
import type { SharedModelSlots } from '../src/shared-memory/model-slots-layout.js';

/** Reads the current payload again and again, until told to stop: [stop, reads, torn, last generation seen] in `counts`. */
export interface SlotReaderData {
  readonly slots: SharedModelSlots;
  readonly readerId: number;
  readonly counts: Int32Array;
}

const { slots, readerId, counts } = workerData as SlotReaderData;
const reader = new ModelReader(slots, readerId);
while (Atomics.load(counts, 0) === 0) {
  const isWhole = reader.readCurrent((bytes, generation) => {
    Atomics.store(counts, 3, generation);
    return isFilledWith(bytes, generation % 251);
  });
  Atomics.add(counts, 1, 1);
  if (isWhole === false) Atomics.add(counts, 2, 1);
}

function isFilledWith(bytes: Uint8Array, value: number): boolean {
  for (let k = 0; k < bytes.length; k++) if (bytes[k] !== value) return false;
  return true;
}
