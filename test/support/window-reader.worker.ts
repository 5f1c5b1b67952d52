import { parentPort, workerData } from 'node:worker_threads';
import { HISTORY_BARS_MIN } from '../../src/features/feature-columns.js';
import { invariant } from '../../src/invariant.js';
import type { SharedFeatureStore } from '../../src/shared-memory/feature-store-layout.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { PHASES, phasedColumns, RACE_CAPACITY, RACE_COLUMNS, WindowRace } from './phased-bars.js';

/** Reads windows while main writes, and counts those that were taken as whole, by the reader's check and by one that is off by one, and were torn. */
const { store, counts } = workerData as { store: SharedFeatureStore; counts: SharedArrayBuffer };
invariant(parentPort !== null, 'reads on a thread of its own');

const words = new Int32Array(counts);
const reader = new FeatureStoreReader(store);
const expected = phasedColumns();
const { base, mask, ...stored } = reader.columnsOf(0);
const columns = RACE_COLUMNS.map((name) => stored[name]);
const copies = columns.map(() => new Float64Array(HISTORY_BARS_MIN));

/** The oldest bar last, right before the check: it is the one that is overwritten next. */
function copyWindow(oldest: number): void {
  for (let c = 0; c < columns.length; c++) {
    const column = columns[c]!;
    const copy = copies[c]!;
    for (let k = HISTORY_BARS_MIN - 1; k >= 0; k--) copy[k] = column[base + ((oldest + k) & mask)]!;
  }
}

function isTorn(oldest: number): boolean {
  for (let c = 0; c < columns.length; c++) {
    for (let k = 0; k < HISTORY_BARS_MIN; k++)
      if (copies[c]![k] !== expected[c]![(oldest + k) & (PHASES - 1)]) return true;
  }
  return false;
}

/** The control reads as the reader does, but takes one bar more for whole, before the reading and after. */
function readOnce(oldest: number): void {
  const asOf = oldest + HISTORY_BARS_MIN - 1;
  const mayRead = reader.window(0, asOf).kind === 'window';
  copyWindow(oldest);
  const controlAccepts = oldest >= reader.newest(0) + 1 - RACE_CAPACITY;
  const accepts = mayRead && reader.isIntact(0, asOf);
  if (!accepts && !controlAccepts) return;
  const torn = isTorn(oldest);
  if (accepts) Atomics.add(words, WindowRace.accepted, 1);
  if (accepts && torn) Atomics.add(words, WindowRace.torn, 1);
  if (controlAccepts && torn) Atomics.add(words, WindowRace.controlTorn, 1);
}

parentPort.postMessage('ready');
for (let turn = 0; Atomics.load(words, WindowRace.stop) === 0; turn++) {
  // The edge of what the control takes, the edge of what the reader takes, and a little above, in turns.
  readOnce(reader.newest(0) + 1 - RACE_CAPACITY + (turn & 3));
}
parentPort.postMessage('stopped');
