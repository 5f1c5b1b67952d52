import { createHash } from 'node:crypto';
import type { Clock } from '../../clock.js';
import type { OrchestratorError } from '../../errors.js';
import type { EnrichedSignalEvent } from '../../market/events.js';
import type { Dialect } from '../dialect.js';
import { rejected } from '../intake.js';
import { enrichedMessageOf } from '../message-bus.js';
import type { SignalClaim } from '../signal-claim.js';
import { deadLetterFields } from './dead-letter.js';
import { type EntryId, entryMs } from './entry-id.js';
import type { InFlightEntry, ReplyCommand } from './in-flight.js';
import type { PartitionKeys } from './partition-keys.js';
import type { RedisSettings } from './redis-client.js';
import { ANSWER, ANSWER_WITHOUT_BAR, DEAD_LETTER } from './scripts.js';
import { frameFields } from './stream-entries.js';

export interface StreamReplyParts {
  readonly settings: RedisSettings;
  readonly keys: PartitionKeys;
  readonly dialect: Dialect;
  readonly clock: Clock;
  /**
   * How long a signal waits for the bar that is due, by the times of the entries; 0: not at all.
   */
  readonly awaitBarMs: number;
}

/** Makes the commands that write the replies to entries. */
export class StreamReplies {
  constructor(private readonly parts: StreamReplyParts) {}

  answer(entry: InFlightEntry, claim: SignalClaim, answer: EnrichedSignalEvent): ReplyCommand {
    const { settings, keys, dialect, clock, awaitBarMs } = this.parts;
    const { group, seenSeconds, outputKeep } = settings;
    const fields = frameFields(dialect.encodeEnriched(enrichedMessageOf(answer), clock.epochNs()));
    const own = [keys.lease, keys.input, keys.output, keys.seen(claim.signalId!)];
    const args = [group, entry.id, seenSeconds, outputKeep, digestOf(claim)];
    const { readBefore } = entry;
    if (readBefore === null) return (scripts, token) => scripts.of(ANSWER, own, [token, ...args, ...fields]);
    const windowEnd = entryMs(entry.id) + awaitBarMs;
    return (scripts, token) => scripts.of(ANSWER_WITHOUT_BAR, own, [token, ...args, readBefore, windowEnd, ...fields]);
  }

  /** `of`: what its id means. Without an id nothing is remembered. */
  rejection(
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
}

/**
 * Of what a signal is known by besides its id; of 64 bits, since it tells signals of one id apart
 * and no others.
 */
function digestOf({ contents }: SignalClaim): string {
  return createHash('sha256').update(contents).digest('hex').slice(0, 16);
}
