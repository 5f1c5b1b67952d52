import type { BusInput } from '../message-bus.js';
import { type EntryId, msOf } from './entry-id.js';
import { ReadPace } from './read-pace.js';
import { type RedisCommand, RedisConnection, RedisFailure } from './redis-client.js';
import { FIELDS_MAX, GATHER } from './scripts.js';
import { arrayOf, frameOf, recordOf, type StreamEntry, streamsOf, textOf } from './stream-entries.js';
import type { StreamSession } from './stream-session.js';
import { inOrder, type OrderedEntry, type ReadStream } from './topic-order.js';
import { TopicStreams } from './topic-streams.js';

/** Entries of one stream that are asked for at once. */
const READ_COUNT = 100;
/** Names and values that are brought at once. */
const FIELDS_AT_ONCE = 20_000;
/** How far everything has been gathered is known no better than this. */
const READ_WAIT_MS = 100;
const SCAN_COUNT = 1000;
const [MS_PER_S, US_PER_MS] = [1000n, 1000n] as const;
/** Within a millisecond bars come first, those of the past before all. */
const [HISTORICAL_RANK, BAR_RANK, OTHER_RANK] = [0, 1, 2] as const;

/**
 * Brings the streams of single topics, as NautilusTrader writes them, into the one input stream of
 * the partition, where they have an order: that of the milliseconds in which one server wrote them,
 * within one of which bars come first; their ids keep it, so that a window between two of them is
 * the same whenever they are brought. Each entry is brought once, however often this is
 * interrupted: how far each stream has been gathered changes in the script that writes the entries.
 */
export class TopicGatherer {
  private readonly pace = new ReadPace(READ_COUNT);
  private doneMs = 0;

  private constructor(
    private readonly session: StreamSession,
    private readonly connection: RedisConnection,
    private readonly streams: TopicStreams,
  ) {}

  /** Rejects with a {@link RedisFailure}. */
  static async open(session: StreamSession): Promise<TopicGatherer> {
    const { settings, keys, consumer, clock, intake } = session.parts;
    const connection = await RedisConnection.open(settings, `${consumer}:topics`, READ_WAIT_MS + settings.leaseMs);
    try {
      const places = recordOf(await connection.call('HGETALL', keys.gathered));
      const gathered = new Map([...places].map(([name, place]) => [name, textOf(place)]));
      const { signalTopics } = intake;
      const streams = new TopicStreams({ configured: settings.topicStreams, signalTopics, clock }, gathered);
      return new TopicGatherer(session, connection, streams);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** What was written before this millisecond of the server's clock is in the input. */
  get gatheredMs(): number {
    return this.doneMs;
  }

  /** Gathers until it is closed. Rejects with a {@link RedisFailure}, also when the server owes a reply for `leaseMs`, or FENCED. */
  async run(): Promise<void> {
    try {
      while (!this.connection.isClosed) {
        if (this.streams.dueMs <= 0) await this.discover();
        if ((await this.gather()) === 'nothing') await this.entries();
      }
    } catch (error) {
      if (!this.connection.isClosed) throw error;
    }
  }

  close(): void {
    this.connection.close();
  }

  private async discover(): Promise<void> {
    const names: string[] = [];
    for (const pattern of this.streams.patterns) names.push(...(await this.scan(pattern)));
    this.streams.found(names);
  }

  private async scan(pattern: string): Promise<string[]> {
    const names: string[] = [];
    let cursor = '0';
    do {
      const reply = await this.connection.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT, 'TYPE', 'stream');
      const [next, page] = arrayOf(reply);
      names.push(...arrayOf(page).map(textOf));
      cursor = textOf(next);
    } while (cursor !== '0');
    return names;
  }

  /**
   * Waits for entries, which it does not read: those that wake the server's client are of one
   * stream, whatever another has of the same instant.
   */
  private async entries(): Promise<void> {
    const waitMs = Math.min(READ_WAIT_MS, Math.max(1, Math.ceil(this.streams.dueMs)));
    if (this.streams.places.size > 0) await this.connection.call(...this.reading('COUNT', 1, 'BLOCK', waitMs));
    // Not without a command: only that tells of a broken connection.
    else await this.session.parts.delay(waitMs).then(() => this.connection.call('PING'));
  }

  private async gather(): Promise<'some' | 'nothing'> {
    if (this.streams.places.size === 0) return 'nothing';
    const { count } = this.pace;
    // The clock first: whatever is of an earlier millisecond is there when the streams are read.
    const [time, reply] = await this.connection.batch([['TIME'], this.reading('COUNT', count)]);
    for (const one of [time, reply]) if (one instanceof RedisFailure) throw one;
    const found = streamsOf(reply);
    const nowMs = msOfTime(time);
    if (found.size === 0) {
      this.done(nowMs);
      return 'nothing';
    }
    this.pace.took([...found.values()].flat());
    const { read, isNews } = this.ranked(found, count);
    if (isNews) {
      await this.discover();
      return 'some';
    }
    const ordered = upToSize(inOrder(read, nowMs));
    // All of it is of the millisecond that is not over.
    if (ordered.length === 0) await this.session.parts.delay(1);
    else {
      await this.bring(ordered);
      this.done(msOf(ordered.at(-1)!.entry.id));
    }
    return 'some';
  }

  private done(beforeMs: string): void {
    this.doneMs = Math.max(this.doneMs, Number(beforeMs));
  }

  private reading(...how: readonly (string | number)[]): RedisCommand {
    const { places } = this.streams;
    return ['XREAD', ...how, 'STREAMS', ...places.keys(), ...places.values()];
  }

  private ranked(
    found: ReadonlyMap<string, readonly StreamEntry[]>,
    count: number,
  ): { read: ReadStream[]; isNews: boolean } {
    let isNews = false;
    const read = [...found].map(([stream, entries]) => ({
      stream,
      mayHaveMore: entries.length === count,
      entries: entries.map((entry) => {
        const frame = frameOf(entry);
        const decoded = frame === null ? null : this.session.parts.intake.decodeFrame(frame);
        const input = decoded?.kind === 'input' ? decoded.input : null;
        const instrumentId = input?.kind === 'signal' ? input.event.instrumentId : null;
        isNews = this.streams.isNews(stream, instrumentId) || isNews;
        return { entry, rank: rankOf(input) };
      }),
    }));
    return { read, isNews };
  }

  private async bring(read: readonly OrderedEntry[]): Promise<void> {
    const { places } = this.streams;
    const after = new Map<string, EntryId>(read.map(({ stream, entry }) => [stream, entry.id]));
    const moves = [...after].flatMap(([stream, id]) => [stream, places.get(stream)!, id]);
    const entries = read.flatMap(({ entry }) => {
      const fields = entry.fields.slice(0, FIELDS_MAX);
      return [msOf(entry.id), fields.length, ...fields];
    });
    const { keys } = this.session.parts;
    const verdict = await this.session.run(GATHER, [keys.input, keys.gathered], [after.size, ...moves, ...entries]);
    if (textOf(verdict) !== 'DONE') throw new RedisFailure('RESYNC', 'another process gathers the same streams');
    for (const [stream, id] of after) places.set(stream, id);
  }
}

function rankOf(input: BusInput | null): number {
  if (input?.kind !== 'bar') return OTHER_RANK;
  return input.historical ? HISTORICAL_RANK : BAR_RANK;
}

/** The first of them, as many as one command takes. */
function upToSize(read: readonly OrderedEntry[]): readonly OrderedEntry[] {
  let size = 0;
  const end = read.findIndex(({ entry }) => {
    size += entry.fields.length;
    return size > FIELDS_AT_ONCE;
  });
  return end < 0 ? read : read.slice(0, Math.max(1, end));
}

/** What TIME replies, seconds and microseconds, in whole milliseconds. */
function msOfTime(reply: unknown): string {
  const [seconds, us] = arrayOf(reply).map((part) => BigInt(textOf(part)));
  return String(seconds! * MS_PER_S + us! / US_PER_MS);
}
