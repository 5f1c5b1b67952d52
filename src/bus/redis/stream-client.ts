import { setImmediate as turnEnds } from 'node:timers/promises';
import { OrchestratorError } from '../../errors.js';
import { createLogger, type Logger } from '../../log.js';
import type { Dialect } from '../dialect.js';
import type { BusClient, BusInput, BusReply } from '../message-bus.js';
import { Backoff } from './backoff.js';
import { hasRejection, rejectionOf } from './dead-letter.js';
import { type EntryId, STREAM_START } from './entry-id.js';
import { type PartitionKeys, partitionKeys } from './partition-keys.js';
import { type RedisArgument, RedisConnection, RedisFailure, type RedisSettings } from './redis-client.js';
import { ADD, ScriptCommands } from './scripts.js';
import { entriesOf, frameFields, frameOf, type StreamEntry, streamsOf } from './stream-entries.js';

/** How long the server waits for replies before it says that there are none. */
const READ_WAIT_MS = 1000;
/** Replies of one stream that are read at once. */
const READ_COUNT = 500;
/** A server that says nothing for so long is away. */
const COMMAND_MS = READ_WAIT_MS + 5000;
/** One command has so many arguments; of a turn with more the messages go in several. */
const ARGS_TOGETHER = 10_000;
/** Refusals that only come again. Others pass, as LOADING does. */
const LASTING = new Set(['NOAUTH', 'NOPERM', 'WRONGPASS', 'WRONGTYPE']);

/** The connection that messages leave over, with what the server knows of scripts. */
interface Sender {
  readonly connection: RedisConnection;
  readonly scripts: ScriptCommands;
}

/** Messages that are sent in one turn of the event loop. */
interface Turn {
  readonly args: RedisArgument[];
  readonly added: Promise<void>;
}

/** A strategy's end of a partition. What it has sent is in the stream; replies are read from the streams, so a connection that breaks loses none. */
export class StreamClient implements BusClient {
  /** Rejects with what ended a listener: BUS_UNAVAILABLE where the server refuses, or what was thrown while a reply was heard. A server that is away ends none. */
  readonly failed: Promise<never>;
  private fail: (reason: unknown) => void = () => undefined;
  private readonly keys: PartitionKeys;
  private readonly ending = new AbortController();
  private sender: Promise<Sender> | null = null;
  private turn: Turn | null = null;
  private readonly listeners: Promise<void>[] = [];

  constructor(
    private readonly settings: RedisSettings,
    private readonly dialect: Dialect,
    private readonly logger: Logger = createLogger(),
  ) {
    this.keys = partitionKeys(settings);
    this.failed = new Promise((_resolve, reject) => {
      this.fail = reject;
    });
    this.failed.catch(() => undefined);
  }

  /** Messages that are sent in one turn reach the stream together, in their order, all or none as far as one command goes: a server that is short of memory lets no later one pass an earlier. After {@link close} none is sent. */
  async send(input: BusInput): Promise<void> {
    if (this.ending.signal.aborted) throw unavailable(closed());
    const fields = frameFields(this.dialect.encodeInput(input));
    if (this.turn === null || this.turn.args.length > ARGS_TOGETHER) this.turn = this.openTurn();
    this.turn.args.push(fields.length, ...fields);
    await this.turn.added;
  }

  private openTurn(): Turn {
    const args: RedisArgument[] = [];
    const added = turnEnds().then(() => {
      if (this.turn?.args === args) this.turn = null;
      return this.add(args);
    });
    return { args, added };
  }

  private async add(args: readonly RedisArgument[]): Promise<void> {
    this.sender ??= openSender(this.settings);
    const { sender } = this;
    try {
      const { connection, scripts } = await sender;
      await connection.call(...scripts.of(ADD, [this.keys.input], args));
    } catch (error) {
      // Of many turns on their way the first that fails ends the connection.
      if (this.sender === sender) {
        this.sender = null;
        sender.then(({ connection }) => connection.close()).catch(() => undefined);
      }
      throw unavailable(error);
    }
  }

  /** `from`: replies after this entry of each stream, from the first on by {@link STREAM_START}; by default those from now on. Rejects with BUS_UNAVAILABLE, once the client is closed too. */
  async listen(onReply: (reply: BusReply) => void, from?: EntryId): Promise<void> {
    let connection: RedisConnection | null = null;
    try {
      connection = await this.openListener();
      const places = new Map<string, EntryId>();
      for (const stream of [this.keys.output, this.keys.dead]) {
        places.set(stream, from ?? (await newestOf(connection, stream)));
      }
      const following = this.follow(connection, places, onReply);
      following.catch(this.fail);
      this.listeners.push(following);
    } catch (error) {
      connection?.close();
      throw unavailable(error);
    }
  }

  /** Rejects with what ended a listener. */
  async close(): Promise<void> {
    this.ending.abort();
    await this.turn?.added.catch(() => undefined);
    await this.sender?.then(({ connection }) => connection.close()).catch(() => undefined);
    await Promise.all(this.listeners);
  }

  /** A connection that {@link close} breaks, whatever it waits for. */
  private async openListener(): Promise<RedisConnection> {
    const { signal } = this.ending;
    const connection = await RedisConnection.open(this.settings, 'ml4t:listener', COMMAND_MS);
    const close = (): void => connection.close();
    signal.addEventListener('abort', close);
    void connection.ended.then(() => signal.removeEventListener('abort', close));
    if (!signal.aborted) return connection;
    close();
    throw closed();
  }

  private async follow(
    first: RedisConnection,
    places: Map<string, EntryId>,
    onReply: (reply: BusReply) => void,
  ): Promise<void> {
    let connection: RedisConnection | null = first;
    const backoff = new Backoff();
    this.ending.signal.addEventListener('abort', () => backoff.end());
    try {
      while (!this.ending.signal.aborted) {
        try {
          connection ??= await this.openListener();
          await this.readReplies(connection, places, onReply);
          backoff.reset();
        } catch (error) {
          if (!(error instanceof RedisFailure) || LASTING.has(error.code)) throw unavailable(error);
          connection?.close();
          connection = null;
          await backoff.wait();
        }
      }
    } finally {
      connection?.close();
    }
  }

  private async readReplies(
    connection: RedisConnection,
    places: Map<string, EntryId>,
    onReply: (reply: BusReply) => void,
  ): Promise<void> {
    const streams = ['STREAMS', ...places.keys(), ...places.values()];
    for (const [stream, entries] of streamsOf(
      await connection.call('XREAD', 'COUNT', READ_COUNT, 'BLOCK', READ_WAIT_MS, ...streams),
    )) {
      for (const entry of entries) {
        places.set(stream, entry.id);
        const reply = stream === this.keys.dead ? refusalOf(entry) : this.replyOf(entry);
        if (reply !== null) onReply(reply);
      }
    }
  }

  /** null for what others write there that is no reply. */
  private replyOf(entry: StreamEntry): BusReply | null {
    const frame = frameOf(entry);
    try {
      return frame === null ? null : this.dialect.decodeReply(frame);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      this.logger.warn({ entry: entry.id, code: error.code }, 'an entry that is no reply was passed over');
      return null;
    }
  }
}

/** null for a letter whose rejection comes beside the answers. */
function refusalOf(letter: StreamEntry): BusReply | null {
  return hasRejection(letter) ? null : { kind: 'rejected', rejection: rejectionOf(letter) };
}

async function openSender(settings: RedisSettings): Promise<Sender> {
  const connection = await RedisConnection.open(settings, 'ml4t:client', COMMAND_MS);
  return { connection, scripts: new ScriptCommands() };
}

async function newestOf(connection: RedisConnection, stream: string): Promise<EntryId> {
  const [newest] = entriesOf(await connection.call('XREVRANGE', stream, '+', '-', 'COUNT', 1));
  return newest?.id ?? STREAM_START;
}

function closed(): RedisFailure {
  return new RedisFailure('CLOSED', 'the client was closed');
}

/** BUS_UNAVAILABLE for a {@link RedisFailure}; any other error as it is. */
export function unavailable(error: unknown): unknown {
  if (!(error instanceof RedisFailure)) return error;
  return new OrchestratorError('BUS_UNAVAILABLE', `${error.code}: ${error.message}`, { cause: error });
}
