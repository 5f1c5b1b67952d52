import { type ErrorCode, OrchestratorError } from '../errors.js';
import type { SignalEvent } from '../market/events.js';
import {
  type BusInput,
  type BusMetrics,
  type BusReply,
  type BusTarget,
  enrichedMessageOf,
  type Rejection,
  type SignalSight,
  type Submission,
} from './message-bus.js';
import { claimOfInput, type SignalClaim } from './signal-claim.js';

/** The target cannot take anything now: nothing was changed, and the same message may be tried again. */
const BUSY: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['OVERLOADED', 'STORE_BEHIND', 'NOT_STARTED']);

/** How long a bus waits before it tries the same message again, in milliseconds. */
export const BUSY_PAUSE_MS = 2;

/** How long the stop of a bus over Redis waits for signals on their way, in milliseconds: their answers may wait for a disk that takes nothing. */
export const DRAIN_MS = 2000;

/** What became of one message. */
export type Applied =
  | { readonly kind: 'bar' }
  /** A historical bar that continues nothing. */
  | { readonly kind: 'passed-over' }
  | { readonly kind: 'signal'; readonly submission: Submission }
  /** Never to be tried again: it goes back to its sender. */
  | { readonly kind: 'refused'; readonly error: OrchestratorError }
  /** To be tried again later, and nothing after it may pass it. */
  | { readonly kind: 'busy'; readonly error: OrchestratorError }
  /** The target will take nothing any more. */
  | { readonly kind: 'stopped'; readonly error: OrchestratorError };

/** Brings one message to the target, at once. Messages are in order when the calls are. What is no {@link OrchestratorError} is a programmer's error, and thrown. */
export function applyInput(target: BusTarget, input: BusInput, sight?: SignalSight): Applied {
  try {
    if (input.kind === 'signal') return { kind: 'signal', submission: target.submit(input.event, sight) };
    return applyBar(target, input);
  } catch (error) {
    return notApplied(error);
  }
}

/** What is historical is never at fault for its time. */
function applyBar(target: BusTarget, { instrumentId, bar, historical }: BusInput & { readonly kind: 'bar' }): Applied {
  if (historical && bar.tsEventNs <= target.newestNs(instrumentId)) return { kind: 'passed-over' };
  target.addBar(instrumentId, bar);
  return { kind: 'bar' };
}

/** Brings what a message leaves behind whose reply is out already: bars, those that came with a signal too. */
export function reapplyInput(target: BusTarget, input: BusInput): Applied | null {
  if (input.kind === 'bar') return applyInput(target, input);
  return input.event.bars === undefined ? null : mergeInput(target, input.event);
}

/** Checks a signal, and brings the bars that come with it and nothing else. */
export function mergeInput(target: BusTarget, event: SignalEvent): Applied {
  try {
    target.mergeBars(event);
    return { kind: 'bar' };
  } catch (error) {
    return notApplied(error);
  }
}

function notApplied(error: unknown): Applied {
  if (!(error instanceof OrchestratorError)) throw error;
  if (error.code === 'STOPPED') return { kind: 'stopped', error };
  return { kind: BUSY.has(error.code) ? 'busy' : 'refused', error };
}

/** What goes out for a signal that was let in: its answer, or the rejection with STOPPED. `payload`: the bytes it came in. */
export async function replyTo(input: BusInput, submission: Submission, payload: Uint8Array | null): Promise<BusReply> {
  try {
    return { kind: 'enriched', answer: enrichedMessageOf(await submission.answer) };
  } catch (error) {
    if (!(error instanceof OrchestratorError)) throw error;
    return rejected(error, claimOfInput(input), payload);
  }
}

/** What goes out for a message that is refused. */
export function rejected(
  error: OrchestratorError,
  claim: SignalClaim | null,
  payload: Uint8Array | null,
): BusReply & { readonly kind: 'rejected' } {
  const rejection: Rejection = {
    code: error.code,
    field: error.field ?? null,
    reason: error.message,
    signalId: claim?.signalId ?? null,
    instrumentId: claim?.instrumentId ?? null,
    payload,
    repeated: false,
  };
  return { kind: 'rejected', rejection };
}

/** The numbers of a bus while it works. Only its owner writes. */
export class BusCounts {
  state: BusMetrics['state'] = 'starting';
  /** Bars that the target has taken. */
  bars = 0;
  /** Signals that the target has let in. */
  signals = 0;
  answered = 0;
  rejected = 0;
  ignored = 0;
  heartbeats = 0;
  historicalIgnored = 0;
  duplicates = 0;
  missing = 0;
  inFlight = 0;

  /** As {@link applyInput} returned it. A message that is refused counts when its reply is out. */
  applied({ kind }: Applied): void {
    if (kind === 'bar') this.bars++;
    if (kind === 'passed-over') this.historicalIgnored++;
    if (kind !== 'signal') return;
    this.signals++;
    this.inFlight++;
  }

  /** The reply is out. */
  replied({ kind }: Pick<BusReply, 'kind'>): void {
    if (kind === 'enriched') this.answered++;
    else this.rejected++;
  }

  /** A copy. */
  get metrics(): BusMetrics {
    return { ...this };
  }
}
