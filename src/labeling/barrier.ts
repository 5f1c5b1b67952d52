import { OrchestratorError } from '../errors.js';

export interface TripleBarrierOptions {
  /** Profit barrier in units of ATR, default 2. */
  ptMultiplier?: number;
  /** Stop barrier in units of ATR, default 1. */
  slMultiplier?: number;
  /** Horizon H in bars, default 10. */
  maxHoldingBars?: number;
  /** Which prices touch a barrier, default 'high-low'. */
  touch?: 'close' | 'high-low';
  /** Where the position is entered, default 'next-open'. */
  entry?: 'signal-close' | 'next-open';
  /** Round-trip cost in basis points, default 0. */
  costBps?: number;
  /** What the return must exceed for meta-label 1, default 0. */
  minReturn?: number;
  /** Which return decides the meta-label, default 'gross': with cost inside, a model learns when trading is dear instead of when the side is right. */
  labelCost?: 'gross' | 'net';
}

export type TripleBarrier = Readonly<Required<TripleBarrierOptions>>;

export const OUTCOMES = ['profit', 'stop', 'timeout'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** A position between its barriers. `side` +1 or −1; prices absolute. */
export interface BarrierPosition {
  readonly side: number;
  readonly profitPrice: number;
  readonly stopPrice: number;
  readonly touch: TripleBarrier['touch'];
}

/** How one bar ended a position; null from {@link touchBarrier} means it is still open. */
export interface BarrierTouch {
  readonly outcome: 'profit' | 'stop';
  readonly exitPrice: number;
  readonly ambiguous: boolean;
}

/** Defaults filled in. Throws OUT_OF_RANGE naming the option. */
export function completeTripleBarrier(options: TripleBarrierOptions = {}): TripleBarrier {
  const complete: TripleBarrier = {
    ptMultiplier: options.ptMultiplier ?? 2,
    slMultiplier: options.slMultiplier ?? 1,
    maxHoldingBars: options.maxHoldingBars ?? 10,
    touch: options.touch ?? 'high-low',
    entry: options.entry ?? 'next-open',
    costBps: options.costBps ?? 0,
    minReturn: options.minReturn ?? 0,
    labelCost: options.labelCost ?? 'gross',
  };
  const refuse = (field: keyof TripleBarrier, rule: string): never => {
    throw new OrchestratorError('OUT_OF_RANGE', `${field} ${complete[field]} is not ${rule}`, { field });
  };
  for (const field of ['ptMultiplier', 'slMultiplier'] as const) {
    if (!(complete[field] > 0 && Number.isFinite(complete[field]))) refuse(field, 'a positive number');
  }
  if (!(Number.isInteger(complete.maxHoldingBars) && complete.maxHoldingBars > 0))
    refuse('maxHoldingBars', 'a positive integer');
  if (!(complete.costBps >= 0 && Number.isFinite(complete.costBps))) refuse('costBps', 'a number from 0 up');
  if (!Number.isFinite(complete.minReturn)) refuse('minReturn', 'a number');
  return complete;
}

/** The barriers of a position entered at `entryPrice`, `unit` being the ATR at the signal. */
export function placeBarriers(entryPrice: number, side: number, unit: number, barrier: TripleBarrier): BarrierPosition {
  return {
    side,
    profitPrice: entryPrice + side * barrier.ptMultiplier * unit,
    stopPrice: entryPrice - side * barrier.slMultiplier * unit,
    touch: barrier.touch,
  };
}

/**
 * Whether one bar ends a position. With 'high-low' a bar that opens beyond a level leaves there at its open (unless it was entered at that open),
 * and of two levels inside one bar the stop is taken to be first.
 */
export function touchBarrier(
  position: BarrierPosition,
  open: number,
  high: number,
  low: number,
  close: number,
  enteredAtOpen: boolean,
): BarrierTouch | null {
  const { side, profitPrice, stopPrice } = position;
  const reachesProfit = (price: number): boolean => side * (price - profitPrice) >= 0;
  const reachesStop = (price: number): boolean => side * (price - stopPrice) <= 0;
  if (position.touch === 'close') {
    if (reachesProfit(close)) return { outcome: 'profit', exitPrice: close, ambiguous: false };
    return reachesStop(close) ? { outcome: 'stop', exitPrice: close, ambiguous: false } : null;
  }
  if (!enteredAtOpen) {
    if (reachesProfit(open)) return { outcome: 'profit', exitPrice: open, ambiguous: false };
    if (reachesStop(open)) return { outcome: 'stop', exitPrice: open, ambiguous: false };
  }
  const favourable = side > 0 ? high : low;
  const adverse = side > 0 ? low : high;
  if (reachesStop(adverse)) return { outcome: 'stop', exitPrice: stopPrice, ambiguous: reachesProfit(favourable) };
  return reachesProfit(favourable) ? { outcome: 'profit', exitPrice: profitPrice, ambiguous: false } : null;
}

/** What a gross return means under one label configuration. */
export interface PositionReturn {
  /** s(exit/E − 1). */
  readonly grossReturn: number;
  /** grossReturn less the round-trip cost. */
  readonly netReturn: number;
  /** grossReturn in units of the barrier: s(exit/E − 1)/(u/E). */
  readonly grossR: number;
  readonly metaLabel: 0 | 1;
}

const COST_MULTIPLE_MIN = 3;

/** Judges a return, wherever it comes from, by the one rule of the meta-label. `unitReturn` is u/E; NaN where it is not known, and then so is `grossR`. */
export function judgeReturn(grossReturn: number, unitReturn: number, barrier: TripleBarrier): PositionReturn {
  const netReturn = grossReturn - barrier.costBps / 10_000;
  return {
    grossReturn,
    netReturn,
    grossR: grossReturn / unitReturn,
    metaLabel: (barrier.labelCost === 'net' ? netReturn : grossReturn) > barrier.minReturn ? 1 : 0,
  };
}

/** A signal whose profit barrier, as a fraction of the price, is below three round-trip costs is answered but neither trained on nor judged by. */
export function paysItsCost(target: number, costBps: number): boolean {
  return target >= (COST_MULTIPLE_MIN * costBps) / 10_000;
}
