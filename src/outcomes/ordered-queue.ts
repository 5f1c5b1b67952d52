/** Dropping the front of an array moves the rest: done once this many lie before the front and are the larger part. */
const DROPPED_MIN = 64;

/** A queue whose items leave in a given order; cheap while most arrive in it. Items of equal rank leave as they came. */
export class OrderedQueue<T> {
  private items: T[] = [];
  private first = 0;

  constructor(private readonly isBefore: (item: T, other: T) => boolean) {}

  get length(): number {
    return this.items.length - this.first;
  }

  /** The item `index` places behind the front. */
  at(index: number): T | undefined {
    return this.items[this.first + index];
  }

  peek(): T | undefined {
    return this.items[this.first];
  }

  /** Puts an item in its place, found from the end. */
  insert(item: T): void {
    const { items, first } = this;
    let place = items.length;
    for (; place > first && this.isBefore(item, items[place - 1]!); place--) items[place] = items[place - 1]!;
    items[place] = item;
  }

  shift(): T | undefined {
    const item = this.items[this.first];
    if (this.length === 0) return undefined;
    this.first++;
    if (this.first === this.items.length || (this.first >= DROPPED_MIN && this.first * 2 > this.items.length)) {
      this.items.splice(0, this.first);
      this.first = 0;
    }
    return item;
  }

  /** Drops the items that are not wanted. */
  keep(isWanted: (item: T) => boolean): void {
    this.items = this.items.slice(this.first).filter(isWanted);
    this.first = 0;
  }
}
