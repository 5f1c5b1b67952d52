import type { SequencePlace } from './dialect.js';

/** Senders that are remembered; the one longest unheard is forgotten for another. */
const SOURCES_MAX = 1024;

/** Finds what is missing between messages whose senders number them. */
export class SequenceGaps {
  private readonly last = new Map<string, bigint>();

  /** How many messages are missing between this one and the one before it. None before the first, and none where a number is not above the last: that sender counts anew. */
  missingBefore({ source, sequence }: SequencePlace): number {
    const last = this.last.get(source);
    this.last.delete(source);
    this.last.set(source, sequence);
    if (this.last.size > SOURCES_MAX) this.last.delete(this.last.keys().next().value!);
    return last === undefined || sequence <= last ? 0 : Number(sequence - last - 1n);
  }
}
