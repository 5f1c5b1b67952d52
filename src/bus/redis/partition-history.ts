import { OrchestratorError } from '../../errors.js';
import { STREAM_START } from './entry-id.js';
import { partitionKeys } from './partition-keys.js';
import { RedisConnection, type RedisSettings } from './redis-client.js';
import { unavailable } from './stream-client.js';
import { entriesOf, type StreamEntry } from './stream-entries.js';

/** Entries asked for at once. */
const PAGE = 1000;
/** A server that says nothing for so long is away. */
const COMMAND_MS = 10_000;

/**
 * Every entry of a partition's input that is there now, oldest first, a page at a time. Only reads:
 * no lease, no group, and nothing in Redis changes, so it may run beside whoever serves. Rejects
 * with BUS_UNAVAILABLE, NO_ROWS for a stream without entries, and USAGE where messages are not
 * kept.
 */
export async function* partitionHistory(settings: RedisSettings): AsyncGenerator<readonly StreamEntry[]> {
  if (settings.mode !== 'streams') {
    throw new OrchestratorError('USAGE', 'pub/sub keeps no messages to train on', { field: 'redis.mode' });
  }
  const { input } = partitionKeys(settings);
  let connection: RedisConnection | null = null;
  try {
    connection = await RedisConnection.open(settings, 'ml4t-history', COMMAND_MS);
    // What comes while it is read is not waited for: a strategy may send without end.
    const [newest] = entriesOf(await connection.call('XREVRANGE', input, '+', '-', 'COUNT', 1));
    if (newest === undefined) {
      const message = `partition ${settings.partition} holds no messages: the stream ${input} is empty`;
      throw new OrchestratorError('NO_ROWS', message, { field: 'redis.partition' });
    }
    let after = STREAM_START;
    while (after !== newest.id) {
      const page = entriesOf(await connection.call('XRANGE', input, `(${after}`, newest.id, 'COUNT', PAGE));
      // Somebody may have trimmed the rest away meanwhile.
      if (page.length === 0) return;
      yield page;
      after = page.at(-1)!.id;
    }
  } catch (error) {
    throw unavailable(error);
  } finally {
    connection?.close();
  }
}
