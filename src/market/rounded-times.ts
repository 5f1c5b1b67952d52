import { BarSeries } from './bar.js';
import { wholeSecondNs } from './timestamp.js';

/** How many closes and signal times were taken as the whole second that they lie just before. */
export interface RoundedTimeCounts {
  readonly bars: number;
  readonly signals: number;
}

/** Takes live times as {@link wholeSecondNs} says. Counts what it changes. */
export class RoundedTimes {
  private readonly counted = { bars: 0, signals: 0 };

  /** `onFirst`: called with the first time of each kind that is changed, as it was given. */
  constructor(private readonly onFirst: (kind: keyof RoundedTimeCounts, givenNs: bigint) => void = () => undefined) {}

  get counts(): RoundedTimeCounts {
    return { ...this.counted };
  }

  round(kind: keyof RoundedTimeCounts, givenNs: bigint): bigint {
    const ns = wholeSecondNs(givenNs);
    if (ns !== givenNs && this.counted[kind]++ === 0) this.onFirst(kind, givenNs);
    return ns;
  }
}

/**
 * The series with every close as `round` takes it, in a new time column; the series itself where
 * nothing changes.
 */
export function roundCloses(bars: BarSeries, round: (givenNs: bigint) => bigint = wholeSecondNs): BarSeries {
  const closes = bars.tsEventNs.map(round);
  return closes.every((closeNs, i) => closeNs === bars.tsEventNs[i])
    ? bars
    : BarSeries.from({ ...bars, tsEventNs: closes });
}
