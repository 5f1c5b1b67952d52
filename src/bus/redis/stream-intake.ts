import type { Clock } from '../../clock.js';
import { OrchestratorError } from '../../errors.js';
import type { EnrichedSignalEvent } from '../../market/events.js';
import type { Decoded, Dialect } from '../dialect.js';
import { applyInput, type BusCounts, reapplyInput, signalIdOf } from '../intake.js';
import { type BusInput, type BusTarget, enrichedMessageOf, type Submission } from '../message-bus.js';
import { deadLetterFields } from './dead-letter.js';
import type { EntryId } from './entry-id.js';
import type { InFlightEntry, ReplyCommand } from './in-flight.js';
import type { PartitionKeys } from './partition-keys.js';
import type { RedisArgument, RedisSettings } from './redis-client.js';
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
        return this.reject(entry.id, decoded.error, decoded.signalId);
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
    if (frame !== null) return this.parts.dialect.decode(frame);
    const error = new OrchestratorError('INVALID_MESSAGE', 'an entry has a field payload', { field: 'payload' });
    return { kind: 'invalid', error, signalId: null, place: null };
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
        return this.reject(id, applied.error, signalIdOf(input));
      default:
        return this.await(id, signalIdOf(named)!, applied.submission);
    }
  }

  /** Without an id of its own a signal has that of its entry, which is the same whoever reads it. */
  private named(id: EntryId, input: BusInput): BusInput {
    if (input.kind === 'bar' || input.event.signalId !== undefined) return input;
    return { kind: 'signal', event: { ...input.event, signalId: `${this.parts.settings.partition}-${id}` } };
  }

  private await(id: EntryId, signalId: string, { asOf, answer }: Submission): Taken {
    const { progress, onReply } = this.parts;
    const entry: InFlightEntry = { id, asOf, reply: null, replyKind: 'enriched', wasSent: false };
    progress.inFlight.add(entry);
    const answered = (enriched: EnrichedSignalEvent): void => {
      entry.reply = this.answerReply(id, signalId, enriched);
      onReply(entry);
    };
    // Stopped, or never to be recorded: without a reply it stays pending, for whoever comes next.
    answer.then(answered, () => undefined);
    return 'in-flight';
  }

  private reject(id: EntryId, error: OrchestratorError, signalId: string | null): Taken {
    const reply = this.rejectionReply(id, error, signalId);
    const entry: InFlightEntry = { id, asOf: null, reply, replyKind: 'rejected', wasSent: false };
    this.parts.progress.inFlight.add(entry);
    this.parts.onReply(entry);
    return 'in-flight';
  }

  private answerReply(id: EntryId, signalId: string, answer: EnrichedSignalEvent): ReplyCommand {
    const { dialect, clock } = this.parts;
    const fields = frameFields(dialect.encodeEnriched(enrichedMessageOf(answer), clock.epochNs()));
    return this.replyOf('enriched', id, signalId, fields);
  }

  private rejectionReply(id: EntryId, error: OrchestratorError, signalId: string | null): ReplyCommand {
    return this.replyOf('rejected', id, signalId, deadLetterFields(id, error, signalId));
  }

  private replyOf(
    kind: InFlightEntry['replyKind'],
    id: EntryId,
    signalId: string | null,
    fields: readonly RedisArgument[],
  ): ReplyCommand {
    const { settings, keys } = this.parts;
    const { group, seenSeconds, outputKeep } = settings;
    const output = kind === 'enriched' ? keys.output : keys.dead;
    const seen = signalId === null ? [] : [keys.seen(signalId)];
    return (scripts, token) =>
      scripts.of(
        kind === 'enriched' ? ANSWER : DEAD_LETTER,
        [keys.lease, keys.input, output, ...seen],
        [token, group, id, seenSeconds, outputKeep, ...fields],
      );
  }
}
