import { OrchestratorError } from '../errors.js';
import { judgeReturn, OUTCOMES, type Outcome, type TripleBarrier } from '../labeling/barrier.js';
import type { BarrierFollower } from '../labeling/barrier-follower.js';
import type { OutcomeEvent } from '../market/events.js';
import type { FollowedSignal } from './followed-signal.js';

/** How a signal truly ended, told by whoever traded it. */
export interface SuppliedOutcome {
  readonly outcome: Outcome;
  /** s(exit/E − 1) at the prices that were paid, before cost. */
  readonly grossReturn: number;
}

type Told = Pick<FollowedSignal<unknown>, 'signalId' | 'instrumentId'>;

const NOT_EXITED = { ambiguous: false, exitSequence: -1, exitNs: 0n } as const;

/** What the barriers found; `exitNs` is the close of the bar the position left at. */
export function barrierOutcome(signal: Told, follower: BarrierFollower, exitNs: bigint): OutcomeEvent {
  const { grossReturn, netReturn, grossR, metaLabel } = follower.judge();
  return {
    signalId: signal.signalId,
    instrumentId: signal.instrumentId,
    outcome: follower.outcome!,
    source: 'barriers',
    metaLabel,
    grossReturn,
    netReturn,
    grossR,
    ambiguous: follower.ambiguous,
    exitSequence: follower.bar,
    exitNs,
  };
}

/** An end without a label. */
export function unlabelledOutcome(signal: Told, outcome: 'censored' | 'expired'): OutcomeEvent {
  return {
    signalId: signal.signalId,
    instrumentId: signal.instrumentId,
    outcome,
    source: 'barriers',
    metaLabel: null,
    grossReturn: null,
    netReturn: null,
    grossR: null,
    ...NOT_EXITED,
  };
}

/** What the user says, judged by the rule that judges the barriers' returns. `unitReturn` is NaN where it is not known. */
export function suppliedOutcome(
  signal: Told,
  supplied: SuppliedOutcome,
  unitReturn: number,
  barrier: TripleBarrier,
): OutcomeEvent {
  const { grossReturn, netReturn, grossR, metaLabel } = judgeReturn(supplied.grossReturn, unitReturn, barrier);
  return {
    signalId: signal.signalId,
    instrumentId: signal.instrumentId,
    outcome: supplied.outcome,
    source: 'user',
    metaLabel,
    grossReturn,
    netReturn,
    grossR: Number.isNaN(unitReturn) ? null : grossR,
    ...NOT_EXITED,
  };
}

/** The outcome with its R, where that was not known when the outcome was told and is now. */
export function withUnitKnown(outcome: OutcomeEvent, unitReturn: number): OutcomeEvent {
  if (outcome.grossReturn === null || outcome.grossR !== null || Number.isNaN(unitReturn)) return outcome;
  return { ...outcome, grossR: outcome.grossReturn / unitReturn };
}

/** A copy of what the user supplied about a position on `side`. Throws INVALID_OUTCOME with the field. */
export function readSuppliedOutcome(supplied: SuppliedOutcome, side: -1 | 1): SuppliedOutcome {
  const refuse = (field: string, rule: string): never => {
    throw new OrchestratorError('INVALID_OUTCOME', `${field} must be ${rule}`, { field });
  };
  if (typeof supplied !== 'object' || supplied === null) refuse('outcome', 'an object with outcome and grossReturn');
  const { outcome, grossReturn } = supplied;
  if (!OUTCOMES.includes(outcome)) refuse('outcome', `one of ${OUTCOMES.join(', ')}`);
  if (!Number.isFinite(grossReturn)) refuse('grossReturn', 'a finite number');
  // 1 + s·r is exit over entry, and no price is negative: what breaks this was a percentage, or another side's.
  if (side * grossReturn < -1) refuse('grossReturn', `a return of side ${side} between prices that are not negative`);
  return { outcome, grossReturn };
}
