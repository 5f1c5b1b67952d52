import { OrchestratorError } from '../errors.js';
import type { BarSeries } from '../market/bar.js';

/** A primary signal with the instant it was decided. */
export interface TimedSide {
  readonly timestampNs: bigint;
  readonly side: -1 | 0 | 1;
}

/** The primary signal of a whole series: by time for the replay, by bar for training. */
export interface SideSchedule {
  readonly timed: readonly TimedSide[];
  /** The last side decided between a bar's close and the next one's, by the bar it may see. */
  readonly byBar: Int8Array;
  /** When the side of each bar was decided, nanoseconds since the epoch; 0 where there is none. */
  readonly decidedNs: BigInt64Array;
}

/**
 * What the stamp of a signal is: the opening stamp of the bar it was made from, that bar's close,
 * or the instant of the decision.
 */
export type SignalsAt = 'open' | 'close' | 'instant';
export const SIGNALS_AT = ['open', 'close', 'instant'] as const satisfies readonly SignalsAt[];

/** What is known of the bars' own stamps. */
export interface BarStamps {
  /**
   * Which edge of its bar every stamp of the file was; 'close' where the bars carry their closes.
   */
  readonly timestampIs: 'open' | 'close';
  /** From a bar's opening stamp to its close. */
  readonly intervalNs: bigint;
}

/** Sides by bar, each decided at the bar's close. */
export function scheduleOf(byBar: Int8Array, bars: BarSeries): SideSchedule {
  const timed = Array.from(byBar, (side, bar) => ({
    timestampNs: bars.tsEventNs[bar]!,
    side: side as TimedSide['side'],
  }));
  return { timed, byBar, decidedNs: bars.tsEventNs };
}

/**
 * Stamped sides, in increasing time, as sides by the bar each may see: the newest that closed at or
 * before its decision. With 'open' a stamp is the opening stamp of the bar the side was made from,
 * so it was decided one interval later; 'close' and 'instant' are the decision as they are. Without
 * a word (null) stamps are instants, unless the bars were stamped at their opens and every side has
 * such a stamp: a data frame's index, most likely, and then a side is labelled by the bar it was
 * made from, which looks like an edge. Or they are the closes of the bars before: only whoever made
 * them knows. Throws SIGNALS_AT_UNKNOWN then, with field `signals-at`.
 */
export function alignSides(
  stamped: readonly TimedSide[],
  bars: BarSeries,
  stamps: BarStamps,
  signalsAt: SignalsAt | null = null,
): SideSchedule {
  if (signalsAt === null && areAllOpens(stamped, bars, stamps)) throw unknownStamps(stamped.length);
  const { intervalNs } = stamps;
  const timed =
    signalsAt === 'open'
      ? stamped.map(({ timestampNs, side }) => ({ timestampNs: timestampNs + intervalNs, side }))
      : stamped;
  return { timed, ...sidesByBar(timed, bars) };
}

/**
 * Sides by bar: each is joined to the newest bar that closed at or before its time; of several that
 * see one bar the last counts. Times never decrease. `onSeen` is called with the place of each side
 * that sees a bar, and that bar.
 */
export function sidesByBar(
  timed: readonly TimedSide[],
  bars: BarSeries,
  onSeen: (index: number, bar: number) => void = () => undefined,
): Pick<SideSchedule, 'byBar' | 'decidedNs'> {
  const byBar = new Int8Array(bars.length);
  const decidedNs = new BigInt64Array(bars.length);
  let bar = -1;
  for (const [index, { timestampNs, side }] of timed.entries()) {
    while (bar + 1 < bars.length && bars.tsEventNs[bar + 1]! <= timestampNs) bar++;
    if (bar < 0) continue;
    byBar[bar] = side;
    decidedNs[bar] = timestampNs;
    onSeen(index, bar);
  }
  return { byBar, decidedNs };
}

function areAllOpens(
  stamped: readonly TimedSide[],
  { tsEventNs }: BarSeries,
  { timestampIs, intervalNs }: BarStamps,
): boolean {
  if (timestampIs === 'close' || stamped.length === 0) return false;
  let bar = 0;
  return stamped.every(({ timestampNs }) => {
    while (bar < tsEventNs.length && tsEventNs[bar]! - intervalNs < timestampNs) bar++;
    return bar < tsEventNs.length && tsEventNs[bar]! - intervalNs === timestampNs;
  });
}

function unknownStamps(signals: number): OrchestratorError {
  const message =
    `all ${signals} signals have the opening stamp of a bar, and it is not said what that means: signals-at open, the bar that a signal was made from ` +
    '(decided at its close, one interval later), or signals-at close, the instant at which the bar before closed and the signal was decided';
  return new OrchestratorError('SIGNALS_AT_UNKNOWN', message, { field: 'signals-at' });
}

/** How long after the close that each sees signals were decided. */
export interface Alignment {
  /** With a side. */
  readonly signals: number;
  /** Of them: decided before any bar had closed. */
  readonly unseen: number;
  readonly medianNs: bigint;
  readonly maxNs: bigint;
}

/** Measures the sides of a schedule that are not flat. */
export function alignmentOf({ timed }: Pick<SideSchedule, 'timed'>, bars: BarSeries): Alignment {
  const sides = timed.filter(({ side }) => side !== 0);
  const delays: bigint[] = [];
  sidesByBar(sides, bars, (index, bar) => delays.push(sides[index]!.timestampNs - bars.tsEventNs[bar]!));
  return alignment(delays, sides.length - delays.length);
}

/** Measures the sides of series by bar; `unseen` of them were decided before any bar had closed. */
export function alignmentOfSeries(
  series: readonly { readonly bars: BarSeries; readonly sides?: Int8Array; readonly decidedNs?: BigInt64Array }[],
  unseen: number,
): Alignment {
  const delays = series.flatMap(({ bars: { tsEventNs }, sides = new Int8Array(), decidedNs = tsEventNs }) =>
    Array.from(sides.keys())
      .filter((bar) => sides[bar] !== 0)
      .map((bar) => decidedNs[bar]! - tsEventNs[bar]!),
  );
  return alignment(delays, unseen);
}

function alignment(delays: readonly bigint[], unseen: number): Alignment {
  const sorted = BigInt64Array.from(delays).sort();
  return {
    signals: delays.length + unseen,
    unseen,
    medianNs: sorted[(sorted.length - 1) >> 1] ?? 0n,
    maxNs: sorted[sorted.length - 1] ?? 0n,
  };
}
