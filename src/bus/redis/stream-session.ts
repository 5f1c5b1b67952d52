import type { Clock } from '../../clock.js';
import { BUSY_PAUSE_MS, type BusCounts } from '../intake.js';
import { type EntryId, STREAM_START } from './entry-id.js';
import type { InputTrimmer } from './input-trimmer.js';
import { Outbox } from './outbox.js';
import type { PartitionKeys } from './partition-keys.js';
import {
  type RedisArgument,
  type RedisCommand,
  RedisConnection,
  RedisFailure,
  type RedisSettings,
} from './redis-client.js';
import { ReplyGate } from './reply-gate.js';
import { ACQUIRE, checkLease, DELIVER, RELEASE, RENEW, type Script, ScriptCommands, TRIM } from './scripts.js';
import { Silence } from './silence.js';
import { arrayOf, type StreamEntry, streamsOf, textOf } from './stream-entries.js';
import type { StreamIntake, Taken } from './stream-intake.js';
import type { StreamProgress } from './stream-progress.js';

/** How long the server waits for new entries before it says that there are none. */
const READ_WAIT_MS = 1000;
/** Renewals within the time of a lease. */
const RENEWALS = 3;

/** Entries are missing; `missing` null where nobody can count them. */
export type OnGap = (missing: number | null, reason: string) => void;

export interface StreamSessionParts {
  readonly settings: RedisSettings;
  readonly keys: PartitionKeys;
  readonly intake: StreamIntake;
  readonly progress: StreamProgress;
  readonly counts: BusCounts;
  readonly trimmer: InputTrimmer;
  readonly onGap: OnGap;
  /** Nothing waits to be read. */
  readonly onCaughtUp: () => void;
  readonly clock: Clock;
  /** Names this process to the group and to people. */
  readonly consumer: string;
  /** What the lease is held under: begins with the consumer's name, and is another one for every session. */
  readonly token: string;
  readonly delay: (ms: number) => Promise<void>;
}

/**
 * Two connections, from their opening until the first thing goes wrong with either. What changes the stream's state goes through one of them, in order and under the lease; the other
 * only reads, which anybody may. So an owner that was paused, or a command that was held up on the way, can neither take an entry nor answer one once another process owns the partition.
 */
export class StreamSession {
  private readonly scripts = new ScriptCommands();
  private readonly outbox: Outbox;
  readonly replies: ReplyGate;
  private delivering = 0;
  private readonly silence: Silence;
  private readonly pulse: NodeJS.Timeout;
  private isOwner = false;
  private failure: unknown = null;
  private hasStoppedReading = false;
  private isOver = false;

  private constructor(
    readonly parts: StreamSessionParts,
    private readonly commands: RedisConnection,
    private readonly reader: RedisConnection,
  ) {
    this.outbox = new Outbox(commands);
    this.replies = new ReplyGate(parts, this.scripts, (command, onReply) => this.push(command, onReply));
    const { clock, settings } = parts;
    this.silence = new Silence({ clock, longestMs: settings.leaseMs, readWaitMs: READ_WAIT_MS });
    this.pulse = setInterval(() => this.beat(), settings.leaseMs / RENEWALS);
    void commands.ended.then((error) => this.fail(error ?? closed()));
    void reader.ended.then((error) => {
      if (this.isReading) this.fail(error ?? closed());
    });
  }

  /** Rejects with a {@link RedisFailure}. */
  static async open(parts: StreamSessionParts): Promise<StreamSession> {
    const commands = await RedisConnection.open(parts.settings, `${parts.consumer}:commands`);
    try {
      return new StreamSession(parts, commands, await RedisConnection.open(parts.settings, `${parts.consumer}:reader`));
    } catch (error) {
      commands.close();
      throw error;
    }
  }

  /** Takes the lease; null once it is ours, else the milliseconds another process holds it for. */
  async acquire(): Promise<number | null> {
    const { settings, consumer, clock } = this.parts;
    const askedNs = clock.monotonicNs();
    const reply = await this.run(ACQUIRE, [], [consumer, settings.leaseMs]);
    this.silence.heard(askedNs);
    if (typeof reply === 'number') return reply < 0 ? settings.leaseMs : reply;
    this.isOwner = true;
    return null;
  }

  /** Whether new entries are wanted. */
  get isReading(): boolean {
    return !this.hasStoppedReading && !this.isOver;
  }

  /** Milliseconds since the epoch, on the server's clock. Rejects with what ended the session. */
  async serverMs(): Promise<number> {
    try {
      const [seconds, microseconds] = arrayOf(await this.ask('TIME')).map(textOf);
      return 1000 * Number(seconds) + Math.floor(Number(microseconds) / 1000);
    } catch (error) {
      if (!this.isReading) return 0;
      throw error;
    }
  }

  /**
   * New entries, at most so many; none when nothing came for a while, at most `waitMs`, or {@link
   * isReading} has ended. Rejects with what ended the session.
   */
  async read(count: number, waitMs: number | null): Promise<StreamEntry[]> {
    const { keys, progress } = this.parts;
    const from = ['STREAMS', keys.input, progress.position];
    const wait = Math.min(waitMs ?? READ_WAIT_MS, READ_WAIT_MS);
    const block = wait > 0 ? ['BLOCK', wait] : [];
    try {
      const reply = await this.ask('XREAD', 'COUNT', count, ...block, ...from);
      // A reply may still arrive over a connection that is being closed.
      if (!this.isReading) return [];
      const entries = streamsOf(reply).get(keys.input) ?? [];
      if (entries.length === 0) this.parts.onCaughtUp();
      return entries;
    } catch (error) {
      if (!this.isReading) return [];
      throw error;
    }
  }

  /** Throws what ended the session, if it has ended. */
  checkFailure(): void {
    if (this.failure !== null) throw this.failure;
  }

  /** What the server does when its memory is full; null where it may not be asked. */
  async evictionPolicy(): Promise<string | null> {
    const info = await this.commands.call('INFO', 'memory').catch(() => '');
    return /maxmemory_policy:(\S+)/.exec(String(info))?.[1] ?? null;
  }

  /** A command that any process may give. Rejects with what ended the session. */
  async ask(...command: RedisCommand): Promise<unknown> {
    return this.guarded(() => this.reader.call(...command));
  }

  /** As {@link ask}, many at once. */
  async askAll(commands: readonly RedisCommand[]): Promise<unknown[]> {
    return this.guarded(async () => {
      const replies = await this.reader.batch(commands);
      for (const reply of replies) if (reply instanceof RedisFailure) throw reply;
      return replies;
    });
  }

  /** A script under the lease; `keys` behind that of the lease. Rejects with FENCED or a {@link RedisFailure}. */
  async run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    const { keys: own, token } = this.parts;
    const command = this.scripts.of(script, [own.lease, ...keys], [token, ...args]);
    return checkLease(await this.commands.call(...command));
  }

  /** Has the group's next entries, which end with `last`, delivered to this consumer; of those, `settled` need no reply. With `first`, the first of them, a gap behind the entry `before` is noticed. */
  deliver(count: number, last: EntryId, settled: readonly EntryId[], first?: EntryId, before = STREAM_START): void {
    const { keys, settings, consumer, token, progress } = this.parts;
    const args = [token, settings.group, consumer, count, ...settled];
    this.delivering++;
    this.push(this.scripts.of(DELIVER, [keys.lease, keys.input], args), (reply) => {
      this.delivering--;
      progress.inFlight.wake();
      const [given, oldest] = arrayOf(reply).map(textOf);
      // Entries were removed before they were read here, or another one delivers: what is pending has to be found out anew.
      if (count > 0 && given !== last) {
        throw new RedisFailure('RESYNC', 'the group was given other entries than were read');
      }
      if (first !== undefined && first === oldest && before !== STREAM_START) {
        this.parts.onGap(null, `entries between ${before} and ${first} may have been removed before they were read`);
      }
    });
  }

  /** Deliveries that the server has not confirmed. */
  get deliveringCount(): number {
    return this.delivering;
  }

  /** Takes at once if the target has room, else tries until it has; null if the session ends before. */
  whenFree(take: () => Taken): Taken | Promise<Taken | null> {
    const taken = take();
    return taken === 'busy' ? this.retry(take) : taken;
  }

  private async retry(take: () => Taken): Promise<Taken | null> {
    let taken: Taken = 'busy';
    while (taken === 'busy') {
      await this.parts.delay(BUSY_PAUSE_MS);
      if (!this.isReading) return null;
      taken = take();
    }
    return taken;
  }

  /** Resolves when everything that was sent has its reply. Throws what ended the session. */
  async flushed(): Promise<void> {
    await this.outbox.flushed();
    this.checkFailure();
  }

  /** Takes nothing more; replies still leave. */
  stopReading(): void {
    this.hasStoppedReading = true;
    this.parts.progress.inFlight.wake();
    this.reader.close();
  }

  /** Gives the lease back, if it is held, and ends the session. */
  async close(): Promise<void> {
    this.stopReading();
    if (!this.isOver && this.isOwner) {
      await this.outbox.flushed();
      // Whoever waits for it can wait until it lapses.
      await this.run(RELEASE, [], []).catch(() => undefined);
    }
    this.fail(closed());
  }

  /** What is read is waited for only so long, and a refusal, which would only come again, ends the session. */
  private async guarded<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await this.silence.during(read);
    } catch (error) {
      if (this.isReading) this.fail(error);
      throw this.failure ?? error;
    }
  }

  /** So many entries lie behind. */
  passed(count: number): void {
    const { trimmer, progress } = this.parts;
    trimmer.taken(count, progress.position, (before) => this.trim(before));
  }

  private trim(before: EntryId): void {
    const { keys, token } = this.parts;
    this.push(this.scripts.of(TRIM, [keys.lease, keys.input], [token, before]), () => undefined);
  }

  private beat(): void {
    const { settings, clock, token, keys } = this.parts;
    // Replies that came while this thread was busy have their turn before it is decided that there are none.
    if (this.silence.isTooLong) setImmediate(() => this.silence.isTooLong && this.fail(silent()));
    if (!this.isOwner) return;
    const askedNs = clock.monotonicNs();
    this.push(this.scripts.of(RENEW, [keys.lease], [token, settings.leaseMs]), () => {
      this.silence.heard(askedNs);
    });
  }

  private push(command: RedisCommand, onReply: (reply: unknown) => void): void {
    if (this.isOver) return;
    this.outbox.push(command, (reply) => {
      try {
        if (reply instanceof RedisFailure) throw reply;
        onReply(checkLease(reply));
      } catch (error) {
        this.fail(error);
      }
    });
  }

  private fail(error: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.failure = error;
    clearInterval(this.pulse);
    this.parts.progress.inFlight.wake();
    this.commands.close();
    this.reader.close();
  }
}

function closed(): RedisFailure {
  return new RedisFailure('CLOSED', 'the session was closed');
}

function silent(): RedisFailure {
  return new RedisFailure('ETIMEDOUT', 'nothing was heard of the server for as long as a lease lasts');
}
