import type { BusCounts } from '../intake.js';
import { compareEntryIds, type EntryId } from './entry-id.js';
import type { InFlightEntry } from './in-flight.js';
import { type RedisCommand, RedisFailure } from './redis-client.js';
import type { ScriptCommands, Verdict } from './scripts.js';
import { textOf } from './stream-entries.js';
import type { StreamProgress } from './stream-progress.js';

export interface ReplyGateParts {
  readonly progress: StreamProgress;
  readonly counts: BusCounts;
  /** What the lease is held under. */
  readonly token: string;
}

/**
 * Sends a session's replies, each when its entry was delivered and none before what earlier
 * sessions left is known, and settles entries by what the server says.
 */
export class ReplyGate {
  private holdsAfter: EntryId | null = null;
  private held: InFlightEntry[] = [];
  private isTakenUp = false;

  constructor(
    private readonly parts: ReplyGateParts,
    private readonly scripts: ScriptCommands,
    private readonly push: (command: RedisCommand, onReply: (reply: unknown) => void) => void,
  ) {}

  /** Replies to entries behind this one wait: the group was not given them yet. */
  hold(after: EntryId): void {
    this.holdsAfter = after;
  }

  /** It was. */
  release(): void {
    this.holdsAfter = null;
    for (const entry of this.held.splice(0)) this.send(entry);
  }

  /**
   * What earlier sessions left is known: replies leave, those that are ready in the order of their
   * entries.
   */
  takenUp(): void {
    this.isTakenUp = true;
    const ready = [...this.parts.progress.inFlight].sort((a, b) => compareEntryIds(a.id, b.id));
    for (const entry of ready) this.send(entry);
  }

  /** Sends the reply of an entry, as soon as that has been delivered. */
  send(entry: InFlightEntry): void {
    const { progress, token } = this.parts;
    if (!this.isTakenUp || entry.reply === null) return;
    // Forgotten meanwhile: another owner has replied to it.
    if (progress.inFlight.get(entry.id) !== entry) return;
    if (this.holdsAfter !== null && compareEntryIds(entry.id, this.holdsAfter) > 0) {
      this.held.push(entry);
      return;
    }
    entry.wasSent = true;
    this.push(entry.reply(this.scripts, token), (reply) => this.settle(entry, textOf(reply) as Verdict));
  }

  private settle(entry: InFlightEntry, verdict: Verdict): void {
    const { progress, counts } = this.parts;
    switch (verdict) {
      case 'NOT_PENDING':
        // What is pending was found out when this session began: somebody else has interfered.
        entry.wasSent = false;
        throw new RedisFailure('RESYNC', 'an entry that was delivered is not pending');
      case 'UNREAD':
        entry.reconsider?.();
        return;
      case 'TRIMMED':
      case 'REUSED':
        this.reject(entry, verdict);
        return;
      default:
        progress.settle(entry.id);
        if (verdict === 'REPEATED' || entry.isRepeated) counts.duplicates++;
        else counts.replied({ kind: entry.replyKind });
    }
  }

  /** The entry is still pending: nothing else can have replied to it. */
  private reject(entry: InFlightEntry, verdict: 'TRIMMED' | 'REUSED'): void {
    entry.wasSent = false;
    entry.replyKind = 'rejected';
    entry.isRepeated = verdict === 'TRIMMED';
    entry.reply = entry.instead(verdict);
    this.send(entry);
  }
}
