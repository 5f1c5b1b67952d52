/** Dropping the front of an array moves the rest: done once this many lie before the front and are the larger part. */
const DROPPED_MIN = 1024;

/** A first-in, first-out queue that keeps no item it has given out for long. */
export class Fifo<T> {
  private readonly items: T[] = [];
  private first = 0;

  get length(): number {
    return this.items.length - this.first;
  }

  push(item: T): void {
    this.items.push(item);
  }

  /** The oldest item, left in its place. */
  peek(): T | undefined {
    return this.items[this.first];
  }

  shift(): T | undefined {
    const item = this.items[this.first];
    if (this.length === 0) return undefined;
    this.first++;
    if (this.first === this.items.length) this.clear();
    else if (this.first >= DROPPED_MIN && this.first * 2 > this.items.length) {
      this.items.splice(0, this.first);
      this.first = 0;
    }
    return item;
  }

  clear(): void {
    this.items.length = 0;
    this.first = 0;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.items.slice(this.first).values();
  }
}
