import { type Clock, NS_PER_MS } from '../../clock.js';
import { compareEntryIds, type EntryId, STREAM_START } from './entry-id.js';
import { ReadPace } from './read-pace.js';
import { RedisConnection, RedisFailure } from './redis-client.js';
import { FIELDS_MAX, GATHER } from './scripts.js';
import { arrayOf, recordOf, type StreamEntry, streamsOf, textOf } from './stream-entries.js';
import type { StreamSession } from './stream-session.js';

/** Entries of one stream that are asked for at once. */
const READ_COUNT = 100;
/** Names and values that are brought at once. */
const FIELDS_AT_ONCE = 20_000;
const READ_WAIT_MS = 1000;
/** How often streams of new topics are looked for. */
const DISCOVERY_MS = 5000;
const SCAN_COUNT = 1000;
/** Of every partition's keys. */
const OWN_PREFIX = 'ml4t:{';
const GLOB = /[*?[]/;

/**
 * Brings the streams of single topics, as NautilusTrader writes them, into the one input stream of the partition, where they have an order: that of their entry ids, which are times of
 * one server. Each entry is brought once, however often this is interrupted: how far each stream has been gathered changes in the script that writes the entries.
 */
export class TopicGatherer {
  private readonly places = new Map<string, EntryId>();
  private readonly pace = new ReadPace(READ_COUNT);
  private discoveredNs = Number.NEGATIVE_INFINITY;

  private constructor(
    private readonly session: StreamSession,
    private readonly connection: RedisConnection,
    private readonly clock: Clock,
  ) {}

  /** Rejects with a {@link RedisFailure}. */
  static async open(session: StreamSession): Promise<TopicGatherer> {
    const { settings, consumer, clock } = session.parts;
    const connection = await RedisConnection.open(settings, `${consumer}:topics`, READ_WAIT_MS + settings.leaseMs);
    return new TopicGatherer(session, connection, clock);
  }

  /** Gathers until it is closed. Rejects with a {@link RedisFailure}, also when the server owes a reply for `leaseMs`, or FENCED. */
  async run(): Promise<void> {
    const { delay } = this.session.parts;
    try {
      while (!this.connection.isClosed) {
        await this.discover();
        if (this.places.size > 0) await this.gather();
        // Not without a command: only that tells of a broken connection.
        else await delay(READ_WAIT_MS).then(() => this.connection.call('PING'));
      }
    } catch (error) {
      if (!this.connection.isClosed) throw error;
    }
  }

  close(): void {
    this.connection.close();
  }

  /** Streams that match what is configured, each from where it was left, a new one from its start. */
  private async discover(): Promise<void> {
    const nowNs = this.clock.monotonicNs();
    if (nowNs - this.discoveredNs < DISCOVERY_MS * NS_PER_MS) return;
    const { settings, keys } = this.session.parts;
    const gathered = recordOf(await this.connection.call('HGETALL', keys.gathered));
    const found = new Set(settings.topicStreams.filter((name) => !GLOB.test(name)));
    for (const pattern of settings.topicStreams.filter((name) => GLOB.test(name))) {
      for (const name of await this.scan(pattern)) found.add(name);
    }
    for (const name of found) {
      // What this system writes must not come back.
      if (name.startsWith(OWN_PREFIX)) continue;
      const place = gathered.get(name);
      if (!this.places.has(name)) this.places.set(name, place === undefined ? STREAM_START : textOf(place));
    }
    this.discoveredNs = nowNs;
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

  private async gather(): Promise<void> {
    const streams = ['STREAMS', ...this.places.keys(), ...this.places.values()];
    const { count } = this.pace;
    const found = streamsOf(await this.connection.call('XREAD', 'COUNT', count, 'BLOCK', READ_WAIT_MS, ...streams));
    this.pace.took([...found.values()].flat());
    const read = upToSize(inOrder(found, count));
    if (read.length === 0) return;
    const after = new Map(read.map(({ stream, entry }) => [stream, entry.id]));
    const places = [...after].flatMap(([stream, id]) => [stream, this.places.get(stream)!, id]);
    const entries = read.flatMap(({ entry }) => {
      const fields = entry.fields.slice(0, FIELDS_MAX);
      return [fields.length, ...fields];
    });
    const { keys } = this.session.parts;
    const verdict = await this.session.run(GATHER, [keys.input, keys.gathered], [after.size, ...places, ...entries]);
    if (textOf(verdict) !== 'DONE') throw new RedisFailure('RESYNC', 'another process gathers the same streams');
    for (const [stream, id] of after) this.places.set(stream, id);
  }
}

interface ReadEntry {
  readonly stream: string;
  readonly entry: StreamEntry;
}

/** All entries in the order of their ids, up to the last of a stream that may have more. */
function inOrder(streams: ReadonlyMap<string, readonly StreamEntry[]>, count: number): ReadEntry[] {
  const whole = [...streams].flatMap(([stream, entries]) => entries.map((entry) => ({ stream, entry })));
  const cuts = [...streams.values()].filter(({ length }) => length === count).map((entries) => entries.at(-1)!.id);
  const cut = cuts.sort(compareEntryIds)[0];
  return whole
    .filter(({ entry }) => cut === undefined || compareEntryIds(entry.id, cut) <= 0)
    .sort((a, b) => compareEntryIds(a.entry.id, b.entry.id));
}

/** The first of them, as many as one command takes. */
function upToSize(read: readonly ReadEntry[]): readonly ReadEntry[] {
  let size = 0;
  const end = read.findIndex(({ entry }) => {
    size += entry.fields.length;
    return size > FIELDS_AT_ONCE;
  });
  return end < 0 ? read : read.slice(0, Math.max(1, end));
}
