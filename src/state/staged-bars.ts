import { OrchestratorError } from '../errors.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import { BAR_BYTES } from '../shared-memory/stored-bars.js';
import { BLOCK_BARS, blockStart, copyColumns, createBarValue, decodeBars, nameOfBars } from './bar-blocks.js';
import { type Operation, put, remove } from './operation.js';
import { damaged, SEAL_BYTES, seal, sealedCopy } from './seal.js';
import { nameOfInstrument, nameOfVpin } from './stored-state.js';
import { entriesOf, isBarKey } from './table-reads.js';
import type { Tables } from './tables.js';

/** Bars copied out of the ring: the whole or a part of one block. */
interface Piece {
  readonly instrument: number;
  readonly first: number;
  readonly count: number;
  readonly value: Buffer;
  /** VPIN after the last bar, where that completes a block. */
  readonly vpin: Uint8Array | null;
}

/**
 * The bars that were added since the last commit. They stay in the feature store's ring until a commit is cut, or until their block is complete (in a small ring: until the ring
 * is half full), so that a bar costs next to nothing when it is added and none is overwritten before it was copied.
 */
export class StagedBars {
  private pieces: Piece[] = [];
  /** Per instrument, the first bar that was not copied; −1 while there is none. */
  private readonly uncopied: number[] = [];
  private touched: number[] = [];
  private readonly pieceBars: number;
  count = 0;

  constructor(
    private readonly features: FeatureStoreWriter,
    private readonly tables: Tables,
  ) {
    this.pieceBars = Math.min(BLOCK_BARS, features.shared.barsPerInstrument / 2);
  }

  get bytes(): number {
    return this.count * BAR_BYTES;
  }

  /** The bar was just added; bars of an instrument come one after another. */
  add(instrument: number, sequence: number): void {
    this.count++;
    const first = this.uncopied[instrument] ?? -1;
    if (first < 0) {
      this.uncopied[instrument] = sequence;
      this.touched.push(instrument);
    }
    if ((sequence + 1) % this.pieceBars === 0) this.copyOut(instrument, sequence);
  }

  /** What a commit writes for them; afterwards nothing is staged. */
  take(): Operation[] {
    for (const instrument of this.touched) {
      if (this.uncopied[instrument]! >= 0) this.copyOut(instrument, this.features.newest(instrument));
    }
    const earlier = new Map<number, Piece[]>();
    const operations = this.pieces.flatMap((piece) => this.operationsOf(piece, earlier));
    this.pieces = [];
    this.touched = [];
    this.count = 0;
    return operations;
  }

  private copyOut(instrument: number, last: number): void {
    const first = this.uncopied[instrument]!;
    const count = last - first + 1;
    const value = createBarValue(count);
    this.features.copyBars(instrument, first, count, value, SEAL_BYTES);
    const vpin = (last + 1) % BLOCK_BARS === 0 ? this.features.vpinState(instrument) : null;
    this.pieces.push({ instrument, first, count, value: seal(value, count, nameOfBars(instrument, first)), vpin });
    this.uncopied[instrument] = -1;
  }

  private operationsOf(piece: Piece, earlier: Map<number, Piece[]>): Operation[] {
    const { instrument, first, count, value, vpin } = piece;
    const { bars, instruments, vpin: checkpoints } = this.tables;
    const operations: Operation[] = [];
    if (first === 0)
      operations.push(
        put(
          instruments,
          instrument,
          sealedCopy(Buffer.from(this.features.idOf(instrument)), 0, nameOfInstrument(instrument)),
        ),
      );
    const known = earlier.get(instrument) ?? [];
    if (vpin === null) {
      earlier.set(instrument, [...known, piece]);
      operations.push(put(bars, [instrument, first], value));
      return operations;
    }
    earlier.delete(instrument);
    operations.push(put(checkpoints, instrument, sealedCopy(vpin, first + count - 1, nameOfVpin(instrument))));
    operations.push(...this.completion(piece, known));
    return operations;
  }

  /** Puts the block that the piece completes in the place of its pieces, those on disk and those of this commit. */
  private completion(piece: Piece, earlier: readonly Piece[]): Operation[] {
    const { instrument, first } = piece;
    const { bars } = this.tables;
    const start = blockStart(first);
    try {
      const stored = [...entriesOf(bars, isBarKey, { start: [instrument, start], end: [instrument, first] })];
      const pieces = [
        ...stored.map(({ key, value }) => decodeBars(instrument, key[1], value)),
        ...[...earlier, piece].map((part) => decodeBars(instrument, part.first, part.value)),
      ];
      const block = createBarValue(BLOCK_BARS);
      let next = start;
      for (const part of pieces) {
        if (part.firstSequence !== next) throw damaged(`bar ${next} of instrument ${instrument} is missing`);
        copyColumns(part, block.subarray(SEAL_BYTES), next - start, BLOCK_BARS);
        next += part.count;
      }
      const gone = pieces.slice(1).map((part) => remove(bars, [instrument, part.firstSequence]));
      return [...gone, put(bars, [instrument, start], seal(block, BLOCK_BARS, nameOfBars(instrument, start)))];
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      // Damage is for whoever reads these bars to say; what is new is kept beside it.
      return [put(bars, [instrument, first], piece.value)];
    }
  }
}
