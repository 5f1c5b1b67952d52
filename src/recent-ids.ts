/** Of an id that is known already. */
export const KNOWN = -1;

const FNV_PRIME = 0x0100_0193;

/**
 * The newest ids, so many: a hash table with open addressing (linear probing), of which every place is allocated beforehand, since a growing `Set` of as many costs several times as much.
 * Each id has a place of its own among `capacity`, for whoever keeps something with it; the id that comes when all are taken takes the oldest one's.
 */
export class RecentIds {
  /** By hash: the places of ids, −1 where there is none. Half of them at the most are taken. */
  private readonly table: Int32Array;
  private readonly mask: number;
  private readonly ids: string[] = [];
  /** By place: where in the table the id would be if it were alone. */
  private readonly homes: Int32Array;
  private next = 0;

  /** `seed`: of the hash, a new one for every table, so that nobody can know which ids share a place. */
  constructor(
    private readonly capacity: number,
    private readonly seed = Math.floor(Math.random() * 2 ** 32),
  ) {
    const length = 2 ** Math.ceil(Math.log2(2 * capacity));
    this.table = new Int32Array(length).fill(-1);
    this.mask = length - 1;
    this.homes = new Int32Array(capacity);
  }

  has(id: string): boolean {
    return this.placeOf(id) >= 0;
  }

  /** −1 for one that is not known. */
  placeOf(id: string): number {
    return this.table[this.find(id, this.homeOf(id))]!;
  }

  /** The place it gets; {@link KNOWN}, and nothing else happens, if it has one. */
  add(id: string): number {
    const home = this.homeOf(id);
    let at = this.find(id, home);
    if (this.table[at]! >= 0) return KNOWN;
    const place = this.next;
    if (place < this.ids.length) {
      this.forget(place);
      at = this.find(id, home);
    }
    this.ids[place] = id;
    this.homes[place] = home;
    this.table[at] = place;
    this.next = (place + 1) % this.capacity;
    return place;
  }

  /** Where in the table it is, or would be put. */
  private find(id: string, home: number): number {
    const { table, mask, ids, homes } = this;
    let at = home;
    for (let place = table[at]!; place >= 0; place = table[at]!) {
      if (homes[place] === home && ids[place] === id) break;
      at = (at + 1) & mask;
    }
    return at;
  }

  /** Takes it out of the table, and moves up those behind it that would not be found across the gap. */
  private forget(place: number): void {
    const { table, mask, homes } = this;
    let gap = homes[place]!;
    while (table[gap] !== place) gap = (gap + 1) & mask;
    for (let at = (gap + 1) & mask; table[at]! >= 0; at = (at + 1) & mask) {
      const home = homes[table[at]!]!;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      table[gap] = table[at]!;
      gap = at;
    }
    table[gap] = -1;
  }

  /** FNV-1a (Fowler, Noll, Vo 1991) from the seed, its upper bits folded into the lower ones. */
  private homeOf(id: string): number {
    let hash = this.seed;
    for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), FNV_PRIME);
    return (hash ^ (hash >>> 15)) & this.mask;
  }
}
