import { OrchestratorConfig } from '../../src/config.js';
import { featureStoreBytes } from '../../src/shared-memory/feature-store-layout.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';

/** Prints, as JSON, what the default store adds to this process's resident memory as it is filled. Run with --expose-gc. */
export interface StoreMemory {
  readonly fullBytes: number;
  readonly instrumentsMax: number;
  readonly createdBytes: number;
  readonly oneFilledBytes: number;
  readonly someFilledBytes: number;
  readonly someCount: number;
}

const SOME = 256;
/** Windows so short that what the writer keeps for itself does not count. */
const VPIN = { barsPerBucket: 2, nBuckets: 5, volumeWindow: 20, sigmaWindow: 20 };

function fill(store: FeatureStoreWriter, instrumentId: string, count: number): void {
  for (let k = 1; k <= count; k++) {
    const bar = { tsEventNs: BigInt(k), open: 100, high: 102, low: 99, close: 100 + (k & 1), volume: k & 15 };
    store.append(instrumentId, bar);
  }
}

function residentBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}

const { instrumentsMax, barsPerInstrument } = OrchestratorConfig.parse({}).store;
// The heap and the compiled code first, so that what is added later is the store.
const small = new FeatureStoreWriter({ instrumentsMax: 1, barsPerInstrument: 128, vpin: VPIN });
fill(small, 'X', SOME * barsPerInstrument);

const before = residentBytes();
const store = new FeatureStoreWriter({ instrumentsMax, barsPerInstrument, vpin: VPIN });
const createdBytes = residentBytes() - before;
fill(store, '0', barsPerInstrument);
const oneFilledBytes = residentBytes() - before;
for (let k = 1; k < SOME; k++) fill(store, `${k}`, barsPerInstrument);
const someFilledBytes = residentBytes() - before;
const fullBytes = featureStoreBytes(instrumentsMax, barsPerInstrument);
const measured: StoreMemory = {
  fullBytes,
  instrumentsMax,
  createdBytes,
  oneFilledBytes,
  someFilledBytes,
  someCount: SOME,
};
console.log(JSON.stringify(measured));
