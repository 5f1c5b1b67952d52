import type { IgnoredKind } from './dialect.js';

/** Kinds that are named; of more, none is. */
const KINDS_MAX = 256;

/** Which kinds of messages that are ignored have been named. */
export class IgnoredNames {
  private readonly named = new Set<string>();

  /** True once for each class and topic. */
  isNew({ className, topic }: IgnoredKind): boolean {
    if (this.named.size === KINDS_MAX) return false;
    const before = this.named.size;
    return this.named.add(`${className}\n${topic}`).size > before;
  }
}
