/** One-sided probability that a window of unchanged accuracy lies beyond its bound. */
const TAIL = 0.001;

/** The newest hits and misses of one champion, and whether they are too few for the accuracy it is held to. */
export class AccuracyWindow {
  /** 1 for a hit, oldest first once turned by `#next`. */
  readonly #hits: Uint8Array;
  #count = 0;
  #next = 0;
  #hitCount = 0;

  /** `hits`: '1' and '0' as {@link toText} wrote them; of more than `size` the newest stay. */
  constructor(
    readonly size: number,
    hits = '',
  ) {
    this.#hits = new Uint8Array(size);
    for (const hit of hits.slice(-size)) this.push(hit === '1');
  }

  push(hit: boolean): void {
    if (this.isFull) this.#hitCount -= this.#hits[this.#next]!;
    else this.#count++;
    this.#hits[this.#next] = hit ? 1 : 0;
    this.#hitCount += this.#hits[this.#next]!;
    this.#next = (this.#next + 1) % this.size;
  }

  get isFull(): boolean {
    return this.#count === this.size;
  }

  /** Share of hits; NaN until the window is full. */
  get accuracy(): number {
    return this.isFull ? this.#hitCount / this.size : Number.NaN;
  }

  /** The sequence as '1' and '0', oldest first. */
  toText(): string {
    return this.#oldestFirst().join('');
  }

  /**
   * Variance of sums over consecutive blocks against that of independent hits of the same accuracy, at least 1. Blocks are √n labels long (Fishman & Yarberry 1997; Flegal & Jones 2010):
   * longer than labels overlap, so that a block's sum holds most of their dependence, and n = 1000 still leaves 32 blocks, whose variance is known to a quarter.
   */
  get varianceRatio(): number {
    const length = Math.round(Math.sqrt(this.size));
    const blocks = Math.floor(this.#count / length);
    const hits = this.#oldestFirst().slice(this.#count - blocks * length);
    const accuracy = hits.reduce((sum, hit) => sum + hit, 0) / hits.length;
    const independent = length * accuracy * (1 - accuracy);
    if (blocks < 2 || !(independent > 0)) return 1;
    let squares = 0;
    for (let block = 0; block < blocks; block++) {
      let sum = 0;
      for (let k = block * length; k < (block + 1) * length; k++) sum += hits[k]!;
      squares += (sum - length * accuracy) ** 2;
    }
    return Math.max(1, squares / (blocks - 1) / independent);
  }

  #oldestFirst(): Uint8Array {
    if (!this.isFull) return this.#hits.slice(0, this.#count);
    const ordered = new Uint8Array(this.size);
    ordered.set(this.#hits.subarray(this.#next));
    ordered.set(this.#hits.subarray(0, this.#next), this.size - this.#next);
    return ordered;
  }
}

/** How far the share of hits among `count` independent labels falls below `accuracy` with probability 0.1 % at most: the exact binomial quantile (Clopper & Pearson 1934). */
export function binomialDrop(count: number, accuracy: number): number {
  if (accuracy <= 0 || accuracy >= 1) return 0;
  let logMass = count * Math.log(1 - accuracy);
  const logOdds = Math.log(accuracy / (1 - accuracy));
  let cumulative = Math.exp(logMass);
  let hits = 0;
  while (cumulative <= TAIL) {
    logMass += Math.log((count - hits) / (hits + 1)) + logOdds;
    hits++;
    cumulative += Math.exp(logMass);
  }
  // P(at most hits − 1) is still within the tail: more than that many is the rule.
  return accuracy - (hits - 1) / count;
}
