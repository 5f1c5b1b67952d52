import type { BusPosition } from '../../loop/loop-snapshot.js';
import type { BusTarget } from '../message-bus.js';
import { compareEntryIds, type EntryId } from './entry-id.js';
import type { InFlight } from './in-flight.js';

/** Places at which the stream may be cut, within what is kept, and the entries between two at least. */
const PLACES = 32;
const STEP_MIN = 1024;

/** What the next process needs to go on with cutting. */
export type TrimState = Pick<BusPosition, 'places' | 'sincePlace'>;

/** Forgets the oldest of the input stream: what has its reply, is recorded where anything is, and lies further back than is to be kept. */
export class InputTrimmer {
  /** Every so many entries, the newest last. */
  private readonly places: EntryId[];
  private sincePlace: number;
  private readonly step: number;
  private isTrimming = false;

  constructor(
    private readonly keep: number | null,
    private readonly target: Pick<BusTarget, 'durable'>,
    private readonly inFlight: InFlight,
    state: TrimState | null = null,
  ) {
    this.step = Math.max(STEP_MIN, Math.ceil((keep ?? 0) / PLACES));
    this.places = [...(state?.places ?? [])];
    this.sincePlace = state?.sincePlace ?? 0;
  }

  toState(): TrimState {
    return { places: [...this.places], sincePlace: this.sincePlace };
  }

  /** So many entries were taken in, the last of them this one. `trim` forgets what lies before an entry. */
  taken(count: number, last: EntryId, trim: (before: EntryId) => void): void {
    if (this.keep === null) return;
    this.sincePlace += count;
    if (this.sincePlace < this.step) return;
    this.sincePlace = 0;
    this.places.push(last);
    if (this.places.length <= this.placesKept || this.isTrimming) return;
    this.isTrimming = true;
    void this.trimOldest(trim).finally(() => {
      this.isTrimming = false;
    });
  }

  private get placesKept(): number {
    return Math.ceil(this.keep! / this.step);
  }

  private async trimOldest(trim: (before: EntryId) => void): Promise<void> {
    // What the disk does not have yet would have to come from the stream again.
    const isDurable = await this.target.durable().then(
      () => true,
      () => false,
    );
    if (!isDurable) return;
    const place = this.places.splice(0, this.places.length - this.placesKept).at(-1)!;
    const { oldest } = this.inFlight;
    trim(oldest !== null && compareEntryIds(oldest, place) < 0 ? oldest : place);
  }
}
