import { OrchestratorError } from '../../errors.js';
import type { EnrichedSignalEvent, SignalEvent } from '../../market/events.js';
import type { BusStatus } from '../bus-status.js';
import type { Decoded, Frame } from '../dialect.js';
import type { Heartbeats } from '../heartbeats.js';
import { type Applied, applyInput, type BusCounts, mergeInput, reapplyInput } from '../intake.js';
import type { BusInput, BusTarget } from '../message-bus.js';
import { claimOfInput, type SignalClaim } from '../signal-claim.js';
import { type EntryId, entryMs } from './entry-id.js';
import type { DecidedSignal, InFlightEntry, ReplyCommand } from './in-flight.js';
import { frameOf, type StreamEntry } from './stream-entries.js';
import type { StreamProgress } from './stream-progress.js';
import { StreamReplies, type StreamReplyParts } from './stream-replies.js';
import { type SeenBar, type WaitingSignal, WaitingSignals } from './waiting-signals.js';

/** What became of an entry: it needs no reply, or gets one, or has to be brought again before anything else. */
export type Taken = 'settled' | 'in-flight' | 'busy';

export interface StreamIntakeParts extends StreamReplyParts {
  readonly target: BusTarget;
  readonly progress: StreamProgress;
  readonly counts: BusCounts;
  readonly status: BusStatus;
  readonly heartbeats: Heartbeats;
  /** The entry has its reply, which may go out. */
  readonly onReply: (entry: InFlightEntry) => void;
}

/**
 * Brings entries of the input stream to the target, and makes the replies to them. Every call is
 * over before the next; only answers come later. A signal whose bar is due waits before it is let
 * in, and behind it the later ones of its instrument.
 */
export class StreamIntake {
  private readonly waiting: WaitingSignals;
  private readonly replies: StreamReplies;

  constructor(private readonly parts: StreamIntakeParts) {
    this.waiting = new WaitingSignals(parts.progress.inFlight, parts.awaitBarMs);
    this.replies = new StreamReplies(parts);
  }

  /**
   * The first millisecond, on the server's clock, at which a signal that waits can wait no longer,
   * 0 where one waits for room alone; null when none waits.
   */
  get waitsUntilMs(): number | null {
    return this.waiting.untilMs;
  }

  /**
   * Nothing that is read from now on was written before this millisecond of the server's clock:
   * what waits for a bar until then waits no longer. Throws STOPPED.
   */
  timePassed(nowMs: number): Exclude<Taken, 'in-flight'> {
    this.waiting.timePassed(nowMs, this.parts.progress.position, this.seenBy);
    return this.release();
  }

  /** What is read now was written in this millisecond. */
  private reached(ms: number): Exclude<Taken, 'in-flight'> {
    this.waiting.timePassed(ms, null, this.seenBy);
    return this.release();
  }

  /** What a frame says, without anything being done. */
  decodeFrame(frame: Frame): Decoded {
    return this.parts.dialect.decode(frame);
  }

  get signalTopics(): readonly string[] {
    return this.parts.dialect.signalTopics;
  }

  /** Takes in an entry that has no reply yet; again, if it had been before. Throws STOPPED. */
  take(entry: StreamEntry): Taken {
    if (this.reached(entryMs(entry.id)) === 'busy') return 'busy';
    const decoded = this.decode(entry);
    const { counts } = this.parts;
    switch (decoded.kind) {
      case 'heartbeat':
        counts.heartbeats++;
        this.parts.heartbeats.heard(entryMs(entry.id), this.parts.clock.monotonicNs());
        return 'settled';
      case 'ignored':
        this.parts.status.ignored(decoded.what);
        return 'settled';
      case 'invalid':
        return this.reject(entry.id, decoded.error, decoded.claim);
      default:
        return this.bring(entry.id, decoded.input);
    }
  }

  /** Takes in what an entry that has its reply already left behind: bars. What was refused then is refused again, and nobody is told twice. Throws STOPPED. */
  retake(entry: StreamEntry): Exclude<Taken, 'in-flight'> {
    if (this.reached(entryMs(entry.id)) === 'busy') return 'busy';
    const decoded = this.decode(entry);
    const applied = decoded.kind === 'input' ? reapplyInput(this.parts.target, decoded.input) : null;
    if (applied?.kind === 'stopped') throw applied.error;
    if (applied?.kind === 'bar' && decoded.kind === 'input') return this.barStored(instrumentOf(decoded.input));
    return applied?.kind === 'busy' ? 'busy' : 'settled';
  }

  private decode(entry: StreamEntry): Decoded {
    const frame = frameOf(entry);
    if (frame !== null) return this.decodeFrame(frame);
    const error = new OrchestratorError('INVALID_MESSAGE', 'an entry has a field payload', { field: 'payload' });
    return { kind: 'invalid', error, claim: null, place: null };
  }

  private bring(id: EntryId, input: BusInput): Taken {
    const named = this.named(id, input);
    if (named.kind === 'signal') return this.bringSignal(id, named);
    const applied = applyInput(this.parts.target, named);
    this.parts.counts.applied(applied);
    return applied.kind === 'bar' ? this.barStored(named.instrumentId) : this.notTaken(id, named, applied);
  }

  private bringSignal(id: EntryId, input: SignalInput): Taken {
    const { target, progress } = this.parts;
    const { event } = input;
    if (event.bars !== undefined || this.waiting.has(event.instrumentId)) {
      // What it brings may be what another one waits for; and before it queues, it is told whether
      // it is refused.
      const merged = mergeInput(target, event);
      if (merged.kind !== 'bar') return this.notTaken(id, input, merged);
      if (this.barStored(event.instrumentId) === 'busy') return 'busy';
    }
    const known = progress.known(id) ?? this.dueOf(event);
    if (this.waiting.has(event.instrumentId)) {
      return this.queue(id, input, known ?? { asOf: target.asOf(event), isBarMissing: false, readBefore: null });
    }
    return known !== undefined && 'dueNs' in known ? this.queue(id, input, known) : this.letIn(id, input, known, null);
  }

  /** The bar it has to wait for; undefined for none. */
  private dueOf(event: SignalEvent): { readonly dueNs: bigint } | undefined {
    if (this.parts.awaitBarMs === 0 || event.signal === 0) return undefined;
    const dueNs = this.parts.target.dueNs(event);
    return dueNs === null ? undefined : { dueNs };
  }

  private queue(id: EntryId, input: SignalInput, known: DecidedSignal | { readonly dueNs: bigint }): Taken {
    const entry: InFlightEntry = { ...this.entryOf(id, null, claimOfInput(input)), ...known, isWaiting: true };
    this.parts.progress.inFlight.add(entry);
    this.waiting.add({ id, event: input.event, entry });
    return 'in-flight';
  }

  /** The instrument may have a newer bar: whoever waited for it is let in. */
  private barStored(instrumentId: string): Exclude<Taken, 'in-flight'> {
    if (!this.waiting.has(instrumentId)) return 'settled';
    this.waiting.barStored(instrumentId, this.parts.target.newestNs(instrumentId), this.seenBy);
    return this.release();
  }

  private release(): Exclude<Taken, 'in-flight'> {
    return this.waiting.release(this.letInWaiting) ? 'settled' : 'busy';
  }

  private readonly letInWaiting = ({ id, event, entry }: WaitingSignal): boolean => {
    const { asOf, isBarMissing, readBefore } = entry;
    return this.letIn(id, { kind: 'signal', event }, { asOf: asOf!, isBarMissing, readBefore }, entry) !== 'busy';
  };

  private readonly seenBy = (event: SignalEvent): SeenBar => {
    const { target } = this.parts;
    return { asOf: target.asOf(event), asOfNs: target.asOfNs(event) };
  };

  /** `entry`: of a signal that waited. */
  private letIn(id: EntryId, input: SignalInput, sight: DecidedSignal | undefined, entry: InFlightEntry | null): Taken {
    const applied = applyInput(this.parts.target, input, sight);
    this.parts.counts.applied(applied);
    if (applied.kind !== 'signal') return this.notTaken(id, input, applied);
    const { asOf, answer } = applied.submission;
    const claim = claimOfInput(input)!;
    const admitted = entry ?? this.entryOf(id, asOf, claim);
    admitted.asOf = asOf;
    admitted.isBarMissing = sight?.isBarMissing ?? false;
    admitted.isWaiting = false;
    admitted.readBefore = sight?.readBefore ?? null;
    if (admitted.isBarMissing) admitted.reconsider = () => this.reconsider(admitted, input.event);
    this.await(admitted, claim, answer);
    return 'in-flight';
  }

  /**
   * The server has an entry within the window that was not read: its clock was set back. What was
   * recorded stays as it is, and is not learned from.
   */
  private reconsider(entry: InFlightEntry, event: SignalEvent): void {
    const { target, progress } = this.parts;
    const asOf = target.asOf(event);
    entry.dueNs = target.dueNs(event);
    // Where nothing is due any more, either it came, or a later one did and the signal sees what it
    // saw.
    entry.isBarMissing = entry.dueNs === null && asOf === entry.asOf;
    entry.asOf = entry.dueNs === null ? asOf : null;
    entry.readBefore = null;
    entry.isWaiting = true;
    entry.reply = null;
    entry.reconsider = null;
    entry.wasSent = false;
    this.waiting.add({ id: entry.id, event, entry });
    this.release();
    progress.inFlight.wake();
  }

  private entryOf(id: EntryId, asOf: number | null, claim: SignalClaim | null): InFlightEntry {
    // Field by field: to spread others costs as much as to read the message.
    return {
      id,
      asOf,
      dueNs: null,
      isBarMissing: false,
      readBefore: null,
      isWaiting: false,
      reply: null,
      replyKind: 'enriched',
      isRepeated: false,
      wasSent: false,
      reconsider: null,
      instead: (verdict) => this.instead(id, claim!, verdict),
    };
  }

  private instead(id: EntryId, claim: SignalClaim, verdict: 'TRIMMED' | 'REUSED'): ReplyCommand {
    const error = verdict === 'TRIMMED' ? alreadyAnswered() : idReused();
    this.parts.status.refused(error);
    return this.replies.rejection(id, error, claim, verdict === 'TRIMMED' ? 'trimmed' : 'reused');
  }

  private notTaken(id: EntryId, input: BusInput, applied: Applied): Taken {
    switch (applied.kind) {
      case 'passed-over':
        return 'settled';
      case 'refused':
        return this.reject(id, applied.error, claimOfInput(input));
      case 'stopped':
        throw applied.error;
      default:
        return 'busy';
    }
  }

  /** Without an id of its own a signal has that of its entry, which is the same whoever reads it. */
  private named(id: EntryId, input: BusInput): BusInput {
    if (input.kind === 'bar' || input.event.signalId !== undefined) return input;
    return { kind: 'signal', event: { ...input.event, signalId: `${this.parts.settings.partition}-${id}` } };
  }

  private await(entry: InFlightEntry, claim: SignalClaim, answer: Promise<EnrichedSignalEvent>): void {
    const { progress, onReply } = this.parts;
    progress.inFlight.add(entry);
    const answered = (enriched: EnrichedSignalEvent): void => {
      entry.reply = this.replies.answer(entry, claim, enriched);
      onReply(entry);
    };
    // Stopped, or never to be recorded: without a reply it stays pending, for whoever comes next.
    answer.then(answered, () => undefined);
  }

  private reject(id: EntryId, error: OrchestratorError, claim: SignalClaim | null): Taken {
    this.parts.status.refused(error);
    const entry = this.entryOf(id, null, claim);
    entry.reply = this.replies.rejection(id, error, claim);
    entry.replyKind = 'rejected';
    this.parts.progress.inFlight.add(entry);
    this.parts.onReply(entry);
    return 'in-flight';
  }
}

type SignalInput = BusInput & { readonly kind: 'signal' };

function instrumentOf(input: BusInput): string {
  return input.kind === 'bar' ? input.instrumentId : input.event.instrumentId;
}

function alreadyAnswered(): OrchestratorError {
  return new OrchestratorError('ALREADY_ANSWERED', 'the signal had its reply, which is no longer kept', {
    field: 'signalId',
  });
}

function idReused(): OrchestratorError {
  return new OrchestratorError('SIGNAL_ID_REUSED', 'another signal had this id: other instrument, side or time', {
    field: 'signalId',
  });
}
