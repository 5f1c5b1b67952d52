import { invariant } from '../invariant.js';

/** How much error the promotion tests of one instrument set may spend. */
export interface TestBudget {
  /** In any 365 days: the probability that a year of tests promotes a model that is no better. */
  readonly errorPerYear: number;
  /** In any 365 days, a positive integer. */
  readonly maxTestsPerYear: number;
}

/** One test that was taken, as plain data: bigints as decimal text. */
export interface SpentToken {
  readonly atNs: string;
  readonly alpha: number;
}

/** The ledger as plain data. */
export interface TestTokensState {
  readonly sets: readonly {
    readonly instrumentIds: readonly string[];
    readonly fullAtNs: string;
    readonly spent: readonly SpentToken[];
  }[];
}

/** What one instrument set has spent. */
interface Account {
  readonly instrumentIds: readonly string[];
  /** When the bucket is full again: the whole of a leaky bucket in one number (the virtual scheduling algorithm of ITU-T I.371). */
  fullAtNs: bigint;
  /** Of the 365 days before the newest, oldest first. */
  spent: { readonly atNs: bigint; readonly alpha: number }[];
}

const YEAR_NS = 365n * 86_400n * 1_000_000_000n;
/** The bucket holds so large a part of a year's tests. */
const BUCKET_YEARS = 1 / 4;
/** Sums of a few hundred errors round by less. */
const ROUNDING = 1e-9;

/**
 * Ledger of the error that promotion tests may spend (alpha-spending after Lan & DeMets 1983, here by Bonferroni over a rolling year). Tokens refill evenly, one in
 * 365/maxTestsPerYear days, into a bucket of a quarter of a year's tests that starts full. Beside it, in no 365 days (a test exactly 365 days ago no longer counts) are more than
 * maxTestsPerYear taken, or more than errorPerYear spent: the bucket alone would let a first year have a quarter more, and a changed budget would forget what was spent under the
 * old one. Each instrument set has its own account, whatever the order of its ids. Time is that of the data and never runs backwards: a test is dated no earlier than the set's
 * last one.
 */
export class TestTokens {
  /** Error of one test. */
  readonly alphaPerTest: number;
  readonly #budget: TestBudget;
  readonly #refillNs: bigint;
  readonly #capacity: number;
  readonly #accounts = new Map<string, Account>();

  constructor(budget: TestBudget, state?: TestTokensState) {
    const { errorPerYear, maxTestsPerYear } = budget;
    invariant(Number.isInteger(maxTestsPerYear) && maxTestsPerYear > 0, 'a year has a whole number of tests');
    invariant(errorPerYear > 0 && errorPerYear < 1, 'the error of a year lies inside (0, 1)');
    this.#budget = budget;
    this.alphaPerTest = errorPerYear / maxTestsPerYear;
    this.#refillNs = YEAR_NS / BigInt(maxTestsPerYear);
    this.#capacity = Math.max(1, Math.floor(maxTestsPerYear * BUCKET_YEARS));
    for (const { instrumentIds, fullAtNs, spent } of state?.sets ?? []) {
      this.#accounts.set(keyOf(instrumentIds), {
        instrumentIds: setOf(instrumentIds),
        fullAtNs: BigInt(fullAtNs),
        spent: spent.map(({ atNs, alpha }) => ({ atNs: BigInt(atNs), alpha })),
      });
    }
  }

  /** The error a test now may spend; null without a token. Changes nothing. */
  alphaFor(instrumentIds: readonly string[], nowNs: bigint): number | null {
    return this.available(instrumentIds, nowNs) > 0 ? this.alphaPerTest : null;
  }

  /** Enters a test that was taken. There must have been a token: it is a programmer's error to test first and look for one afterwards. */
  spend(instrumentIds: readonly string[], nowNs: bigint): void {
    invariant(this.available(instrumentIds, nowNs) > 0, 'a test is taken only with a token');
    const account = this.#accountOf(instrumentIds);
    const atNs = dated(account, nowNs);
    const spent = [...inYearBefore(account, atNs), { atNs, alpha: this.alphaPerTest }];
    const fullAtNs = later(account.fullAtNs, atNs) + this.#refillNs;
    this.#accounts.set(keyOf(instrumentIds), { ...account, fullAtNs, spent });
  }

  /** Tests that could be taken now, one after the other. */
  available(instrumentIds: readonly string[], nowNs: bigint): number {
    const account = this.#accountOf(instrumentIds);
    const atNs = dated(account, nowNs);
    const debtNs = account.fullAtNs > atNs ? account.fullAtNs - atNs : 0n;
    // Division rounds down, and a token counts when it is there whole.
    const inBucket = Number((BigInt(this.#capacity) * this.#refillNs - debtNs) / this.#refillNs);
    return Math.max(0, Math.min(inBucket, this.#leftOfYear(inYearBefore(account, atNs))));
  }

  /** The first instant with a token, if nothing is spent until then; null when there is one now. */
  nextAt(instrumentIds: readonly string[], nowNs: bigint): bigint | null {
    if (this.available(instrumentIds, nowNs) > 0) return null;
    const account = this.#accountOf(instrumentIds);
    const bucketAtNs = account.fullAtNs - BigInt(this.#capacity - 1) * this.#refillNs;
    const running = inYearBefore(account, dated(account, nowNs));
    let yearAtNs = 0n;
    for (let gone = 0; this.#leftOfYear(running.slice(gone)) < 1; gone++) yearAtNs = running[gone]!.atNs + YEAR_NS;
    return later(bucketAtNs, yearAtNs);
  }

  /** When the last test was taken; null for none in the last 365 days. */
  lastAt(instrumentIds: readonly string[]): bigint | null {
    return this.#accountOf(instrumentIds).spent.at(-1)?.atNs ?? null;
  }

  toState(): TestTokensState {
    const sets = [...this.#accounts.values()].map(({ instrumentIds, fullAtNs, spent }) => ({
      instrumentIds,
      fullAtNs: String(fullAtNs),
      spent: spent.map(({ atNs, alpha }) => ({ atNs: String(atNs), alpha })),
    }));
    return { sets };
  }

  /** Tests that the year's count and the year's error still allow after these. */
  #leftOfYear(spent: Account['spent']): number {
    const error = spent.reduce((sum, { alpha }) => sum + alpha, 0);
    const affordable = Math.floor((this.#budget.errorPerYear - error) / this.alphaPerTest + ROUNDING);
    return Math.min(this.#budget.maxTestsPerYear - spent.length, affordable);
  }

  #accountOf(instrumentIds: readonly string[]): Account {
    const known = this.#accounts.get(keyOf(instrumentIds));
    return known ?? { instrumentIds: setOf(instrumentIds), fullAtNs: 0n, spent: [] };
  }
}

function setOf(instrumentIds: readonly string[]): string[] {
  return [...new Set(instrumentIds)].sort();
}

function keyOf(instrumentIds: readonly string[]): string {
  return JSON.stringify(setOf(instrumentIds));
}

function dated({ spent }: Account, nowNs: bigint): bigint {
  return later(spent.at(-1)?.atNs ?? nowNs, nowNs);
}

function later(aNs: bigint, bNs: bigint): bigint {
  if (aNs > bNs) return aNs;
  return bNs;
}

function inYearBefore({ spent }: Account, atNs: bigint): Account['spent'] {
  return spent.filter((one) => one.atNs > atNs - YEAR_NS);
}
