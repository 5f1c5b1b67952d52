import { createHash } from 'node:crypto';
import type { Clock } from '../../clock.js';
import { OrchestratorError } from '../../errors.js';
import type { EnrichedSignalEvent } from '../../market/events.js';
import type { Decoded, Dialect, Frame } from '../dialect.js';
import { applyInput, type BusCounts, reapplyInput, rejected } from '../intake.js';
import { type BusInput, type BusTarget, enrichedMessageOf, type Submission } from '../message-bus.js';
import { claimOfInput, type SignalClaim } from '../signal-claim.js';
import { deadLetterFields } from './dead-letter.js';
import type { EntryId } from './entry-id.js';
import type { InFlightEntry, ReplyCommand } from './in-flight.js';
import type { PartitionKeys } from './partition-keys.js';
import type { RedisSettings } from './redis-client.js';
import { ANSWER, DEAD_LETTER } from './scripts.js';
import { frameFields, frameOf, type StreamEntry } from './stream-entries.js';
import type { StreamProgress } from './stream-progress.js';

/** What became of an entry: it needs no reply, or gets one, or has to be brought again before anything else. */
export type Taken = 'settled' | 'in-flight' | 'busy';

export interface StreamIntakeParts {
  readonly settings: RedisSettings;
  readonly keys: PartitionKeys;
  readonly dialect: Dialect;
  readonly target: BusTarget;
  readonly progress: StreamProgress;
  readonly counts: BusCounts;
  readonly clock: Clock;
  /** The entry has its reply, which may go out. */
  readonly onReply: (entry: InFlightEntry) => void;
}

/** Brings entries of the input stream to the target, and makes the replies to them. Every call is over before the next; only answers come later. */
export class StreamIntake {
  constructor(private readonly parts: StreamIntakeParts) {}

  /** What a frame says, without anything being done. */
  decodeFrame(frame: Frame): Decoded {
    return this.parts.dialect.decode(frame);
  }

  get signalTopics(): readonly string[] {
    return this.parts.dialect.signalTopics;
  }

  /** Takes in an entry that has no reply yet; again, if it had been before. Throws STOPPED. */
  take(entry: StreamEntry): Taken {
    const decoded = this.decode(entry);
    const { counts } = this.parts;
    switch (decoded.kind) {
      case 'heartbeat':
        counts.heartbeats++;
        return 'settled';
      case 'ignored':
        counts.ignored++;
        return 'settled';
      case 'invalid':
        return this.reject(entry.id, decoded.error, decoded.claim);
      default:
        return this.bring(entry.id, decoded.input);
    }
  }

  /** Takes in what an entry that has its reply already left behind: bars. What was refused then is refused again, and nobody is told twice. Throws STOPPED. */
  retake(entry: StreamEntry): Exclude<Taken, 'in-flight'> {
    const decoded = this.decode(entry);
    const applied = decoded.kind === 'input' ? reapplyInput(this.parts.target, decoded.input) : null;
    if (applied?.kind === 'stopped') throw applied.error;
    return applied?.kind === 'busy' ? 'busy' : 'settled';
  }

  private decode(entry: StreamEntry): Decoded {
    const frame = frameOf(entry);
    if (frame !== null) return this.decodeFrame(frame);
    const error = new OrchestratorError('INVALID_MESSAGE', 'an entry has a field payload', { field: 'payload' });
    return { kind: 'invalid', error, claim: null, place: null };
  }

  private bring(id: EntryId, input: BusInput): Taken {
    const { target, progress, counts } = this.parts;
    const named = this.named(id, input);
    const applied = applyInput(target, named, progress.asOf(id));
    counts.applied(applied);
    switch (applied.kind) {
      case 'bar':
        return 'settled';
      case 'busy':
        return 'busy';
      case 'stopped':
        throw applied.error;
      case 'refused':
        return this.reject(id, applied.error, claimOfInput(input));
      default:
        return this.await(id, claimOfInput(named)!, applied.submission);
    }
  }

  /** Without an id of its own a signal has that of its entry, which is the same whoever reads it. */
  private named(id: EntryId, input: BusInput): BusInput {
    if (input.kind === 'bar' || input.event.signalId !== undefined) return input;
    return { kind: 'signal', event: { ...input.event, signalId: `${this.parts.settings.partition}-${id}` } };
  }

  private await(id: EntryId, claim: SignalClaim, { asOf, answer }: Submission): Taken {
    const entry = this.letIn(id, asOf, claim);
    const answered = (enriched: EnrichedSignalEvent): void => {
      entry.reply = this.answerReply(id, claim, enriched);
      this.parts.onReply(entry);
    };
    // Stopped, or never to be recorded: without a reply it stays pending, for whoever comes next.
    answer.then(answered, () => undefined);
    return 'in-flight';
  }

  private reject(id: EntryId, error: OrchestratorError, claim: SignalClaim | null): Taken {
    const entry = this.letIn(id, null, claim);
    entry.reply = this.rejectionReply(id, error, claim);
    entry.replyKind = 'rejected';
    this.parts.onReply(entry);
    return 'in-flight';
  }

  private letIn(id: EntryId, asOf: number | null, claim: SignalClaim | null): InFlightEntry {
    const entry: InFlightEntry = {
      ...{ id, asOf, reply: null, replyKind: 'enriched', isRepeated: false, wasSent: false },
      instead: (verdict) => this.insteadReply(id, claim!, verdict),
    };
    this.parts.progress.inFlight.add(entry);
    return entry;
  }

  private answerReply(id: EntryId, claim: SignalClaim, answer: EnrichedSignalEvent): ReplyCommand {
    const { settings, keys, dialect, clock } = this.parts;
    const { group, seenSeconds, outputKeep } = settings;
    const fields = frameFields(dialect.encodeEnriched(enrichedMessageOf(answer), clock.epochNs()));
    const digest = digestOf(claim);
    const own = [keys.lease, keys.input, keys.output, keys.seen(claim.signalId!)];
    return (scripts, token) => scripts.of(ANSWER, own, [token, group, id, seenSeconds, outputKeep, digest, ...fields]);
  }

  /** `of`: what its id means. Without an id nothing is remembered. */
  private rejectionReply(
    id: EntryId,
    error: OrchestratorError,
    claim: SignalClaim | null,
    of: 'signal' | 'reused' | 'trimmed' = 'signal',
  ): ReplyCommand {
    const { settings, keys, dialect, clock } = this.parts;
    const { group, seenSeconds, outputKeep } = settings;
    const rejection = { ...rejected(error, claim, null).rejection, repeated: of === 'trimmed' };
    const letter = deadLetterFields(id, rejection);
    const nowNs = clock.epochNs();
    // What is no signal has no producer that waits for its reply.
    const frame = claim && frameFields(dialect.encodeRejected(rejection, claim.timestamp ?? nowNs, nowNs));
    const isRemembered = claim !== null && claim.signalId !== null && of !== 'trimmed';
    const seen = isRemembered ? [keys.seen(claim.signalId)] : [];
    const own = [keys.lease, keys.input, keys.output, keys.dead, ...seen];
    const digest = isRemembered ? digestOf(claim) : '';
    const args = [group, id, seenSeconds, outputKeep, digest, of, letter.length, ...letter, ...(frame ?? [])];
    return (scripts, token) => scripts.of(DEAD_LETTER, own, [token, ...args]);
  }

  private insteadReply(id: EntryId, claim: SignalClaim, verdict: 'TRIMMED' | 'REUSED'): ReplyCommand {
    const error = verdict === 'TRIMMED' ? alreadyAnswered() : idReused();
    return this.rejectionReply(id, error, claim, verdict === 'TRIMMED' ? 'trimmed' : 'reused');
  }
}

/** Of what a signal is known by besides its id; of 64 bits, since it tells signals of one id apart and no others. */
function digestOf({ contents }: SignalClaim): string {
  return createHash('sha256').update(contents).digest('hex').slice(0, 16);
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
