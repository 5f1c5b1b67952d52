import { OrchestratorError } from '../errors.js';
import { averageTrueRange } from '../market/atr.js';
import type { BarSeries } from '../market/bar.js';

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

/** Parallel arrays over the labelled signals, in bar order. */
export interface TripleBarrierLabels {
  readonly signalBar: Int32Array;
  /** Index into {@link OUTCOMES}. */
  readonly outcome: Uint8Array;
  readonly exitBar: Int32Array;
  /** s(exit/E − 1). */
  readonly grossReturn: Float64Array;
  /** grossReturn less the round-trip cost. */
  readonly netReturn: Float64Array;
  /** grossReturn in units of the barrier: s(exit/E − 1)/(u/E). */
  readonly grossR: Float64Array;
  readonly metaLabel: Uint8Array;
  /** 1 when both barriers lay inside one bar and the stop was taken to be first. */
  readonly ambiguous: Uint8Array;
  /** 1 when bar i + H lies inside the data; training and statistics use only these. */
  readonly horizonClosed: Uint8Array;
  readonly counts: {
    readonly profit: number;
    readonly stop: number;
    readonly timeout: number;
    readonly ambiguous: number;
    readonly censored: number;
    readonly noVolatility: number;
  };
}

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

/**
 * Triple-barrier labels on the side-aligned path (López de Prado 2018, ch. 3): a short's profit lies below its entry and its stop above.
 * The signal at bar i is decided at its close, with the unit u = ATR[i] known then. `sides` holds −1, 0, +1 by bar; 0 is no signal.
 * A signal without u > 0 is counted as noVolatility, one neither touched nor timed out inside the data as censored; neither is labelled.
 * Throws LENGTH_MISMATCH, OUT_OF_RANGE.
 */
export function tripleBarrierLabels(
  bars: BarSeries,
  sides: Int8Array,
  options: TripleBarrierOptions = {},
  atr: Float64Array = averageTrueRange(bars),
): TripleBarrierLabels {
  const barrier = completeTripleBarrier(options);
  for (const [field, column] of Object.entries({ sides, atr })) {
    if (column.length !== bars.length) {
      throw new OrchestratorError('LENGTH_MISMATCH', `${field} has ${column.length} values for ${bars.length} bars`, {
        field,
      });
    }
  }
  const counts = { profit: 0, stop: 0, timeout: 0, ambiguous: 0, censored: 0, noVolatility: 0 };
  const signals = sides.reduce((count, side) => count + Math.abs(Math.sign(side)), 0);
  const labels = allocate(signals);
  let n = 0;
  for (let i = 0; i < bars.length; i++) {
    const side = sides[i]!;
    if (side === 0) continue;
    if (side !== 1 && side !== -1)
      throw new OrchestratorError('OUT_OF_RANGE', `side ${side} at bar ${i}`, { field: 'sides' });
    const unit = atr[i]!;
    if (!(unit > 0)) {
      counts.noVolatility++;
      continue;
    }
    const exit = followPosition(bars, i, side, unit, barrier);
    if (exit === null) {
      counts.censored++;
      continue;
    }
    const grossReturn = side * (exit.price / exit.entryPrice - 1);
    const netReturn = grossReturn - barrier.costBps / 10_000;
    counts[exit.outcome]++;
    if (exit.ambiguous) counts.ambiguous++;
    labels.signalBar[n] = i;
    labels.outcome[n] = OUTCOMES.indexOf(exit.outcome);
    labels.exitBar[n] = exit.bar;
    labels.grossReturn[n] = grossReturn;
    labels.netReturn[n] = netReturn;
    labels.grossR[n] = grossReturn / (unit / exit.entryPrice);
    labels.metaLabel[n] = (barrier.labelCost === 'net' ? netReturn : grossReturn) > barrier.minReturn ? 1 : 0;
    labels.ambiguous[n] = exit.ambiguous ? 1 : 0;
    labels.horizonClosed[n] = i + barrier.maxHoldingBars < bars.length ? 1 : 0;
    n++;
  }
  return { ...truncate(labels, n), counts };
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

interface PositionExit {
  readonly outcome: Outcome;
  readonly bar: number;
  readonly entryPrice: number;
  readonly price: number;
  readonly ambiguous: boolean;
}

function followPosition(
  bars: BarSeries,
  i: number,
  side: number,
  unit: number,
  barrier: TripleBarrier,
): PositionExit | null {
  const nextOpen = barrier.entry === 'next-open';
  if (nextOpen && i + 1 >= bars.length) return null;
  const entryPrice = nextOpen ? bars.open[i + 1]! : bars.close[i]!;
  const position = placeBarriers(entryPrice, side, unit, barrier);
  const timeoutBar = i + barrier.maxHoldingBars;
  const last = Math.min(timeoutBar, bars.length - 1);
  for (let j = i + 1; j <= last; j++) {
    const entered = nextOpen && j === i + 1;
    const touch = touchBarrier(position, bars.open[j]!, bars.high[j]!, bars.low[j]!, bars.close[j]!, entered);
    if (touch)
      return { outcome: touch.outcome, bar: j, entryPrice, price: touch.exitPrice, ambiguous: touch.ambiguous };
  }
  if (timeoutBar >= bars.length) return null;
  return { outcome: 'timeout', bar: timeoutBar, entryPrice, price: bars.close[timeoutBar]!, ambiguous: false };
}

function allocate(count: number): Omit<TripleBarrierLabels, 'counts'> {
  return {
    signalBar: new Int32Array(count),
    outcome: new Uint8Array(count),
    exitBar: new Int32Array(count),
    grossReturn: new Float64Array(count),
    netReturn: new Float64Array(count),
    grossR: new Float64Array(count),
    metaLabel: new Uint8Array(count),
    ambiguous: new Uint8Array(count),
    horizonClosed: new Uint8Array(count),
  };
}

function truncate(labels: Omit<TripleBarrierLabels, 'counts'>, count: number): Omit<TripleBarrierLabels, 'counts'> {
  return {
    signalBar: labels.signalBar.subarray(0, count),
    outcome: labels.outcome.subarray(0, count),
    exitBar: labels.exitBar.subarray(0, count),
    grossReturn: labels.grossReturn.subarray(0, count),
    netReturn: labels.netReturn.subarray(0, count),
    grossR: labels.grossR.subarray(0, count),
    metaLabel: labels.metaLabel.subarray(0, count),
    ambiguous: labels.ambiguous.subarray(0, count),
    horizonClosed: labels.horizonClosed.subarray(0, count),
  };
}
