import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OUTSIDE, STRATEGIES, stampedAtOpen, suspicions } from '../../bench/tables/look-ahead-runs.js';
import { seededUniform } from '../../src/random.js';
import { type DecisionMoves, LOOK_AHEAD_SIGNALS_MIN, lookAheadFigures } from '../../src/validation/look-ahead.js';
import { LOOK_AHEAD_MARKETS } from '../support/sizes.js';

const BARS = 2000;

/** One side a bar; `first` agrees with it in a share of all, `seen` in another. */
function movesOf(firstShare: number, seenShare: number, seed = 1, count = BARS): DecisionMoves {
  const random = seededUniform(seed);
  const side = Int8Array.from({ length: count }, () => (random() < 0.5 ? 1 : -1));
  const agreeing = (share: number): Int8Array => side.map((one) => (random() < share ? one : -one));
  const [first, seen] = [agreeing(firstShare), agreeing(seenShare)];
  const isChange = Uint8Array.from(side, (one, k) => (one === side[k - 1] ? 0 : 1));
  return {
    ...{ side, seen, first, isChange },
    upShare: new Float64Array(count).fill(0.5),
    position: Int32Array.from({ length: count }, (_, k) => k),
  };
}

test('sides that agree with the bar after their decision are suspected, and so are sides that contradict it', () => {
  assert.ok(lookAheadFigures(movesOf(0.9, 0.5), BARS).isSuspected);
  assert.ok(lookAheadFigures(movesOf(0.1, 0.5), BARS).isSuspected);
  assert.not(lookAheadFigures(movesOf(0.5, 1), BARS).isSuspected);
  assert.not(lookAheadFigures(movesOf(0.62, 0.5), BARS).isSuspected);
});

test('sides that agree more with the bar they see are not, however well they foretell the next', () => {
  assert.not(lookAheadFigures(movesOf(0.75, 0.95), BARS).isSuspected);
  assert.not(lookAheadFigures(movesOf(0.25, 0.95), BARS).isSuspected);
  assert.not(lookAheadFigures(movesOf(0.75, 0.05), BARS).isSuspected);
});

test('shares and t are what counting by hand gives', () => {
  const moves = movesOf(0.8, 0.4, 3);
  const { firstShare, seenShare, signals, t } = lookAheadFigures({ ...moves, isChange: moves.isChange.fill(0) }, BARS);
  const share = (of: Int8Array): number => moves.side.filter((side, k) => side === of[k]).length / BARS;
  assert.is(signals, BARS);
  assert.ok(Math.abs(firstShare - share(moves.first)) < 1e-12);
  assert.ok(Math.abs(seenShare - share(moves.seen)) < 1e-12);
  // 32 blocks of 62.5 bars; bar k lies in block ⌊k · 32/2000⌋.
  const sums = new Float64Array(32);
  for (let k = 0; k < BARS; k++) {
    sums[Math.floor((k * 32) / BARS)]! += (moves.side[k] === moves.first[k] ? 1 : 0) - firstShare;
  }
  const mean = sums.reduce((sum, value) => sum + value, 0) / 32;
  const error = Math.sqrt((32 * sums.reduce((sum, value) => sum + (value - mean) ** 2, 0)) / 31) / BARS;
  const expected = (firstShare - 0.5) / Math.max(error, 0.5 / Math.sqrt(BARS));
  assert.ok(Math.abs(t! - expected) < 1e-9, `${t} is not ${expected}`);
});

test('turning every side, or every move, around turns the shares around and no verdict', () => {
  for (const share of [0.1, 0.4, 0.6, 0.9]) {
    const moves = movesOf(share, 0.5, 4);
    const turned = { ...moves, side: moves.side.map((side) => -side) };
    const [one, other] = [lookAheadFigures(moves, BARS), lookAheadFigures(turned, BARS)];
    assert.is(one.isSuspected, other.isSuspected);
    assert.ok(Math.abs(one.firstShare + other.firstShare - 1) < 1e-12);
  }
});

test('a bar that did not move and a market that mostly rises say nothing', () => {
  const moves = movesOf(1, 0.5, 5);
  const still = lookAheadFigures({ ...moves, first: moves.first.map((move, k) => (k % 3 === 0 ? 0 : move)) }, BARS);
  assert.is(still.of, 'all');
  assert.is(still.signals, BARS - Math.ceil(BARS / 3));
  assert.is(still.firstShare, 1);

  const random = seededUniform(6);
  const rising = (): Int8Array => Int8Array.from({ length: BARS }, () => (random() < 0.9 ? 1 : -1));
  const long = { ...moves, side: moves.side.map(() => 1), upShare: moves.upShare.map(() => 0.9) };
  assert.not(lookAheadFigures({ ...long, first: rising(), seen: rising() }, BARS).isSuspected);
  // Long only where the next bar rises, in a market that falls as often.
  const chosen = { ...long, first: moves.side.map(() => 1), upShare: moves.upShare };
  assert.ok(lookAheadFigures(chosen, BARS).isSuspected);
});

test('a few signals raise no alarm, even if all of them agree', () => {
  for (const count of [0, 1, LOOK_AHEAD_SIGNALS_MIN - 1]) {
    const { isSuspected, t } = lookAheadFigures(movesOf(1, 0.5, 7, count), BARS);
    assert.not(isSuspected);
    assert.is(t, null);
  }
  // Enough, but all of them within one stretch: nothing is known of the rest.
  assert.is(lookAheadFigures(movesOf(1, 0.5, 7, 60), 100_000).t, null);
  assert.ok(lookAheadFigures(movesOf(1, 0.5, 7, 60), 60).isSuspected);
});

for (const [name, make] of Object.entries({ ...STRATEGIES, ...OUTSIDE })) {
  test(`${name}: passes in every market where its stamps are right`, () => {
    assert.equal(suspicions(make, { markets: LOOK_AHEAD_MARKETS, bars: BARS }), []);
  });
}

for (const name of ['one-bar momentum', 'one-bar reversal', 'breakout, entries', 'breakout, held']) {
  test(`${name}: is caught in every market when stamped at the open`, () => {
    const open = (...parameters: Parameters<(typeof STRATEGIES)[string]>): Int8Array =>
      stampedAtOpen(STRATEGIES[name]!(...parameters));
    const { length } = suspicions(open, { markets: LOOK_AHEAD_MARKETS, bars: 5000 });
    assert.is(length, 4 * LOOK_AHEAD_MARKETS);
  });
}

test.run();
