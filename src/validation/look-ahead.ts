import { batchMeans } from './batch-means.js';

/**
 * Decided sides, each beside the two bars around its decision; parallel arrays. A move is the sign
 * of a bar's return, 0 where it has none.
 */
export interface DecisionMoves {
  /** −1 or +1. */
  readonly side: Int8Array;
  /** Move of the bar that the side sees, its as-of bar. */
  readonly seen: Int8Array;
  /** Move of the bar that its outcome begins with, which nobody can know at the decision. */
  readonly first: Int8Array;
  /** 1 where the side differs from the one before, flat included. */
  readonly isChange: Uint8Array;
  /** Share of rising bars among the bars of its instrument that moved at all. */
  readonly upShare: Float64Array;
  /** Bar of the decision, for pooled instruments on a common calendar. */
  readonly position: Int32Array;
}

/**
 * How well sides agree with the bar that their outcomes begin with. Shares are those of a market in
 * which bars rise and fall alike often.
 */
export interface LookAheadFigures {
  /** Which signals: all, or those that change the side. */
  readonly of: 'all' | 'changes';
  /** How many of them have a first bar that moved. */
  readonly signals: number;
  /** Share whose side agrees with the first bar's move. */
  readonly firstShare: number;
  /** Share whose side agrees with the move of the bar it sees. */
  readonly seenShare: number;
  /** Block t of `firstShare` against one half; null where there are too few signals. */
  readonly t: number | null;
  readonly isSuspected: boolean;
}

/** Fewer signals than this say nothing. */
export const LOOK_AHEAD_SIGNALS_MIN = 30;
/**
 * A share may lie so far from one half without suspicion: outside skill of 62 % is more than
 * anybody has.
 */
const SHARE_ALLOWED = 0.12;
/** Standard errors by which the share must lie beyond that. */
const SURE_ERRORS = 4;

/**
 * Tells sides that know the bar with which their outcomes begin: stamps of the bars they were made
 * from, taken for instants. Suspected where the sides agree with the first bar, or contradict it,
 * more than with the bar they see, and surely in more than 62 % or fewer than 38 %: by four
 * standard errors of batch means, never taken smaller than those of a fair coin (so t is always
 * above 5). Looked at twice, over all sides and over those that change: a slow strategy's first
 * side after a change betrays what its later ones hide. A bar's expected agreement is taken off, so
 * that a market that mostly rises and a strategy that is mostly long are nothing to suspect. Signs,
 * not returns: one jump must not decide. `barCount`: bars the positions lie in. The more telling of
 * the two figures.
 */
export function lookAheadFigures(moves: DecisionMoves, barCount: number): LookAheadFigures {
  const all = figuresOf('all', moves, barCount);
  const changes = figuresOf('changes', moves, barCount);
  return changes.isSuspected && !all.isSuspected ? changes : all;
}

function figuresOf(of: LookAheadFigures['of'], moves: DecisionMoves, barCount: number): LookAheadFigures {
  const { side, seen, first, upShare, position } = moves;
  const places = new Int32Array(side.length);
  const terms = new Float64Array(side.length);
  let signals = 0;
  let watched = 0;
  let firstSum = 0;
  let seenSum = 0;
  // Loops over what may be thousands of signals, since main looks while it serves.
  for (let k = 0; k < side.length; k++) {
    if (first[k] === 0 || (of === 'changes' && moves.isChange[k] === 0)) continue;
    const term = agreement(side[k]!, first[k]!, upShare[k]!);
    terms[signals] = term;
    places[signals++] = position[k]!;
    firstSum += term;
    if (seen[k] === 0) continue;
    watched++;
    seenSum += agreement(side[k]!, seen[k]!, upShare[k]!);
  }
  const firstExcess = signals === 0 ? 0 : firstSum / signals;
  const seenExcess = watched === 0 ? 0 : seenSum / watched;
  const figures = { of, signals, firstShare: 0.5 + firstExcess, seenShare: 0.5 + seenExcess };
  if (signals < LOOK_AHEAD_SIGNALS_MIN) return { ...figures, t: null, isSuspected: false };
  const span = {
    position: places.subarray(0, signals),
    start: 0,
    end: barCount,
    dependenceBars: Math.max(barCount / signals, 1),
  };
  const residuals = terms.subarray(0, signals);
  for (let k = 0; k < signals; k++) residuals[k]! -= firstExcess;
  const blocks = batchMeans(residuals, span);
  if (blocks === null) return { ...figures, t: null, isSuspected: false };
  const standardError = Math.max(blocks.standardError / signals, 0.5 / Math.sqrt(signals));
  const isSuspected =
    Math.abs(firstExcess) > SHARE_ALLOWED + SURE_ERRORS * standardError && Math.abs(firstExcess) > Math.abs(seenExcess);
  return { ...figures, t: firstExcess / standardError, isSuspected };
}

/** Whether side and move agree, less how often this side would agree with any bar. */
function agreement(side: number, move: number, upShare: number): number {
  return (side === move ? 1 : 0) - (side > 0 ? upShare : 1 - upShare);
}

/** The figures as a sentence without its full stop. */
export function describeLookAhead({ of, signals, firstShare, seenShare, t }: LookAheadFigures): string {
  const whose = of === 'all' ? `${signals} sides` : `${signals} changes of side`;
  const evidence = t === null ? 'too few to judge' : `block t ${t.toFixed(1)}`;
  return (
    `the sides know the bar that their outcomes begin with: ${percent(firstShare)} of ${whose} have its sign (${evidence}), ` +
    `${percent(seenShare)} that of the bar they were decided on`
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
