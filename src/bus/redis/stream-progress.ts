import type { BusPosition } from '../../loop/loop-snapshot.js';
import { type EntryId, STREAM_START } from './entry-id.js';
import { type DecidedSignal, InFlight, type InFlightEntry } from './in-flight.js';

/** How far a partition's input has been taken in, through every connection and every owner of its data directory. */
export class StreamProgress {
  readonly inFlight = new InFlight();
  /** Everything up to here has reached the target. */
  position: EntryId;
  /**
   * Signals that an earlier process had taken in and not answered: what each sees, or the close of
   * the bar it waits for.
   */
  private readonly restored: Map<EntryId, DecidedSignal | { readonly dueNs: bigint }>;

  /** `state`: what was recorded with the bars the target has; null for a target without any of this stream's. */
  constructor(
    private readonly stream: string,
    state: Pick<BusPosition, 'stream' | 'position' | 'unanswered' | 'undecided'> | null,
  ) {
    const isOfStream = state !== null && state.stream === stream;
    this.position = isOfStream ? state.position : STREAM_START;
    this.restored = new Map();
    if (!isOfStream) return;
    for (const [id, asOf, isBarMissing = false, readBefore = null] of state.unanswered) {
      this.restored.set(id, { asOf, isBarMissing, readBefore });
    }
    for (const [id, dueNs] of state.undecided ?? []) this.restored.set(id, { dueNs });
  }

  /**
   * What was known of the entry's signal when it was first taken in; undefined where nothing is.
   */
  known(id: EntryId): DecidedSignal | { readonly dueNs: bigint } | undefined {
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
    const decided = new Map(this.inFlight.decided());
    const undecided = new Map(this.inFlight.undecided());
    for (const [id, known] of this.restored) {
      if (this.inFlight.get(id) !== undefined) continue;
      if ('dueNs' in known) undecided.set(id, known.dueNs);
      else decided.set(id, known);
    }
    return {
      stream: this.stream,
      position: this.position,
      unanswered: [...decided].map(([id, { asOf, isBarMissing, readBefore }]) =>
        readBefore === null ? [id, asOf, isBarMissing] : [id, asOf, isBarMissing, readBefore],
      ),
      undecided: [...undecided],
    };
  }
}
