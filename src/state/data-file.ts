import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { damaged } from './seal.js';

/*
 * LMDB maps its file into memory and trusts it: a page that is missing or says something impossible ends the process. So the B-trees are walked here with plain
 * reads before LMDB sees the file. Layout as in the mdb.c of lmdb-js 3 (data version 2), little endian, 64 bit:
 *
 *   page    number u64 · transaction u64 · pad u16 · flags u16 · lower u16 · upper u16 (or the number of overflow pages, u32) · node offsets u16 …
 *   node    low u16 · high u16 · flags u16 · key bytes u16 · key · data; in a branch the first three words are the number of the child page
 *   meta    page header · magic u32 · version u32 · address u64 · map size u64 · free tree · main tree · last page u64 · transaction u64 · boot u64
 *   tree    pad u32 (in the free tree: the page size) · flags u16 · depth u16 · three counts of pages u64 · entries u64 · root u64
 *   big     in place of a record that does not fit into its page: first overflow page u64 · transaction u64 · overflow pages u64
 *   free    a record of the free tree: how many words follow, i64, each 0, a page, or −n and then the first of n pages; more may follow that is not used
 */
const HEADER_BYTES = 24;
const META_BYTES = 168;
const TREE_BYTES = 48;
const NODE_BYTES = 8;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const META = 8;
const BIG_DATA = 1;
const SUB_TREE = 2;
const BIG_DATA_BYTES = 24;
const FREE_TREE_FLAGS = 8;
const NO_PAGE = 2n ** 64n - 1n;
const DEPTH_MAX = 32;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;
/** Walks of a file that is being written to, each of which says something only if no commit fell into it. */
const WALKS_MAX = 5;

interface Tree {
  readonly root: bigint;
  /** Levels of pages; all leaves are on the last. */
  readonly depth: number;
  readonly kind: 'free' | 'main' | 'table';
}

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly transaction: bigint;
  readonly trees: readonly Tree[];
}

/** Where a list of free pages lies in the file. */
interface FreeList {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Walks every tree of an LMDB file: each page that can be reached lies inside the file, is what its parent takes it for, is reached once, and is not free as well; keys ascend. A file
 * that is missing or empty passes: LMDB makes a new one. Throws STORE_DAMAGED. Not for a file that another process is writing to.
 */
export function checkDataFile(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0) withFile(path, (check) => check.check());
}

/** {@link checkDataFile} for a file that another process may be writing to. */
export function checkDataFileInUse(path: string): void {
  for (let walk = 0; walk < WALKS_MAX; walk++) {
    const before = newestTransaction(path);
    try {
      checkDataFile(path);
      return;
    } catch (error) {
      // Pages of the state that was walked are written over once newer commits no longer need them: an owner is at work, who has checked the file.
      if (newestTransaction(path) === before) throw error;
    }
  }
}

function newestTransaction(path: string): bigint {
  return withFile(path, (check) => check.readMeta().transaction);
}

function withFile<T>(path: string, read: (check: DataFileCheck) => T): T {
  const file = openSync(path, 'r');
  try {
    return read(new DataFileCheck(file, fstatSync(file).size));
  } finally {
    closeSync(file);
  }
}

class DataFileCheck {
  private pageBytes = PAGE_BYTES_MIN;
  private lastPage = 0;
  private transaction = 0n;
  private seen = new Uint8Array(0);
  private readonly freeLists: FreeList[] = [];
  private readonly header = Buffer.alloc(HEADER_BYTES);
  /** The key passed last in the tree that is being walked: those that follow are greater, or may be equal where it stands in a branch. */
  private readonly bound = Buffer.alloc(PAGE_BYTES_MAX);
  private boundBytes = 0;
  private boundKind = LEAF;
  private readonly trees: Tree[] = [];
  /** One page for each level: those above are still being read. */
  private readonly pages: Buffer[] = [];

  constructor(
    private readonly file: number,
    private readonly size: number,
  ) {}

  check(): void {
    const meta = this.readMeta();
    this.pageBytes = meta.pageBytes;
    this.lastPage = meta.lastPage;
    this.transaction = meta.transaction;
    this.seen = new Uint8Array(Math.ceil((meta.lastPage + 1) / 8));
    this.markSeen(0);
    this.markSeen(1);
    // Tables are found while the main tree is walked, and queue up behind it.
    this.trees.push(...meta.trees);
    for (let tree = this.trees.shift(); tree !== undefined; tree = this.trees.shift()) this.walkTree(tree);
    for (const list of this.freeLists) this.checkFreeList(list);
  }

  readMeta(): Meta {
    const first = this.metaAt(0);
    const second = this.metaAt(first.pageBytes);
    if (first.pageBytes !== second.pageBytes) throw damaged('the two heads of the data file differ in their page size');
    return first.transaction >= second.transaction ? first : second;
  }

  private metaAt(offset: number): Meta {
    const bytes = this.read(Buffer.alloc(META_BYTES), offset);
    const isMeta = (bytes.readUInt16LE(18) & META) !== 0 && bytes.readUInt32LE(HEADER_BYTES) === MAGIC;
    if (!isMeta || (bytes.readUInt32LE(28) & 0xffff) !== DATA_VERSION) throw damaged('the data file is no LMDB file');
    // No fixed address, and the flags of the environment and its two trees as they are written by every version of this program.
    const isPlain =
      bytes.readBigUInt64LE(32) === 0n && bytes.readUInt16LE(52) === FREE_TREE_FLAGS && bytes.readUInt16LE(100) === 0;
    if (!isPlain) throw damaged('the data file is of another kind than this program writes');
    const pageBytes = bytes.readUInt32LE(48);
    const lastPage = Number(bytes.readBigUInt64LE(144));
    if (!(pageBytes >= PAGE_BYTES_MIN && pageBytes <= PAGE_BYTES_MAX && Number.isInteger(Math.log2(pageBytes)))) {
      throw damaged(`the data file has pages of ${pageBytes} bytes`);
    }
    // Pages at the end that were used and freed within one transaction are never written, so the file may be shorter than its last page, though not by much.
    if (lastPage > 8 * Math.ceil(this.size / pageBytes) + 65_536) throw damaged('the data file is cut short');
    const trees = [treeAt(bytes, 48, 'free'), treeAt(bytes, 96, 'main')];
    return { pageBytes, lastPage, transaction: bytes.readBigUInt64LE(152), trees };
  }

  private walkTree(tree: Tree): void {
    if (tree.root === NO_PAGE) return;
    if (tree.depth < 1 || tree.depth > DEPTH_MAX) throw damaged('a tree of the data file has an impossible depth');
    this.boundBytes = 0;
    this.walk(tree.root, tree, 1);
  }

  /** `level` counts from 1. */
  private walk(root: bigint, tree: Tree, level: number): void {
    const number = this.markSeen(Number(root));
    this.pages[level] ??= Buffer.alloc(this.pageBytes);
    const page = this.read(this.pages[level]!, number * this.pageBytes);
    const kind = page.readUInt16LE(18);
    this.checkHeader(page, number, level === tree.depth ? LEAF : BRANCH);
    const lower = page.readUInt16LE(20);
    const upper = page.readUInt16LE(22);
    const space = this.pageBytes - HEADER_BYTES;
    const isWhole = lower % 2 === 0 && lower <= upper && upper <= space && lower >= (kind === BRANCH ? 4 : 2);
    if (!isWhole) throw damaged(`page ${number} of the data file is malformed`);
    for (let k = 0; k < lower; k += 2) {
      const at = page.readUInt16LE(HEADER_BYTES + k);
      if (at < upper || at + NODE_BYTES > space) throw damaged(`page ${number} of the data file has a node outside`);
      // The first key of a branch stands for everything below the second, and is not looked at; the free tree orders its keys as numbers.
      if (tree.kind !== 'free' && (kind === LEAF || k > 0)) this.passKey(page, HEADER_BYTES + at, kind);
      if (kind === LEAF) this.checkRecord(page, number, HEADER_BYTES + at, tree);
      else this.walk(childOf(page, HEADER_BYTES + at), tree, level + 1);
    }
  }

  private passKey(page: Buffer, node: number, kind: number): void {
    const start = node + NODE_BYTES;
    const end = start + page.readUInt16LE(node + 6);
    if (end > this.pageBytes || end === start) throw damaged('a key of the data file is malformed');
    const order = page.compare(this.bound, 0, this.boundBytes, start, end);
    if (order < 0 || (order === 0 && !(kind === LEAF && this.boundKind === BRANCH)))
      throw damaged('keys of the data file are out of order');
    this.boundBytes = page.copy(this.bound, 0, start, end);
    this.boundKind = kind;
  }

  private checkRecord(page: Buffer, number: number, at: number, tree: Tree): void {
    const valueBytes = page.readUInt32LE(at);
    const flags = page.readUInt16LE(at + 4);
    const value = at + NODE_BYTES + page.readUInt16LE(at + 6);
    const isBig = flags === BIG_DATA;
    if (flags !== 0 && !isBig && flags !== SUB_TREE) throw damaged('a record of the data file is of an unknown kind');
    if (value + (isBig ? BIG_DATA_BYTES : valueBytes) > this.pageBytes) {
      throw damaged('a record of the data file reaches beyond its page');
    }
    if (flags === SUB_TREE) {
      // No table has duplicates or keys of its own order.
      const isPlain = valueBytes === TREE_BYTES && page.readUInt16LE(value + 4) === 0;
      if (!isPlain || tree.kind !== 'main') throw damaged('a table of the data file is malformed');
      this.trees.push(treeAt(page, value, 'table'));
      return;
    }
    const offset = isBig ? this.checkOverflow(page, value, valueBytes) : number * this.pageBytes + value;
    if (tree.kind === 'free') this.freeLists.push({ offset, bytes: valueBytes });
  }

  /** Where the value begins in the file. */
  private checkOverflow(page: Buffer, at: number, valueBytes: number): number {
    const first = Number(page.readBigUInt64LE(at));
    const count = Number(page.readBigUInt64LE(at + 16));
    const header = this.read(this.header, first * this.pageBytes);
    this.checkHeader(header, first, OVERFLOW);
    if (count !== Math.ceil((HEADER_BYTES + valueBytes) / this.pageBytes) || header.readUInt32LE(20) !== count) {
      throw damaged('a large record of the data file has another length than its pages');
    }
    if (page.readBigUInt64LE(at + 8) > this.transaction)
      throw damaged('a large record of the data file is from the future');
    for (let k = 0; k < count; k++) this.markSeen(first + k);
    if (first * this.pageBytes + HEADER_BYTES + valueBytes > this.size) throw damaged('the data file is cut short');
    return first * this.pageBytes + HEADER_BYTES;
  }

  /** LMDB takes a page for its own, to be written to in place, if it is newer than the last transaction. */
  private checkHeader(header: Buffer, number: number, kind: number): void {
    const isIt = Number(header.readBigUInt64LE(0)) === number && header.readUInt16LE(18) === kind;
    if (!isIt || header.readBigUInt64LE(8) > this.transaction || header.readUInt16LE(16) !== 0) {
      throw damaged(`page ${number} of the data file is not what it should be`);
    }
  }

  private checkFreeList({ offset, bytes }: FreeList): void {
    const list = this.read(Buffer.alloc(bytes), offset);
    const count = bytes >= 8 ? Number(list.readBigInt64LE(0)) : -1;
    if (count < 0 || 8 * (count + 1) > bytes) throw damaged('a list of free pages in the data file is malformed');
    for (let k = 1; k <= count; k++) {
      const entry = Number(list.readBigInt64LE(8 * k));
      if (entry >= 0) {
        if (entry > 0) this.markSeen(entry);
        continue;
      }
      if (++k > count) throw damaged('a list of free pages in the data file is malformed');
      const first = Number(list.readBigInt64LE(8 * k));
      if (-entry > this.lastPage) throw damaged('a list of free pages in the data file is malformed');
      for (let page = first; page < first - entry; page++) this.markSeen(page);
    }
  }

  private markSeen(page: number): number {
    if (!(page >= 0 && page <= this.lastPage)) throw damaged(`the data file has no page ${page}`);
    const bit = 1 << (page & 7);
    if ((this.seen[page >> 3]! & bit) !== 0) throw damaged(`page ${page} of the data file is used twice`);
    this.seen[page >> 3]! |= bit;
    return page;
  }

  private read(target: Buffer, offset: number): Buffer {
    if (!(offset < this.size) || readSync(this.file, target, 0, target.length, offset) !== target.length) {
      throw damaged('the data file is cut short');
    }
    return target;
  }
}

function treeAt(bytes: Buffer, at: number, kind: Tree['kind']): Tree {
  return { root: bytes.readBigUInt64LE(at + 40), depth: bytes.readUInt16LE(at + 6), kind };
}

/** The page that a node of a branch leads to. */
function childOf(page: Buffer, at: number): bigint {
  return BigInt(page.readUInt32LE(at)) + (BigInt(page.readUInt16LE(at + 4)) << 32n);
}
