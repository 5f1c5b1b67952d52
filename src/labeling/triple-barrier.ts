import { OrchestratorError } from '../errors.js';
import { averageTrueRange } from '../market/atr.js';
import type { BarSeries } from '../market/bar.js';
import { type BarTimes, barIntervalNs } from '../market/bar-interval.js';
import { completeTripleBarrier, OUTCOMES, type TripleBarrierOptions } from './barrier.js';
import { BarrierFollower } from './barrier-follower.js';
import { pathStart } from './path-start.js';

export {
  type BarrierPosition,
  type BarrierTouch,
  completeTripleBarrier,
  OUTCOMES,
  type Outcome,
  placeBarriers,
  type TripleBarrier,
  type TripleBarrierOptions,
  touchBarrier,
} from './barrier.js';

/** Parallel arrays over the labelled signals, in bar order. */
export interface TripleBarrierLabels {
  readonly signalBar: Int32Array;
  /**
   * The first bar of each path, the one after the signal's unless it was decided later; H counts
   * from here.
   */
  readonly firstBar: Int32Array;
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
  /**
   * 1 when the last bar of the horizon, i + H, lies inside the data; training and statistics use
   * only these.
   */
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

/**
 * Triple-barrier labels on the side-aligned path (López de Prado 2018, ch. 3): a short's profit lies below its entry and its stop above.
 * The signal at bar i is decided at its close, with the unit u = ATR[i] known then. `sides` holds −1, 0, +1 by bar; 0 is no signal.
 * A signal without u > 0 is counted as noVolatility, one neither touched nor timed out inside the data as censored; neither is labelled.
 *
 * `decidedNs` says when each side was decided, in nanoseconds, where that is later than its bar's
 * close; 0 elsewhere. Its path begins with the first bar that opens then or later. A side decided
 * after the next bar had closed saw too little, and counts as censored. Throws LENGTH_MISMATCH,
 * OUT_OF_RANGE.
 */
export function tripleBarrierLabels(
  bars: BarSeries,
  sides: Int8Array,
  options: TripleBarrierOptions = {},
  atr: Float64Array = averageTrueRange(bars),
  decidedNs: BigInt64Array | null = null,
): TripleBarrierLabels {
  const barrier = completeTripleBarrier(options);
  for (const [field, column] of Object.entries({ sides, atr, decidedNs: decidedNs ?? sides })) {
    if (column.length !== bars.length) {
      throw new OrchestratorError('LENGTH_MISMATCH', `${field} has ${column.length} values for ${bars.length} bars`, {
        field,
      });
    }
  }
  const counts = { profit: 0, stop: 0, timeout: 0, ambiguous: 0, censored: 0, noVolatility: 0 };
  const signals = sides.reduce((count, side) => count + Math.abs(Math.sign(side)), 0);
  const labels = allocate(signals);
  const follower = new BarrierFollower(barrier);
  const path = { base: 0, mask: -1, open: bars.open, high: bars.high, low: bars.low, close: bars.close };
  const decisions = new Decisions(bars, decidedNs);
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
    const firstBar = decisions.firstBarOf(i);
    if (firstBar !== null) {
      follower.start(path, firstBar, side, unit, decisions.isAtClose(i));
      follower.follow(path, bars.length - 1);
    }
    const outcome = firstBar === null ? null : follower.outcome;
    if (firstBar === null || outcome === null) {
      counts.censored++;
      continue;
    }
    const { grossReturn, netReturn, grossR, metaLabel } = follower.judge();
    counts[outcome]++;
    if (follower.ambiguous) counts.ambiguous++;
    labels.signalBar[n] = i;
    labels.firstBar[n] = firstBar;
    labels.outcome[n] = OUTCOMES.indexOf(outcome);
    labels.exitBar[n] = follower.bar;
    labels.grossReturn[n] = grossReturn;
    labels.netReturn[n] = netReturn;
    labels.grossR[n] = grossR;
    labels.metaLabel[n] = metaLabel;
    labels.ambiguous[n] = follower.ambiguous ? 1 : 0;
    labels.horizonClosed[n] = firstBar - 1 + barrier.maxHoldingBars < bars.length ? 1 : 0;
    n++;
  }
  return { ...truncate(labels, n), counts };
}

/** When the sides of a series were decided, and where their paths begin. */
class Decisions {
  private readonly times: BarTimes;

  constructor(
    private readonly bars: BarSeries,
    private readonly decidedNs: BigInt64Array | null,
  ) {
    this.times = { base: 0, mask: -1, tsEventNs: bars.tsEventNs };
  }

  isAtClose(bar: number): boolean {
    return this.decidedNs === null || this.decidedNs[bar]! <= this.bars.tsEventNs[bar]!;
  }

  /**
   * null for a side whose path does not begin inside the data, or that should have seen a later
   * bar.
   */
  firstBarOf(bar: number): number | null {
    if (this.isAtClose(bar)) return bar + 1;
    const { times, bars } = this;
    const start = pathStart(times, bar, bars.length - 1, this.decidedNs![bar]!, barIntervalNs(times, bar, 0));
    return start.kind === 'bar' ? start.bar : null;
  }
}

function allocate(count: number): Omit<TripleBarrierLabels, 'counts'> {
  return {
    signalBar: new Int32Array(count),
    firstBar: new Int32Array(count),
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
    firstBar: labels.firstBar.subarray(0, count),
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
