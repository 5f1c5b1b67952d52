import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import type { OrchestratorConfig } from '../../config.js';
import { invariant } from '../../invariant.js';

export type RedisSettings = OrchestratorConfig['redis'];
export type RedisArgument = string | number | Buffer;
export type RedisCommand = readonly [name: string, ...args: RedisArgument[]];

/** What went wrong at the other side, without anything that was sent to it. `code`: the first word of a server's refusal (`OOM`, `READONLY`), or the system's name for a broken connection. */
export class RedisFailure extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'RedisFailure';
  }
}

/** No reply and no connection for so long is a failure. */
const CONNECT_MS = 5000;
/** What was written has so long to leave after {@link RedisConnection.close}. */
const DISCONNECT_MS = 200;

/**
 * One connection, or one to every node of a cluster, that is never mended: once it is broken every command rejects with a {@link RedisFailure}, {@link ended} resolves, and its owner
 * opens another. So nobody wonders which of the commands before a reconnection were carried out.
 */
export class RedisConnection {
  /** Resolves with what broke it, or with null after {@link close}. */
  readonly ended: Promise<RedisFailure | null>;
  private failure: RedisFailure | null = null;
  private closed = false;

  private constructor(private readonly client: Redis | Cluster) {
    client.on('error', (error: Error) => {
      this.failure ??= failureOf(error);
    });
    this.ended = new Promise((resolve) => {
      client.once('end', () => resolve(this.closed ? null : (this.failure ?? lost())));
    });
  }

  /** Rejects with a {@link RedisFailure}. `name` is what the server lists it as; `commandMs`, how long a command may take, if anybody is to wait for it no longer. */
  static async open(settings: RedisSettings, name: string, commandMs?: number): Promise<RedisConnection> {
    const connection = new RedisConnection(createClient(settings, name, commandMs));
    // The client's own limit ends with the TCP connection: a server that accepts it and says nothing more would be waited for without end.
    const limit = new AbortController();
    const late = pause(CONNECT_MS, undefined, { signal: limit.signal }).then(() => {
      throw new RedisFailure('ETIMEDOUT', `the server said nothing for ${CONNECT_MS} ms`);
    });
    late.catch(() => undefined);
    try {
      await Promise.race([connection.client.connect(), late]);
      return connection;
    } catch (error) {
      connection.close();
      // The promise only tells that it is closed; the event before told why.
      throw connection.failure ?? failureOf(error);
    } finally {
      limit.abort();
    }
  }

  /** One command; bulk replies come as buffers. Rejects with a {@link RedisFailure}. */
  async call(...[name, ...args]: RedisCommand): Promise<unknown> {
    try {
      return await this.client.callBuffer(name, ...args);
    } catch (error) {
      throw this.failed(error);
    }
  }

  /** Commands in one write. Never rejects: a command that is refused, or has no reply when the connection breaks, has its {@link RedisFailure} in the place of the reply. */
  async batch(commands: readonly RedisCommand[]): Promise<unknown[]> {
    // A pipeline around it would take longer than the command itself.
    if (commands.length === 1) return [await this.call(...commands[0]!).catch((failure: RedisFailure) => failure)];
    const pipeline = this.client.pipeline();
    for (const command of commands) pipeline.callBuffer(...command);
    const replies = await pipeline
      .exec()
      .catch((error: Error) => commands.map((): [Error, undefined] => [error, undefined]));
    invariant(replies !== null, 'a pipeline that is no transaction has replies');
    return replies.map(([error, reply]) => (error === null ? reply : this.failed(error)));
  }

  async subscribe(channels: readonly string[], onMessage: (channel: string, payload: Buffer) => void): Promise<void> {
    this.client.on('messageBuffer', (channel: Buffer, payload: Buffer) => onMessage(channel.toString(), payload));
    try {
      await this.client.subscribe(...channels);
    } catch (error) {
      throw this.failed(error);
    }
  }

  /** Whether {@link close} was called. */
  get isClosed(): boolean {
    return this.closed;
  }

  close(): void {
    this.closed = true;
    // Of one that has ended the client would wait for the end, and keep the process alive.
    if (this.client.status !== 'end') this.client.disconnect();
  }

  /** What a command failed of: the server's refusal of it, or what broke the connection. */
  private failed(error: unknown): RedisFailure {
    const failure = failureOf(error);
    return error instanceof Error && error.name === 'ReplyError' ? failure : (this.failure ?? failure);
  }
}

/** Whether there is one to connect to. */
export function hasServer({ url, cluster }: RedisSettings): boolean {
  return url !== null || cluster.length > 0;
}

/** The server without credentials, for people. */
export function describeServer(settings: RedisSettings): string {
  const urls = settings.url === null ? settings.cluster : [settings.url];
  return urls.map(describeUrl).join(',');
}

function describeUrl(text: string): string {
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
}

function createClient(settings: RedisSettings, connectionName: string, commandTimeout?: number): Redis | Cluster {
  const { url, cluster, options } = settings;
  const node = {
    connectTimeout: CONNECT_MS,
    disconnectTimeout: DISCONNECT_MS,
    // Needs a permission that nothing else here needs, and prints when it is missing; a server that still loads refuses commands.
    enableReadyCheck: false,
    // Copies: the configuration is frozen, and the client writes into what it is given.
    ...options,
    ...(typeof options.tls === 'object' && { tls: { ...options.tls } }),
    // Replies name streams as they are on the server.
    keyPrefix: '',
    connectionName,
    ...(commandTimeout !== undefined && { commandTimeout }),
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Replies in the shapes that Redis 7 documents for it, whatever the client makes of newer ones.
    protocol: 2 as const,
  };
  const never = (): null => null;
  if (url !== null) {
    return new Redis(url, { ...node, lazyConnect: true, enableOfflineQueue: false, retryStrategy: never });
  }
  return new Cluster([...cluster], {
    lazyConnect: true,
    clusterRetryStrategy: never,
    // A command that were tried again would come after those that were sent behind it.
    ...{ maxRedirections: 0, retryDelayOnFailover: 0, retryDelayOnClusterDown: 0, retryDelayOnTryAgain: 0 },
    // Nodes that the first one names get its credentials.
    redisOptions: { ...credentialsOf(cluster[0]!), ...node },
  });
}

function credentialsOf(url: string): { username?: string; password?: string; tls?: object } {
  const { protocol, username, password } = new URL(url);
  return {
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' && { tls: {} }),
  };
}

function lost(): RedisFailure {
  return new RedisFailure('CONNECTION_LOST', 'the connection was closed');
}

/** Errors of the client carry the command with all its arguments, passwords included: only code and text leave this file. */
function failureOf(error: unknown): RedisFailure {
  if (error instanceof RedisFailure) return error;
  if (!(error instanceof Error)) return new RedisFailure('UNKNOWN', 'an unknown failure');
  const { code } = error as NodeJS.ErrnoException;
  const [word = ''] = error.message.split(' ', 1);
  if (error.name === 'ReplyError' && /^[A-Z]+$/.test(word)) {
    // To a command that it does not know the server answers with its arguments.
    return new RedisFailure(word, error.message.replace(/,? with args beginning with:.*$/s, ''));
  }
  return new RedisFailure(code ?? 'CONNECTION_LOST', error.message);
}
