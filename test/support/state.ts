import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bar } from '../../src/market/bar.js';
import type { VpinOptions } from '../../src/orderflow/vpin.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import type { Journal } from '../../src/state/journal.js';
import type { OutcomeRecord, SignalRecord } from '../../src/state/records.js';
import { StateStore, type StateStoreOptions } from '../../src/state/state-store.js';
import { silentLogger } from './captured-log.js';
import { FIRST_CLOSE_NS, MINUTE_NS } from './market.js';

export const STATE_VPIN = { barsPerBucket: 2, nBuckets: 5, volumeWindow: 20, sigmaWindow: 10 };

/** Keeps everything. */
export const KEEP_ALL = {
  days: 1e6,
  signals: Number.MAX_SAFE_INTEGER,
  barsPerInstrument: Number.MAX_SAFE_INTEGER,
  ordinalFloor: () => Number.POSITIVE_INFINITY,
};

/** A feature store and the state store behind it, wired as in a running process. */
export interface Wired<S> {
  readonly features: FeatureStoreWriter;
  readonly store: StateStore<S>;
  readonly journal: Journal;
}

export async function openWired<S>(
  dataDir: string,
  snapshot: () => S,
  options: Partial<StateStoreOptions<S>> & { barsPerInstrument?: number; vpin?: VpinOptions } = {},
): Promise<Wired<S>> {
  const { barsPerInstrument = 256, vpin = STATE_VPIN, ...others } = options;
  let journal: Journal | null = null;
  const features = new FeatureStoreWriter({
    instrumentsMax: 8,
    barsPerInstrument,
    vpin,
    onAppended: (instrument, sequence) => journal?.bar(instrument, sequence),
  });
  const store = await StateStore.open<S>({
    dataDir,
    logger: silentLogger,
    snapshot,
    features,
    retention: KEEP_ALL,
    ...others,
  });
  journal = store.journal;
  return { features, store, journal };
}

/** A new directory that is gone after the call. */
export async function inDirectory(use: (dataDir: string) => Promise<void>): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'ml4t-state-'));
  try {
    await use(join(path, 'data'));
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** The bar of that number, of a walk that goes up and down with all its bits. */
export function stateBar(sequence: number): Bar {
  const open = 100 + Math.sin(sequence);
  const close = 100 + Math.sin(sequence + 1);
  return {
    tsEventNs: FIRST_CLOSE_NS + BigInt(sequence) * MINUTE_NS,
    open,
    high: Math.max(open, close) + 0.1,
    low: Math.min(open, close) - 0.1,
    close,
    volume: 1 + (sequence % 7),
  };
}

/** A signal all of whose fields follow from its ordinal. */
export function stateSignal(ordinal: number, instrumentId = 'X'): SignalRecord {
  return {
    ordinal,
    signalId: `signal-${ordinal}`,
    instrumentId,
    side: ordinal % 2 === 0 ? 1 : -1,
    timestampNs: FIRST_CLOSE_NS + BigInt(ordinal) * MINUTE_NS,
    asOf: ordinal,
    asOfNs: FIRST_CLOSE_NS + BigInt(ordinal) * MINUTE_NS,
    generation: 1 + (ordinal >> 8),
    modelId: 'model-1',
    confidence: 0.5 + Math.sin(ordinal) / 3,
    regimeWeight: 0.25,
    toxicity: Math.cos(ordinal) ** 2,
    size: ordinal % 3 === 0 ? -0 : 0.1,
    sizeReason: ordinal % 3 === 0 ? 'no-edge' : null,
    modelAvailable: true,
    regimeAvailable: ordinal % 5 !== 0,
    toxicityAvailable: true,
    degraded: ordinal % 11 === 0 ? 'deadline' : null,
    latencyNs: 1000 + ordinal,
    userValues: Float64Array.of(ordinal, Number.NaN),
    row: Float32Array.from({ length: 20 }, (_, k) => Math.sin(ordinal + k)),
    rival:
      ordinal % 4 === 0
        ? { modelId: 'old', confidence: 0.4, watch: 2, stake: { wins: 1, reserves: [-0, 0.25], payouts: [0.5, 0.75] } }
        : null,
  };
}

export function stateOutcome(ordinal: number): OutcomeRecord {
  return {
    ordinal,
    signalId: `signal-${ordinal}`,
    instrumentId: 'X',
    outcome: ordinal % 2 === 0 ? 'profit' : 'censored',
    source: 'barriers',
    metaLabel: ordinal % 2 === 0 ? 1 : null,
    grossReturn: ordinal % 2 === 0 ? Math.sin(ordinal) : null,
    netReturn: ordinal % 2 === 0 ? -0 : null,
    grossR: ordinal % 2 === 0 ? 2 : null,
    ambiguous: false,
    exitSequence: ordinal + 5,
    exitNs: FIRST_CLOSE_NS + BigInt(ordinal + 5) * MINUTE_NS,
  };
}
