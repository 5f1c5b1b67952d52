import type { BusPosition } from '../../loop/loop-snapshot.js';
import { type EntryId, STREAM_START } from './entry-id.js';
import { InFlight, type InFlightEntry } from './in-flight.js';

/** How far a partition's input has been taken in, through every connection and every owner of its data directory. */
export class StreamProgress {
  readonly inFlight = new InFlight();
  /** Everything up to here has reached the target. */
  position: EntryId;
  /** The bars that signals may see which an earlier process had let in and not answered. */
  private readonly restored: Map<EntryId, number>;

  /** `state`: what was recorded with the bars the target has; null for a target without any of this stream's. */
  constructor(
    private readonly stream: string,
    state: Pick<BusPosition, 'stream' | 'position' | 'unanswered'> | null,
  ) {
    const isOfStream = state !== null && state.stream === stream;
    this.position = isOfStream ? state.position : STREAM_START;
    this.restored = new Map(isOfStream ? state.unanswered : []);
  }

  /** What the entry's signal may see, as fixed when it was first let in; undefined where that is not known. */
  asOf(id: EntryId): number | undefined {
    return this.restored.get(id);
  }

  /** The reply to the entry is out. */
  settle(id: EntryId): void {
    this.restored.delete(id);
    this.inFlight.remove(id);
  }

  /** Forgets what is not pending: its reply is out, sent by an earlier connection or by another owner. Returns the entries whose reply had left here. */
  keepOnly(pending: ReadonlySet<EntryId>): InFlightEntry[] {
    const gone = this.unanswered().filter((id) => !pending.has(id));
    const replied = gone.flatMap((id) => this.inFlight.get(id) ?? []).filter(({ wasSent }) => wasSent);
    for (const id of gone) this.settle(id);
    return replied;
  }

  unanswered(): EntryId[] {
    return [...this.inFlight.ids(), ...this.restored.keys()];
  }

  toState(): Omit<BusPosition, 'places' | 'sincePlace'> {
    return {
      stream: this.stream,
      position: this.position,
      unanswered: [...new Map([...this.restored, ...this.inFlight.asOfs()])],
    };
  }
}
