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
  private firstBar = 0;
  private entersAtOpen = true;

  constructor(private readonly barrier: TripleBarrier) {}

  /**
   * Takes up a signal whose path begins with bar `firstBar`; H counts from there. The unit (ATR) is
   * the one known at the signal. With 'signal-close' the entry is the close of the bar before,
   * where that is the bar the signal was decided at: `decidedAtClose`; else, as with 'next-open',
   * the open of the first bar.
   */
  start(path: BarPath, firstBar: number, side: number, unit: number, decidedAtClose: boolean): void {
    const before = firstBar - 1;
    this.bar = before;
    this.outcome = null;
    this.ambiguous = false;
    this.side = side;
    this.unit = unit;
    this.entersAtOpen = this.barrier.entry === 'next-open' || !decidedAtClose;
    this.entryPrice = this.entersAtOpen ? Number.NaN : path.close[path.base + (before & path.mask)]!;
    this.firstBar = firstBar;
  }

  /** Sees the bars after {@link bar} up to `last`, or fewer if one of them gives the outcome. */
  follow(path: BarPath, last: number): void {
    const { base, mask, open, high, low, close } = path;
    const { barrier, side, unit, firstBar, entersAtOpen } = this;
    const timeoutBar = firstBar + barrier.maxHoldingBars - 1;
    const end = Math.min(last, timeoutBar);
    if (this.outcome !== null || this.bar >= end) return;
    if (entersAtOpen && this.bar < firstBar) this.entryPrice = open[base + (firstBar & mask)]!;
    const position: BarrierPosition = placeBarriers(this.entryPrice, side, unit, barrier);
    for (let bar = this.bar + 1; bar <= end; bar++) {
      const at = base + (bar & mask);
      const enteredAtOpen = entersAtOpen && bar === firstBar;
      const touch = touchBarrier(position, open[at]!, high[at]!, low[at]!, close[at]!, enteredAtOpen);
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
