/** The last `capacity` numbers pushed, oldest first when iterated. */
export class NumberRing {
  private readonly values: Float64Array;
  private count = 0;
  private next = 0;

  constructor(readonly capacity: number) {
    this.values = new Float64Array(capacity);
  }

  get length(): number {
    return this.count;
  }

  push(value: number): void {
    this.values[this.next] = value;
    this.next = this.next + 1 === this.capacity ? 0 : this.next + 1;
    if (this.count < this.capacity) this.count++;
  }

  /** The mean, summed oldest first and afresh, so that it carries no drift and a restored ring gives the same bits. */
  mean(): number {
    let sum = 0;
    for (let k = 0; k < this.count; k++) sum += this.at(k);
    return sum / this.count;
  }

  /** Population standard deviation in two passes. */
  standardDeviation(): number {
    const mean = this.mean();
    let squares = 0;
    for (let k = 0; k < this.count; k++) squares += (this.at(k) - mean) ** 2;
    return Math.sqrt(squares / this.count);
  }

  /** Oldest first. */
  toArray(): number[] {
    return Array.from({ length: this.count }, (_, k) => this.at(k));
  }

  private at(k: number): number {
    const index = this.next - this.count + k;
    return this.values[index < 0 ? index + this.capacity : index]!;
  }
}
