import type { StreamEntry } from './stream-entries.js';

/** What one reply may hold before fewer entries are asked for. */
const REPLY_BYTES_MAX = 8 * 2 ** 20;

/** How many entries are asked for at once: few while they are large, since a reply has to fit into memory before anything can be refused. */
export class ReadPace {
  private next = 1;

  constructor(private readonly countMax: number) {}

  get count(): number {
    return this.next;
  }

  /** What the last reply was. */
  took(entries: readonly StreamEntry[]): void {
    let bytes = 0;
    for (const { fields } of entries) for (const field of fields) bytes += field.length;
    if (bytes > REPLY_BYTES_MAX) this.next = Math.max(1, this.next >> 1);
    else if (entries.length >= this.next) this.next = Math.min(this.countMax, 2 * this.next);
  }
}
