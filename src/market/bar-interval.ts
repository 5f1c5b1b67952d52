import { ATR_PERIOD } from './atr.js';

/**
 * Closing times of bars: bar i lies at `base + (i & mask)`, so that a plain series (base 0, mask
 * −1) and a ring inside a store are read alike.
 */
export interface BarTimes {
  readonly base: number;
  readonly mask: number;
  readonly tsEventNs: BigInt64Array;
}

/**
 * Gaps that are looked at: as many as bars make up the ATR, so that wherever a signal has its unit
 * it has its interval, before a restart and after.
 */
const GAPS_MAX = ATR_PERIOD;
const GAPS_MIN = 2;

/**
 * The interval of time bars in nanoseconds: the gap that more than half of the newest gaps between
 * `oldest` and `last` equal. null where no gap is so common, as with bars by volume, and while
 * there are too few bars. A hole or a closed session changes nothing as long as most bars are
 * neighbours. Majority vote (Boyer & Moore 1981).
 */
export function barIntervalNs({ base, mask, tsEventNs }: BarTimes, last: number, oldest: number): bigint | null {
  const first = Math.max(oldest, last - GAPS_MAX);
  if (last - first < GAPS_MIN) return null;
  const gapAt = (bar: number): bigint => tsEventNs[base + (bar & mask)]! - tsEventNs[base + ((bar - 1) & mask)]!;
  let candidate = 0n;
  let lead = 0;
  for (let bar = first + 1; bar <= last; bar++) {
    const gap = gapAt(bar);
    if (lead === 0) candidate = gap;
    lead += gap === candidate ? 1 : -1;
  }
  let count = 0;
  for (let bar = first + 1; bar <= last; bar++) if (gapAt(bar) === candidate) count++;
  return candidate > 0n && 2 * count > last - first ? candidate : null;
}

/**
 * Whether a bar opened at or after an instant, as far as its times tell: it opened one interval
 * before its close, and not before the bar before it closed. Without an interval only the latter is
 * known, and it may have opened then.
 */
export function opensFrom(times: BarTimes, bar: number, instantNs: bigint, intervalNs: bigint | null): boolean {
  const { base, mask, tsEventNs } = times;
  if (tsEventNs[base + ((bar - 1) & mask)]! >= instantNs) return true;
  return intervalNs !== null && tsEventNs[base + (bar & mask)]! - intervalNs >= instantNs;
}
