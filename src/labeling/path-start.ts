import { type BarTimes, opensFrom } from '../market/bar-interval.js';

/** Where the path of a signal's outcome begins, as far as the bars up to now tell. */
export type PathStart =
  /** At the first bar that opens at or after the signal; it need not be stored yet. */
  | { readonly kind: 'bar'; readonly bar: number }
  /** No bar up to now opens late enough. */
  | { readonly kind: 'open' }
  /**
   * A bar that the signal should have seen came after it: closed by the signal's time, and not
   * before its as-of.
   */
  | { readonly kind: 'late'; readonly bar: number };

const OPEN: PathStart = { kind: 'open' };

/**
 * Looks for the first bar of an outcome's path among the bars after `from`, up to `newest`. No bar
 * that opened before the signal was decided belongs to it: part of that bar's path lies before the
 * signal. `from`: the as-of bar, or a later one up to which nothing was found.
 */
export function pathStart(
  times: BarTimes,
  from: number,
  newest: number,
  decidedNs: bigint,
  intervalNs: bigint | null,
): PathStart {
  const { base, mask, tsEventNs } = times;
  for (let bar = from; bar <= newest; bar++) {
    const closeNs = tsEventNs[base + (bar & mask)]!;
    if (bar > from && opensFrom(times, bar, decidedNs, intervalNs)) return { kind: 'bar', bar };
    if (bar > from && closeNs <= decidedNs) return { kind: 'late', bar };
    // What comes next cannot open before this bar has closed.
    if (closeNs >= decidedNs) return { kind: 'bar', bar: bar + 1 };
  }
  return OPEN;
}
