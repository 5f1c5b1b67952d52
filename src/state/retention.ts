import type { Clock } from '../clock.js';
import { OrchestratorError } from '../errors.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import { BLOCK_BARS, decodeBars } from './bar-blocks.js';
import { type Operation, remove } from './operation.js';
import type { StoredInstrument, StoredState } from './stored-state.js';
import { storedValue } from './table-reads.js';
import type { Tables } from './tables.js';

export interface RetentionOptions {
  /** Of data time: up to the newest bar or signal that was stored. */
  readonly days: number;
  readonly signals: number;
  readonly barsPerInstrument: number;
  /** The oldest signal that is still needed; Infinity when none is. */
  readonly ordinalFloor: () => number;
}

/** How much one commit may remove, so that none takes long because of it. */
const BLOCKS_PER_COMMIT = 16;
const INSTRUMENTS_PER_COMMIT = 64;
const SIGNALS_PER_COMMIT = 256;
const DAY_NS = 86_400_000_000_000;

/**
 * Forgets, a little with every commit, what is older than the configured age or beyond the configured count: whole blocks of bars, signals with their outcomes. What lies in a
 * feature store's window stays, and so do signals from the caller's floor on.
 */
export class Retention {
  /** Per instrument, the first stored bar; a multiple of a block's length. */
  private readonly firstBar: number[] = [];
  /** Per instrument, the close of the last bar of its oldest block; looked up when needed. */
  private readonly oldestNs: (bigint | null)[] = [];
  private firstOrdinal: number | null;
  private newestOrdinal: number;
  private firstSignalNs: bigint | null = null;
  private nextInstrument = 0;
  private dataNs = 0n;
  private readonly ageNs: bigint;

  constructor(
    private readonly options: RetentionOptions,
    private readonly tables: Tables,
    private readonly state: StoredState<unknown>,
    private readonly features: FeatureStoreWriter,
    private readonly clock: Clock,
    stored: readonly StoredInstrument[],
  ) {
    this.ageNs = BigInt(Math.round(options.days * DAY_NS));
    for (const { index, firstSequence } of stored) this.firstBar[index] = firstSequence;
    const signals = state.signalExtent();
    this.firstOrdinal = signals?.first ?? null;
    this.newestOrdinal = signals?.newest ?? -1;
  }

  /** What the commit that is being cut removes; `newest` is the newest signal there is, if any came since the last cut. */
  take(newest: { readonly ordinal: number; readonly timestampNs: bigint } | null): Operation[] {
    if (newest !== null) {
      this.firstOrdinal ??= newest.ordinal;
      this.newestOrdinal = newest.ordinal;
      this.observe(newest.timestampNs);
    }
    return [...this.takeBars(), ...this.takeSignals()];
  }

  /** Time in the data has come this far; never beyond the clock, lest one bar from the future outdate everything. */
  private observe(timestampNs: bigint): void {
    if (timestampNs > this.dataNs && timestampNs <= this.clock.epochNs()) this.dataNs = timestampNs;
  }

  private takeBars(): Operation[] {
    const operations: Operation[] = [];
    const count = this.features.instrumentCount;
    for (let k = 0; k < Math.min(count, INSTRUMENTS_PER_COMMIT) && operations.length < BLOCKS_PER_COMMIT; k++) {
      const instrument = this.nextInstrument % count;
      this.nextInstrument = instrument + 1;
      const newest = this.features.newest(instrument);
      this.observe(this.features.tsEventNs(instrument, newest));
      while (operations.length < BLOCKS_PER_COMMIT && this.isOutdated(instrument, newest)) {
        operations.push(...this.removeBlock(instrument));
      }
    }
    return operations;
  }

  private isOutdated(instrument: number, newest: number): boolean {
    const end = (this.firstBar[instrument] ?? 0) + BLOCK_BARS;
    if (end > newest + 1 - this.features.shared.barsPerInstrument - BLOCK_BARS) return false;
    if (end <= newest + 1 - this.options.barsPerInstrument) return true;
    return this.blockEndNs(instrument) < this.dataNs - this.ageNs;
  }

  private blockEndNs(instrument: number): bigint {
    this.oldestNs[instrument] ??= readOr(null, () => {
      const first = this.firstBar[instrument] ?? 0;
      const value = storedValue(this.tables.bars, [instrument, first]);
      return value === null ? null : decodeBars(instrument, first, value).columns.tsEventNs.at(-1)!;
    });
    // A block that is still on its way to the disk is young enough.
    return this.oldestNs[instrument] ?? this.dataNs;
  }

  private removeBlock(instrument: number): Operation[] {
    const first = this.firstBar[instrument] ?? 0;
    this.firstBar[instrument] = first + BLOCK_BARS;
    this.oldestNs[instrument] = null;
    return [remove(this.tables.bars, [instrument, first])];
  }

  private takeSignals(): Operation[] {
    const operations: Operation[] = [];
    if (this.firstOrdinal === null) return operations;
    const end = Math.min(this.newestOrdinal + 1, this.options.ordinalFloor(), this.firstOrdinal + SIGNALS_PER_COMMIT);
    while (this.firstOrdinal < end && this.isSignalOutdated(this.firstOrdinal)) {
      operations.push(remove(this.tables.signals, this.firstOrdinal), remove(this.tables.outcomes, this.firstOrdinal));
      this.firstOrdinal++;
      this.firstSignalNs = null;
    }
    return operations;
  }

  private isSignalOutdated(ordinal: number): boolean {
    if (this.newestOrdinal + 1 - ordinal > this.options.signals) return true;
    this.firstSignalNs ??= readOr(null, () => this.state.signal(ordinal)?.timestampNs ?? null);
    return this.firstSignalNs !== null && this.firstSignalNs < this.dataNs - this.ageNs;
  }
}

/** What was damaged has no age; saying so is left to whoever needs it. */
function readOr<T>(fallback: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof OrchestratorError) return fallback;
    throw error;
  }
}
