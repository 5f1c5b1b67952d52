/** Remembers ids by generations: at least the newest `countMin`, never more than twice as many. */
export class ClosedIds {
  private recent = new Set<string>();
  private before = new Set<string>();

  constructor(private readonly countMin: number) {}

  add(id: string): void {
    if (this.recent.size === this.countMin && !this.recent.has(id)) {
      this.before = this.recent;
      this.recent = new Set();
    }
    this.recent.add(id);
  }

  has(id: string): boolean {
    return this.recent.has(id) || this.before.has(id);
  }
}
