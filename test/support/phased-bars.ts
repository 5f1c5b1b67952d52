import type { Bar } from '../../src/market/bar.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';

/** Bars repeat after this many, in all their columns; no two bars that share a place in the ring one after the other are alike. */
export const PHASES = 512;
export const RACE_CAPACITY = 128;
export const RACE_COLUMNS = ['high', 'low', 'close', 'volume', 'logReturn', 'volatility', 'vpin'] as const;
/** A period holds a whole number of buckets, so that vpin repeats with the bars. */
export const RACE_VPIN = { method: 'close-vs-open', bucketVolume: 513, nBuckets: 3 } as const;

export function phasedBar(sequence: number): Bar {
  const phase = (sequence * 37) & (PHASES - 1);
  const close = 100 + phase / 8;
  return {
    tsEventNs: BigInt(sequence + 1) * 60_000_000_000n,
    open: (sequence & 7) < 3 ? close + 1 : close - 1,
    high: close + 2,
    low: close - 2,
    close,
    volume: 1 + phase,
  };
}

/** What every column of {@link RACE_COLUMNS} holds for a bar of each phase, once the first two periods are over. */
export function phasedColumns(): Float64Array[] {
  const store = new FeatureStoreWriter({ instrumentsMax: 1, barsPerInstrument: 4 * PHASES, vpin: RACE_VPIN });
  for (let sequence = 0; sequence < 4 * PHASES; sequence++) store.append('X', phasedBar(sequence));
  const columns = new FeatureStoreReader(store.shared).columnsOf(0);
  return RACE_COLUMNS.map((name) => columns[name].slice(3 * PHASES, 4 * PHASES));
}

/** Words that a racing reader and the test share. */
export const WindowRace = { accepted: 0, torn: 1, controlTorn: 2, stop: 3, words: 4 } as const;
