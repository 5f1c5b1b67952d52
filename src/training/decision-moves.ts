import type { TripleBarrier } from '../labeling/triple-barrier.js';
import type { BarSeries } from '../market/bar.js';
import type { DecisionMoves } from '../validation/look-ahead.js';

type Prices = Pick<BarSeries, 'open' | 'close'>;

/**
 * The sign of a bar's return as a position feels it that is entered where labels are: from the
 * bar's open, or from the close before it. A gap that nobody could trade is then no part of it.
 * `at` and `before` are the places of the bar and of the one before.
 */
export function barMove({ open, close }: Prices, at: number, before: number, entry: TripleBarrier['entry']): number {
  const from = entry === 'next-open' || before < 0 ? open[at]! : close[before]!;
  return Math.sign(close[at]! - from);
}

/**
 * The labelled sides of one series beside the bars around their decisions; `position` is the
 * signal's bar.
 */
export function decisionMovesOf(
  bars: BarSeries,
  sides: Int8Array,
  labels: { readonly signalBar: Int32Array; readonly firstBar: Int32Array },
  entry: TripleBarrier['entry'],
): DecisionMoves {
  const { signalBar, firstBar } = labels;
  const moves = Int8Array.from({ length: bars.length }, (_, bar) => barMove(bars, bar, bar - 1, entry));
  const up = moves.reduce((count, move) => count + (move > 0 ? 1 : 0), 0);
  const moved = moves.reduce((count, move) => count + Math.abs(move), 0);
  return {
    side: Int8Array.from(signalBar, (bar) => sides[bar]!),
    seen: Int8Array.from(signalBar, (bar) => moves[bar]!),
    // A signal between two closes enters at an open, whatever the labels say.
    first: Int8Array.from(firstBar, (bar, k) =>
      bar === signalBar[k]! + 1 ? moves[bar]! : barMove(bars, bar, bar - 1, 'next-open'),
    ),
    isChange: Uint8Array.from(signalBar, (bar) => (sides[bar] === sides[bar - 1] ? 0 : 1)),
    upShare: new Float64Array(signalBar.length).fill(moved === 0 ? 0.5 : up / moved),
    position: signalBar,
  };
}

/** Several series' decisions as one, at their places on a common calendar. */
export function pooledMoves(parts: readonly DecisionMoves[], calendarPositions: readonly Int32Array[]): DecisionMoves {
  const total = parts.reduce((sum, { side }) => sum + side.length, 0);
  const pooled = {
    side: new Int8Array(total),
    seen: new Int8Array(total),
    first: new Int8Array(total),
    isChange: new Uint8Array(total),
    upShare: new Float64Array(total),
    position: new Int32Array(total),
  };
  let at = 0;
  for (const [index, part] of parts.entries()) {
    pooled.side.set(part.side, at);
    pooled.seen.set(part.seen, at);
    pooled.first.set(part.first, at);
    pooled.isChange.set(part.isChange, at);
    pooled.upShare.set(part.upShare, at);
    pooled.position.set(
      part.position.map((bar) => calendarPositions[index]![bar]!),
      at,
    );
    at += part.side.length;
  }
  return pooled;
}
