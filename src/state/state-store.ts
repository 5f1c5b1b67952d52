import { type Clock, systemClock } from '../clock.js';
import type { Logger } from '../log.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import { type Delay, timerDelay } from './commit-loop.js';
import { Journal } from './journal.js';
import { acquireOwnerLock, type OwnerLock } from './owner-lock.js';
import { type RestoredWindows, restoreWindows } from './restore-windows.js';
import { Retention, type RetentionOptions } from './retention.js';
import { type StateCounts, StoredState } from './stored-state.js';
import { createDirectory, openTables, openTablesToRead, type Tables } from './tables.js';

export interface StateStoreOptions<S> {
  /** Created where it does not exist. */
  readonly dataDir: string;
  readonly logger: Logger;
  /** What is stored with every commit; see {@link Journal}. */
  readonly snapshot: () => S;
  /** The feature store whose bars are stored; empty when {@link StateStore.restoreWindows} is called. */
  readonly features: FeatureStoreWriter;
  readonly retention: RetentionOptions;
  /** Bytes that may wait for the disk before the journal is behind, default 256 MiB: three million bars. */
  readonly stagedBytesMax?: number;
  readonly clock?: Clock;
  /** How a failed commit waits for its next try. */
  readonly delay?: Delay;
}

export interface StateMetrics {
  /** What waits for the disk. */
  readonly stagedCount: number;
  readonly stagedBytes: number;
  readonly commits: number;
  /** Of the last 64 commits, and of the last one; NaN before the first. */
  readonly commitMsMedian: number;
  readonly commitMsLast: number;
  readonly bytesOnDisk: number;
  /** Of what is on disk. */
  readonly counts: Omit<StateCounts, 'bars'>;
  /** Since when commits have failed, and the code of the last failure; null while they succeed. */
  readonly failingSinceNs: bigint | null;
  readonly errorCode: string | null;
}

const STAGED_BYTES_MAX = 256 * 2 ** 20;

/** The durable state under one `dataDir`, in the hands of its one owner: what an earlier process left, and the journal of what happens now. */
export class StateStore<S> {
  private constructor(
    private readonly tables: Tables,
    private readonly lock: OwnerLock,
    private readonly features: FeatureStoreWriter,
    private readonly logger: Logger,
    readonly stored: StoredState<S>,
    /** What the last owner knew at its last commit; null in a new store. */
    readonly snapshot: S | null,
    readonly journal: Journal,
  ) {}

  /**
   * Takes the directory and opens or creates the store in it. Throws DATA_DIR_IN_USE while another process has it, DATA_DIR_UNUSABLE, STORE_DAMAGED, STORE_VERSION_UNKNOWN; then
   * nothing is held. What lies under a table's records is checked when it is read.
   */
  static async open<S>(options: StateStoreOptions<S>): Promise<StateStore<S>> {
    const { dataDir, features, logger, clock = systemClock, delay = timerDelay } = options;
    createDirectory(dataDir);
    const lock = acquireOwnerLock(dataDir);
    let tables: Tables | null = null;
    try {
      tables = openTables(dataDir);
      const stored = new StoredState<S>(tables, dataDir);
      const snapshot = stored.readSnapshot();
      const retention = new Retention(options.retention, tables, stored, features, clock, stored.instruments());
      const { stagedBytesMax = STAGED_BYTES_MAX } = options;
      const journalOptions = {
        tables,
        features,
        retention,
        snapshot: options.snapshot,
        stagedBytesMax,
        logger,
        clock,
        delay,
      };
      return new StateStore(tables, lock, features, logger, stored, snapshot, new Journal(journalOptions));
    } catch (error) {
      await tables?.root.close();
      await lock.release();
      throw error;
    }
  }

  /** Fills the feature store as {@link restoreWindows} says. Before any bar is added. */
  restoreWindows(): RestoredWindows {
    return restoreWindows(this.stored, this.features, this.logger);
  }

  metrics(): StateMetrics {
    const { stagedCount, stagedBytes, progress } = this.journal;
    const durations = [...progress.lastDurationsMs];
    const sorted = durations.toSorted((a, b) => a - b);
    return {
      stagedCount,
      stagedBytes,
      commits: progress.commits,
      commitMsMedian: sorted[sorted.length >> 1] ?? Number.NaN,
      commitMsLast: durations.at(-1) ?? Number.NaN,
      bytesOnDisk: this.stored.bytesOnDisk(),
      counts: this.stored.recordCounts(),
      failingSinceNs: progress.failing?.sinceNs ?? null,
      errorCode: progress.failing?.code ?? null,
    };
  }

  /** Writes what is staged and gives the directory back. Throws STORE_WRITE_FAILED, having given it back all the same, when that cannot be written. */
  async close(): Promise<void> {
    try {
      await this.journal.close();
    } finally {
      if (!this.journal.progress.isHung) await this.tables.root.close();
      await this.lock.release();
    }
  }
}

/** The state under a directory, for tools that only read; an owner may be at work meanwhile. */
export interface StateReader<S> {
  readonly stored: StoredState<S>;
  close(): Promise<void>;
}

/** Throws DATA_DIR_UNUSABLE where there is no store, STORE_DAMAGED, STORE_VERSION_UNKNOWN. A process that reads so cannot become the owner before it has closed it. */
export function openStateReader<S>(dataDir: string): StateReader<S> {
  const tables = openTablesToRead(dataDir);
  return { stored: new StoredState<S>(tables, dataDir), close: () => tables.root.close() };
}
