import {
  type BarrierPosition,
  judgeReturn,
  type Outcome,
  type PositionReturn,
  placeBarriers,
  type TripleBarrier,
  touchBarrier,
} from './barrier.js';

/** The bars of a path: bar i lies at `base + (i & mask)`, so that a plain series (base 0, mask −1) and a ring inside a store are followed alike. */
export interface BarPath {
  readonly base: number;
  readonly mask: number;
  readonly open: Float64Array;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
}

/**
 * One position followed bar by bar until a barrier is met or its horizon ends. Batch labels and live outcomes are made by this object alone, so they are the same
 * bits, in however many steps a path is followed. It may be started again when it is no longer needed.
 */
export class BarrierFollower {
  /** The bar seen last; once the outcome is known, the bar the position left at. */
  bar = 0;
  outcome: Outcome | null = null;
  /** True when both barriers lay inside one bar and the stop was taken to be first. */
  ambiguous = false;
  private side = 1;
  private unit = Number.NaN;
  /** NaN until the position is entered. */
  private entryPrice = Number.NaN;
  private exitPrice = Number.NaN;
  private signalBar = 0;

  constructor(private readonly barrier: TripleBarrier) {}

  /** Takes up a signal decided at the close of `bar`, with the unit (ATR) known then. */
  start(path: BarPath, bar: number, side: number, unit: number): void {
    this.bar = bar;
    this.outcome = null;
    this.ambiguous = false;
    this.side = side;
    this.unit = unit;
    this.entryPrice = this.barrier.entry === 'signal-close' ? path.close[path.base + (bar & path.mask)]! : Number.NaN;
    this.signalBar = bar;
  }

  /** Sees the bars after {@link bar} up to `last`, or fewer if one of them gives the outcome. */
  follow(path: BarPath, last: number): void {
    const { base, mask, open, high, low, close } = path;
    const { barrier, side, unit, signalBar } = this;
    // A bar that is followed lies after the signal's, so a position entered at its close is never entered at an open.
    const entryBar = barrier.entry === 'next-open' ? signalBar + 1 : signalBar;
    const timeoutBar = signalBar + barrier.maxHoldingBars;
    const end = Math.min(last, timeoutBar);
    if (this.outcome !== null || this.bar >= end) return;
    if (this.bar < entryBar) this.entryPrice = open[base + (entryBar & mask)]!;
    const position: BarrierPosition = placeBarriers(this.entryPrice, side, unit, barrier);
    for (let bar = this.bar + 1; bar <= end; bar++) {
      const at = base + (bar & mask);
      const touch = touchBarrier(position, open[at]!, high[at]!, low[at]!, close[at]!, bar === entryBar);
      if (touch !== null) {
        this.leave(bar, touch.outcome, touch.exitPrice, touch.ambiguous);
        return;
      }
    }
    if (end === timeoutBar) this.leave(end, 'timeout', close[base + (end & mask)]!, false);
    else this.bar = end;
  }

  /** u/E, the barriers' unit as a return; NaN before the entry. */
  get unitReturn(): number {
    return this.unit / this.entryPrice;
  }

  /** What the position returned; only once the outcome is known. */
  judge(): PositionReturn {
    return judgeReturn(this.side * (this.exitPrice / this.entryPrice - 1), this.unitReturn, this.barrier);
  }

  private leave(bar: number, outcome: Outcome, exitPrice: number, ambiguous: boolean): void {
    this.bar = bar;
    this.outcome = outcome;
    this.exitPrice = exitPrice;
    this.ambiguous = ambiguous;
  }
}
