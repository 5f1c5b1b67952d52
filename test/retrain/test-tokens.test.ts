import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestTokens, type TestTokensState } from '../../src/retrain/test-tokens.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const DAY_NS = 86_400n * 1_000_000_000n;
const YEAR_NS = 365n * DAY_NS;
/** A token comes every 15 days and 5 hours. */
const REFILL_NS = YEAR_NS / 24n;
const START_NS = 1_700_000_000_000_000_000n;
const BUDGET = { errorPerYear: 0.05, maxTestsPerYear: 24 };
const IDS = ['BTC', 'ETH'];

function stored(tokens: TestTokens): TestTokensState {
  return JSON.parse(JSON.stringify(tokens.toState())) as TestTokensState;
}

/** Spends every token as soon as it is there, and tells when. */
function spendAll(tokens: TestTokens, untilNs: bigint): bigint[] {
  const spent: bigint[] = [];
  for (let now = START_NS; now < untilNs; ) {
    while (tokens.available(IDS, now) > 0) {
      tokens.spend(IDS, now);
      spent.push(now);
      if (spent.length > 1000) throw new Error('tokens are spent and stay');
    }
    const next = tokens.nextAt(IDS, now);
    if (next === null || next <= now) throw new Error(`after ${now} the next token is promised for ${next}`);
    now = next;
  }
  return spent;
}

test('a test costs the year’s error over its tests', () => {
  const tokens = new TestTokens(BUDGET);
  assert.is(tokens.alphaFor(IDS, START_NS), 0.05 / 24);
  assert.is(tokens.alphaPerTest, 0.05 / 24);
});

test('a quarter of a year’s tests is there at once, and then one every fifteen days', () => {
  const tokens = new TestTokens(BUDGET);
  assert.is(tokens.available(IDS, START_NS), 6);
  for (let k = 0; k < 6; k++) tokens.spend(IDS, START_NS);
  assert.equal([tokens.available(IDS, START_NS), tokens.alphaFor(IDS, START_NS)], [0, null]);
  assert.is(tokens.nextAt(IDS, START_NS), START_NS + REFILL_NS);
  assert.is(tokens.alphaFor(IDS, START_NS + REFILL_NS - 1n), null);
  assert.is(tokens.alphaFor(IDS, START_NS + REFILL_NS), 0.05 / 24);
  assert.is(tokens.available(IDS, START_NS + 3n * REFILL_NS), 3);
});

test('the bucket never holds more than a quarter of a year’s tests', () => {
  const tokens = new TestTokens(BUDGET);
  tokens.spend(IDS, START_NS);
  assert.is(tokens.available(IDS, START_NS + 10n * YEAR_NS), 6);
});

test('who spends everything as soon as it is there takes 24 tests a year, no more and no fewer', () => {
  const tokens = new TestTokens(BUDGET);
  const spent = spendAll(tokens, START_NS + 4n * YEAR_NS);
  assert.is(spent.length, 4 * 24, 'six and a token every fifteen days would be thirty in the first year');
  for (let k = 24; k < spent.length; k++) assert.ok(spent[k]! - spent[k - 24]! >= YEAR_NS);
});

test('asking changes nothing', () => {
  const tokens = new TestTokens(BUDGET);
  tokens.spend(IDS, START_NS);
  const before = stored(tokens);
  tokens.available(IDS, START_NS + YEAR_NS);
  tokens.alphaFor(['SOL'], START_NS);
  tokens.nextAt(IDS, START_NS);
  assert.equal(stored(tokens), before);
});

test('a test without a token is a programmer’s error', () => {
  const tokens = new TestTokens(BUDGET);
  for (let k = 0; k < 6; k++) tokens.spend(IDS, START_NS);
  assert.throws(() => tokens.spend(IDS, START_NS), /taken only with a token/);
  assert.is(tokens.toState().sets[0]?.spent.length, 6);
});

test('instruments are a set, and every set has its own tests', () => {
  const tokens = new TestTokens(BUDGET);
  tokens.spend(['ETH', 'BTC', 'ETH'], START_NS);
  assert.is(tokens.available(['BTC', 'ETH'], START_NS), 5);
  for (const other of [['BTC'], ['BTC', 'ETH', 'SOL'], ['BTC,ETH'], ['BTC"', '"ETH'], []]) {
    assert.is(tokens.available(other, START_NS), 6, JSON.stringify(other));
  }
});

test('time does not run backwards: what is spent late is not refilled early', () => {
  const tokens = new TestTokens(BUDGET);
  tokens.spend(IDS, START_NS + YEAR_NS);
  for (let k = 0; k < 5; k++) tokens.spend(IDS, START_NS);
  assert.is(tokens.available(IDS, START_NS), 0);
  assert.is(tokens.nextAt(IDS, START_NS), START_NS + YEAR_NS + REFILL_NS);
  assert.ok(tokens.toState().sets[0]?.spent.every(({ atNs }) => BigInt(atNs) === START_NS + YEAR_NS));
});

test('tests of more than a year ago are forgotten', () => {
  const tokens = new TestTokens(BUDGET);
  spendAll(tokens, START_NS + 6n * YEAR_NS);
  const spent = tokens.toState().sets[0]!.spent;
  assert.ok(spent.length <= 24);
  assert.ok(BigInt(spent[0]!.atNs) > BigInt(spent.at(-1)!.atNs) - YEAR_NS);
});

test('a budget of a few tests has one token at a time', () => {
  const tokens = new TestTokens({ errorPerYear: 0.05, maxTestsPerYear: 1 });
  assert.is(tokens.alphaFor(IDS, START_NS), 0.05);
  tokens.spend(IDS, START_NS);
  assert.is(tokens.nextAt(IDS, START_NS), START_NS + YEAR_NS);
});

test('a smaller or larger number of tests does not forget the error spent under the old one', () => {
  const tokens = new TestTokens(BUDGET);
  const spent = spendAll(tokens, START_NS + YEAR_NS - DAY_NS);
  const last = spent.at(-1)!;
  const finer = new TestTokens({ errorPerYear: 0.05, maxTestsPerYear: 240 }, stored(tokens));
  assert.is(finer.available(IDS, last + DAY_NS), 0, '24 of 240 tests, but all of the error');
  const next = finer.nextAt(IDS, last + DAY_NS)!;
  assert.is(next, START_NS + YEAR_NS, 'until the first ones are a year old');
  assert.is(finer.available(IDS, next), 60);
});

/** What may happen: some time passes (a little of it backwards), and up to so many tests are wanted. */
const step = fc.record({
  passedNs: fc.oneof(
    fc.bigInt({ min: -40n * DAY_NS, max: 40n * DAY_NS }),
    fc.bigInt({ min: 0n, max: YEAR_NS }),
    fc.constantFrom(0n, REFILL_NS, YEAR_NS, YEAR_NS - 1n),
  ),
  wanted: fc.nat({ max: 8 }),
});
const budget = fc.record({
  errorPerYear: fc.constantFrom(0.01, 0.05, 0.3),
  maxTestsPerYear: fc.integer({ min: 1, max: 50 }),
});

test('whoever spends, however: never more tests or error in any 365 days, and a stored ledger goes on as it was', () => {
  fc.assert(
    fc.property(budget, fc.array(step, { minLength: 1, maxLength: 60 }), (limits, steps) => {
      let tokens = new TestTokens(limits);
      const spent: bigint[] = [];
      let now = START_NS;
      for (const { passedNs, wanted } of steps) {
        now += passedNs;
        const restored = new TestTokens(limits, stored(tokens));
        for (let k = 0; k < wanted && tokens.alphaFor(IDS, now) !== null; k++) {
          tokens.spend(IDS, now);
          restored.spend(IDS, now);
          const newest = spent.at(-1) ?? now;
          spent.push(newest > now ? newest : now);
        }
        assert.equal(restored.toState(), tokens.toState());
        assert.is(restored.nextAt(IDS, now), tokens.nextAt(IDS, now));
        tokens = restored;
        const next = tokens.nextAt(IDS, now);
        assert.is(next === null, tokens.available(IDS, now) > 0);
        if (next !== null) {
          assert.ok(next > now && tokens.available(IDS, next) >= 1 && tokens.available(IDS, next - 1n) === 0);
        }
      }
      const most = limits.maxTestsPerYear;
      for (let k = most; k < spent.length; k++) assert.ok(spent[k]! - spent[k - most]! >= YEAR_NS, `test ${k}`);
    }),
    { seed: 61, numRuns: PROPERTY_RUNS },
  );
});

test('budgets may change in between, and no 365 days cost more than the largest of them', () => {
  const change = fc.tuple(fc.integer({ min: 1, max: 50 }), step);
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 60 }), (changes) => {
      let state: TestTokensState | undefined;
      const spent: { atNs: bigint; alpha: number }[] = [];
      let now = START_NS;
      for (const [maxTestsPerYear, { passedNs, wanted }] of changes) {
        now += passedNs > 0n ? passedNs : 0n;
        const tokens = new TestTokens({ errorPerYear: 0.05, maxTestsPerYear }, state);
        for (let k = 0; k < wanted; k++) {
          const alpha = tokens.alphaFor(IDS, now);
          if (alpha === null) break;
          tokens.spend(IDS, now);
          spent.push({ atNs: now, alpha });
        }
        state = stored(tokens);
      }
      for (const { atNs } of spent) {
        const year = spent.filter((one) => one.atNs > atNs - YEAR_NS && one.atNs <= atNs);
        const error = year.reduce((sum, { alpha }) => sum + alpha, 0);
        assert.ok(error <= 0.05 * (1 + 1e-6), `${error} in the year before ${atNs}`);
      }
    }),
    { seed: 62, numRuns: PROPERTY_RUNS },
  );
});

test.run();
