import { tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { BarSeries } from '../../src/market/bar.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import { normalDraws, uniformStream } from '../../src/simulation/random-streams.js';
import { simulateMarket } from '../../src/simulation/simulated-market.js';
import { decisionMovesOf } from '../../src/training/decision-moves.js';
import { type LookAheadFigures, lookAheadFigures } from '../../src/validation/look-ahead.js';

const STREAMS = 4;
const BAR_NS = 60_000_000_000n;
const OUTSIDE_SKILL = 0.58;

/** Markets by name, each of so many bars, from a seed. */
export const MARKETS: Readonly<Record<string, (bars: number, seed: number) => BarSeries>> = {
  'simulated, no edge': (bars, seed) => simulateMarket({ bars, seed, edge: 0 }),
  'simulated, edge 1': (bars, seed) => simulateMarket({ bars, seed, edge: 1 }),
  'clustered walk with jumps': (bars, seed) => walk(bars, seed, 0),
  'walk that bounces between bid and ask': (bars, seed) => walk(bars, seed, 2),
};

/** Sides of every bar, made at its close, by strategy; `seed` is for those that know something from outside. */
export const STRATEGIES: Readonly<Record<string, (bars: BarSeries, seed: number) => Int8Array>> = {
  'one-bar momentum': (bars) => oneBar(bars, 1),
  'one-bar reversal': (bars) => oneBar(bars, -1),
  'breakout, entries': (bars) => entriesOf(primarySides('donchian', bars)),
  'breakout, held': (bars) => primarySides('donchian', bars),
  'momentum over 20 bars': (bars) => primarySides('momentum', bars),
  'ema cross 12, 26': (bars) => primarySides('ema-cross', bars),
  'mean of 100 bars': (bars) => aboveMean(bars, 100),
};

/** Sides from outside: for every bar, and for every tenth, right about the next one in 58 % of all. */
export const OUTSIDE: typeof STRATEGIES = {
  'right in 58 % of the next bars': (bars, seed) => outsideSides(bars, seed),
  'the same, every tenth bar': (bars, seed) => outsideSides(bars, seed).map((side, bar) => (bar % 10 === 0 ? side : 0)),
};

/** In which markets sides are suspected. */
export function suspicions(
  make: (typeof STRATEGIES)[string],
  size: { readonly markets: number; readonly bars: number },
): string[] {
  return Object.entries(MARKETS).flatMap(([name, open]) =>
    Array.from({ length: size.markets }, (_, k) => k + 1)
      .filter((seed) => {
        const bars = open(size.bars, seed);
        return figuresOf(bars, make(bars, seed)).isSuspected;
      })
      .map((seed) => `${name}, seed ${seed}`),
  );
}

/** What the alarm finds of sides, each decided at the close of its bar. */
export function figuresOf(bars: BarSeries, sides: Int8Array): LookAheadFigures {
  const labels = tripleBarrierLabels(bars, sides);
  return lookAheadFigures(decisionMovesOf(bars, sides, labels, 'next-open'), bars.length);
}

/** The same sides under the stamps of their bars' opens, which are the closes of the bars before. */
export function stampedAtOpen(sides: Int8Array): Int8Array {
  return Int8Array.from(sides, (_, bar) => sides[bar + 1] ?? 0);
}

/** A side for every bar that is right about the next one with a probability, from whatever source. */
function outsideSides(bars: BarSeries, seed: number, skill = OUTSIDE_SKILL): Int8Array {
  const draw = uniformStream(seed, 3, STREAMS);
  return Int8Array.from(bars.close, (_, bar) => {
    const move = bar + 1 < bars.length ? Math.sign(bars.close[bar + 1]! - bars.open[bar + 1]!) : 0;
    return draw() < skill ? move : -move;
  });
}

/** A walk with clustered volatility and rare jumps; `bounce`: closes alternate at random between two sides of a spread of so many sigmas. */
function walk(count: number, seed: number, bounce: number): BarSeries {
  const normal = normalDraws(uniformStream(seed, 0, STREAMS));
  const chance = uniformStream(seed, 1, STREAMS);
  const extreme = uniformStream(seed, 2, STREAMS);
  const columns = {
    tsEventNs: BigInt64Array.from({ length: count }, (_, i) => 1_700_000_040_000_000_000n + BigInt(i) * BAR_NS),
    open: new Float64Array(count),
    high: new Float64Array(count),
    low: new Float64Array(count),
    close: new Float64Array(count),
    volume: new Float64Array(count).fill(1),
  };
  let logSigma = 0;
  let middle = Math.log(100);
  let before = middle;
  for (let i = 0; i < count; i++) {
    logSigma = 0.98 * logSigma + 0.15 * normal();
    const sigma = 5e-4 * Math.exp(logSigma);
    middle += sigma * normal() + (chance() < 0.002 ? 15 * sigma * normal() : 0);
    const price = middle + bounce * sigma * (chance() < 0.5 ? 0.5 : -0.5);
    columns.open[i] = Math.exp(before);
    columns.close[i] = Math.exp(price);
    columns.high[i] = Math.exp(Math.max(before, price) + sigma * extreme());
    columns.low[i] = Math.exp(Math.min(before, price) - sigma * extreme());
    before = price;
  }
  return BarSeries.from(columns);
}

function oneBar({ close }: BarSeries, sign: number): Int8Array {
  return Int8Array.from(close, (price, bar) => (bar === 0 ? 0 : sign * Math.sign(price - close[bar - 1]!)));
}

/** A side where a position begins, flat elsewhere. */
function entriesOf(sides: Int8Array): Int8Array {
  return Int8Array.from(sides, (side, bar) => (side === sides[bar - 1] ? 0 : side));
}

function aboveMean({ close }: BarSeries, count: number): Int8Array {
  let sum = 0;
  return Int8Array.from(close, (price, bar) => {
    sum += price - (close[bar - count] ?? 0);
    return bar < count ? 0 : Math.sign(price - sum / count);
  });
}
