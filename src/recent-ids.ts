/** Remembers ids, in two generations: at least the newest, never more than twice as many. What an id costs does not depend on how many came before it. */
export class RecentIds {
  private recent = new Set<string>();
  private before = new Set<string>();

  constructor(private readonly countMin: number) {}

  /** Whether it was not known. One that was is among the newest again. */
  add(id: string): boolean {
    const { size } = this.recent;
    if (this.recent.add(id).size === size) return false;
    const isNew = !this.before.has(id);
    // A generation is forgotten whole: to take the oldest id out of a full set, the set has to look for it behind the places of all that were taken out before.
    if (size + 1 === this.countMin) {
      this.before = this.recent;
      this.recent = new Set();
    }
    return isNew;
  }

  has(id: string): boolean {
    return this.recent.has(id) || this.before.has(id);
  }
}
