import type { Clock } from '../clock.js';
import { OrchestratorError } from '../errors.js';
import { invariant } from '../invariant.js';
import type { Logger } from '../log.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import { ByteWriter } from './byte-stream.js';
import { Commit } from './commit.js';
import { CommitLoop, type Cut, type Delay } from './commit-loop.js';
import { type Operation, put, remove } from './operation.js';
import { type Encoded, encodeOutcome, encodeSignal, encodeValue } from './record-codec.js';
import type { ModelRecord, OutcomeRecord, SignalRecord, VerdictRecord } from './records.js';
import type { Retention } from './retention.js';
import { StagedBars } from './staged-bars.js';
import { nameOfModel, nameOfSnapshot, nameOfVerdict, SNAPSHOT_KEY } from './stored-state.js';
import type { Tables } from './tables.js';

export interface JournalOptions {
  readonly tables: Tables;
  readonly features: FeatureStoreWriter;
  readonly retention: Retention;
  /** What is stored with every commit: the state after everything that was staged before it was cut. Structured data; asked for between two turns of the event loop. */
  readonly snapshot: () => unknown;
  /** Bytes staged beyond which the journal says that it is behind. */
  readonly stagedBytesMax: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly delay: Delay;
}

/** What a staged record takes in memory besides its numbers and texts, about. */
const RECORD_BYTES = 400;
/** LMDB takes keys of up to 1978 bytes, without a zero. */
const TEXT_KEY = /^[^\0]{1,255}$/u;

/**
 * What happened, on its way to the disk. Everything staged in one turn of the event loop goes into one commit with the snapshot, in program order, so what is on disk is always
 * the state after a part of what was accepted, from the first on. Staging writes nothing and never fails; records must not be changed afterwards. The answer's path pays for a push.
 */
export class Journal {
  private readonly bars: StagedBars;
  private readonly loop: CommitLoop;
  private signals: SignalRecord[] = [];
  private outcomes: OutcomeRecord[] = [];
  private others: Operation[] = [];
  private recordBytes = 0;
  private isTouched = false;
  private isClosed = false;
  private current = new Commit();

  constructor(private readonly options: JournalOptions) {
    this.bars = new StagedBars(options.features, options.tables);
    this.loop = new CommitLoop(options.tables, () => this.cut(), options);
  }

  /** The feature store has just added this bar. */
  bar(instrument: number, sequence: number): void {
    this.bars.add(instrument, sequence);
    this.stage();
  }

  signal(record: SignalRecord): void {
    checkKey(record.ordinal);
    this.signals.push(record);
    this.recordBytes += RECORD_BYTES + record.userValues.byteLength + record.row.byteLength;
    this.stage();
  }

  /** Replaces one of the same ordinal. */
  outcome(record: OutcomeRecord): void {
    checkKey(record.ordinal);
    this.outcomes.push(record);
    this.recordBytes += RECORD_BYTES;
    this.stage();
  }

  verdict(record: VerdictRecord): void {
    checkKey(record.serial);
    this.other(put(this.options.tables.verdicts, record.serial, encodeValue(record, nameOfVerdict(record.serial))));
  }

  /** Replaces one of the same model. */
  model(record: ModelRecord): void {
    checkKey(record.modelId);
    this.other(put(this.options.tables.models, record.modelId, encodeValue(record, nameOfModel(record.modelId))));
  }

  forgetModel(modelId: string): void {
    checkKey(modelId);
    this.other(remove(this.options.tables.models, modelId));
  }

  /** Only what the snapshot tells has changed. */
  touch(): void {
    this.stage();
  }

  /** The commit that what is staged now belongs to, and what is staged until it is cut. */
  get staged(): Commit {
    return this.current;
  }

  /** Resolves once everything staged so far is on disk. Rejects with STORE_WRITE_FAILED when the store is closed before. */
  async flush(): Promise<void> {
    // With nothing staged the snapshot is written once more, behind whatever is in flight.
    this.stage();
    await this.current.recorded;
  }

  /** So much waits for the disk that nothing new should be accepted. */
  get isBehind(): boolean {
    return this.stagedBytes > this.options.stagedBytesMax;
  }

  get stagedBytes(): number {
    return this.recordBytes + this.bars.bytes + this.loop.inFlightBytes;
  }

  get stagedCount(): number {
    return this.signals.length + this.outcomes.length + this.others.length + this.bars.count;
  }

  get progress(): Pick<CommitLoop, 'commits' | 'failing' | 'isHung' | 'lastDurationsMs'> {
    return this.loop;
  }

  /** Writes what is staged. Throws STORE_WRITE_FAILED, with what is not on disk lost, when it cannot be written now. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.loop.drain();
  }

  private other(operation: Operation): void {
    this.others.push(operation);
    this.recordBytes += RECORD_BYTES + operation.bytes;
    this.stage();
  }

  private stage(): void {
    if (this.isClosed) throw new OrchestratorError('STOPPED', 'the store is closed');
    this.isTouched = true;
    this.loop.wake();
  }

  private cut(): Cut | null {
    if (!this.isTouched) return null;
    const { tables, retention } = this.options;
    // First, so that nothing is taken if it throws.
    const snapshot = put(tables.head, SNAPSHOT_KEY, encodeValue(this.options.snapshot(), nameOfSnapshot));
    const bytes = this.stagedBytes;
    const newest = this.signals.at(-1) ?? null;
    const operations = [
      ...this.bars.take(),
      ...this.recordOperations(),
      ...this.others,
      snapshot,
      ...retention.take(newest),
    ];
    const commit = this.current;
    this.others = [];
    this.recordBytes = 0;
    this.isTouched = false;
    this.current = new Commit();
    return { commit, operations, bytes };
  }

  /** One buffer for all signals and outcomes: LMDB asks for the address of each. */
  private recordOperations(): Operation[] {
    const { tables } = this.options;
    const writer = new ByteWriter();
    const signals = this.signals.map((record): [number, Encoded] => [record.ordinal, encodeSignal(writer, record)]);
    const outcomes = this.outcomes.map((record): [number, Encoded] => [record.ordinal, encodeOutcome(writer, record)]);
    this.signals = [];
    this.outcomes = [];
    const view = ({ start, end }: Encoded): Buffer => writer.view(start, end);
    return [
      ...signals.map(([ordinal, encoded]) => put(tables.signals, ordinal, view(encoded))),
      ...outcomes.map(([ordinal, encoded]) => put(tables.outcomes, ordinal, view(encoded))),
    ];
  }
}

/** A key that LMDB refuses would end a batch in the middle, so it is refused before. */
function checkKey(key: number | string): void {
  const isKey = typeof key === 'number' ? Number.isSafeInteger(key) && key >= 0 : TEXT_KEY.test(key);
  invariant(isKey, 'a record has a whole number or a short text as its key');
}
