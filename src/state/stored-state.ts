import type { StoredBars } from '../shared-memory/stored-bars.js';
import { blockStart, decodeBars, sliceBars } from './bar-blocks.js';
import { decodeOutcome, decodeSignal, decodeValue } from './record-codec.js';
import type { ModelRecord, OutcomeRecord, SignalRecord, VerdictRecord } from './records.js';
import { damaged, unseal } from './seal.js';
import { countOf, entriesOf, isBarKey, isNumberKey, isTextKey, storedValue } from './table-reads.js';
import { dataFile, sizeOf, type Tables } from './tables.js';

export interface StoredInstrument {
  /** Its index in the feature store that wrote it. */
  readonly index: number;
  readonly instrumentId: string;
  /** Sequence numbers of the oldest and the newest stored bar. */
  readonly firstSequence: number;
  readonly newest: number;
}

export interface StateCounts {
  readonly instruments: number;
  readonly bars: number;
  readonly signals: number;
  readonly outcomes: number;
  readonly verdicts: number;
  readonly models: number;
}

/** Above every sequence number. */
const BEYOND = 2 ** 40;
export const SNAPSHOT_KEY = 'snapshot';

/** Which record a seal says that it is. */
export const nameOfSnapshot = 'the snapshot';
export const nameOfInstrument = (index: number): string => `instrument ${index}`;
export const nameOfVpin = (instrument: number): string => `the VPIN state of instrument ${instrument}`;
export const nameOfVerdict = (serial: number): string => `verdict ${serial}`;
export const nameOfModel = (modelId: string): string => `the record of model ${modelId}`;

/** What is on disk, read in place: each call sees the newest commit. Everything throws STORE_DAMAGED for what cannot be what was written. */
export class StoredState<S> {
  constructor(
    private readonly tables: Tables,
    private readonly dataDir: string,
  ) {}

  /** What the owner knew at the newest commit, of which everything else here is the part up to the same instant; null before the first. */
  readSnapshot(): S | null {
    const value = storedValue(this.tables.head, SNAPSHOT_KEY);
    return value === null ? null : decodeValue<S>(value, nameOfSnapshot);
  }

  /** By index, which counts from 0 without gaps. */
  instruments(): StoredInstrument[] {
    const instruments: StoredInstrument[] = [];
    for (const { key, value } of entriesOf(this.tables.instruments, isNumberKey)) {
      if (key !== instruments.length) throw damaged(`instrument ${instruments.length} is missing`);
      const { content } = unseal(value, nameOfInstrument(key));
      instruments.push({ index: key, instrumentId: content.toString(), ...this.extentOf(key) });
    }
    return instruments;
  }

  /** The instrument of that index; null beyond the last. */
  instrument(index: number): StoredInstrument | null {
    const value = this.tables.instruments.get(index);
    if (value === undefined) return null;
    const { content } = unseal(value, `instrument ${index}`);
    return { index, instrumentId: content.toString(), ...this.extentOf(index) };
  }

  /**
   * The stored bars of an instrument from one sequence number to another (both included; all of them by default), a block or a piece of one at a time. None for an
   * instrument that is not known. Throws STORE_DAMAGED where one is missing.
   */
  *bars(instrumentId: string, fromSequence = 0, toSequence = Number.POSITIVE_INFINITY): Iterable<StoredBars> {
    const instrument = this.instruments().find((stored) => stored.instrumentId === instrumentId);
    if (instrument !== undefined) yield* this.barsOf(instrument, fromSequence, toSequence);
  }

  /** {@link bars} of an instrument that has been looked up. */
  *barsOf(instrument: StoredInstrument, fromSequence: number, toSequence: number): Iterable<StoredBars> {
    const { index, instrumentId } = instrument;
    const from = Math.max(fromSequence, instrument.firstSequence);
    const end = Math.min(toSequence, instrument.newest) + 1;
    if (from >= end) return;
    let next = from;
    for (const { key, value } of entriesOf(this.tables.bars, isBarKey, {
      start: [index, blockStart(from)],
      end: [index, end],
    })) {
      const piece = decodeBars(index, key[1], value);
      const pieceEnd = piece.firstSequence + piece.count;
      if (pieceEnd <= next) continue;
      if (piece.firstSequence > next) break;
      yield sliceBars(piece, next, Math.min(pieceEnd, end));
      next = Math.min(pieceEnd, end);
    }
    if (next < end) throw damaged(`bar ${next} of ${instrumentId} is missing`);
  }

  /** The VPIN state of an instrument and the sequence number of the bar it was taken after; null before the first block was complete. */
  vpinCheckpoint(instrument: number): { readonly sequence: number; readonly state: Uint8Array } | null {
    const value = storedValue(this.tables.vpin, instrument);
    if (value === null) return null;
    const { tag, content } = unseal(value, nameOfVpin(instrument));
    return { sequence: tag, state: Uint8Array.from(content) };
  }

  /** From an ordinal on, in order. */
  *signals(fromOrdinal = 0): Iterable<SignalRecord> {
    for (const { key, value } of entriesOf(this.tables.signals, isNumberKey, { start: fromOrdinal }))
      yield decodeSignal(key, value);
  }

  signal(ordinal: number): SignalRecord | null {
    const value = storedValue(this.tables.signals, ordinal);
    return value === null ? null : decodeSignal(ordinal, value);
  }

  *outcomes(fromOrdinal = 0): Iterable<OutcomeRecord> {
    for (const { key, value } of entriesOf(this.tables.outcomes, isNumberKey, { start: fromOrdinal }))
      yield decodeOutcome(key, value);
  }

  *verdicts(): Iterable<VerdictRecord> {
    for (const { key, value } of entriesOf(this.tables.verdicts, isNumberKey))
      yield decodeValue(value, nameOfVerdict(key));
  }

  *models(): Iterable<ModelRecord> {
    for (const { key, value } of entriesOf(this.tables.models, isTextKey)) yield decodeValue(value, nameOfModel(key));
  }

  /** Ordinals of the oldest and the newest stored signal; null when there is none. */
  signalExtent(): { readonly first: number; readonly newest: number } | null {
    const [first] = entriesOf(this.tables.signals, isNumberKey, { limit: 1 });
    const [newest] = entriesOf(this.tables.signals, isNumberKey, { limit: 1, reverse: true });
    return first === undefined || newest === undefined ? null : { first: first.key, newest: newest.key };
  }

  counts(): StateCounts {
    const bars = this.instruments().reduce((sum, { firstSequence, newest }) => sum + newest + 1 - firstSequence, 0);
    return { ...this.recordCounts(), bars };
  }

  /** {@link counts} without that of bars, for which every instrument has to be looked at. */
  recordCounts(): Omit<StateCounts, 'bars'> {
    return {
      instruments: countOf(this.tables.instruments),
      signals: countOf(this.tables.signals),
      outcomes: countOf(this.tables.outcomes),
      verdicts: countOf(this.tables.verdicts),
      models: countOf(this.tables.models),
    };
  }

  bytesOnDisk(): number {
    return sizeOf(dataFile(this.dataDir));
  }

  private extentOf(instrument: number): { firstSequence: number; newest: number } {
    const { bars } = this.tables;
    const [first] = entriesOf(bars, isBarKey, { start: [instrument, 0], end: [instrument, BEYOND], limit: 1 });
    const [last] = entriesOf(bars, isBarKey, {
      start: [instrument, BEYOND],
      end: [instrument, -1],
      limit: 1,
      reverse: true,
    });
    if (first === undefined || last === undefined) throw damaged(`instrument ${instrument} has no bars`);
    return {
      firstSequence: first.key[1],
      newest: last.key[1] + decodeBars(instrument, last.key[1], last.value).count - 1,
    };
  }
}
