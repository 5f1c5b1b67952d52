import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { type RedisArgument, RedisConnection, type RedisSettings } from '../../src/bus/redis/redis-client.js';
import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';

export interface RedisServerOptions {
  /** Every write is on disk before it is acknowledged, so that a killed server has lost none. */
  readonly appendonly?: boolean;
  readonly maxmemory?: string;
  readonly requirepass?: string;
  /** Speaks TLS alone, with a certificate of its own authority: `server.ca`. */
  readonly tls?: boolean;
  readonly replicaOf?: RedisServer;
  /** Other lines of redis.conf by name. */
  readonly config?: Readonly<Record<string, string>>;
}

const HOST = '127.0.0.1';
const STARTS_MAX = 5;
const running = new Set<RedisServer>();

/** Whether a real server can be started here, and killed. */
export const HAS_REDIS_SERVER = spawnSync('redis-server', ['--version']).status === 0;
export const HAS_OPENSSL = spawnSync('openssl', ['version']).status === 0;
/** A server that is there already: for tests that do nothing to it. */
export const REDIS_URL = process.env.REDIS_URL ?? null;

/** A redis-server of its own on a free port and in a directory of its own. Gone with this process, however that ends. */
export class RedisServer {
  private readonly directory = mkdtempSync(join(tmpdir(), 'ml4t-redis-'));
  private child: ChildProcess | null = null;
  private log = '';

  private constructor(
    readonly port: number,
    private readonly options: RedisServerOptions,
  ) {}

  /** Resolves when it accepts connections. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new RedisServer(await freePort(), options);
      try {
        if (options.tls === true) createCertificates(server.directory);
        await server.launch();
        return server;
      } catch (error) {
        await server.stop();
        // Somebody else may have taken the port in between.
        if (attempt === STARTS_MAX) throw error;
      }
    }
  }

  /** With the password, if there is one. */
  get url(): string {
    const { tls, requirepass } = this.options;
    const credentials = requirepass === undefined ? '' : `:${requirepass}@`;
    return `${tls === true ? 'rediss' : 'redis'}://${credentials}${HOST}:${this.port}`;
  }

  /** The path of the certificate that vouches for a server with TLS. */
  get ca(): string {
    return join(this.directory, 'ca.crt');
  }

  get processId(): number {
    return this.alive().pid!;
  }

  /** Settings that reach it, credentials and authority included. */
  settings(input: OrchestratorConfigInput['redis'] = {}): RedisSettings {
    const tls = this.options.tls === true ? { tls: { ca: execFileSync('cat', [this.ca], { encoding: 'utf8' }) } } : {};
    return redisSettings({ url: this.url, ...input, options: { ...tls, ...input.options } });
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.child;
    if (child === null) return;
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }

  /** Again, on the same port and in the same directory; what was running is killed before. */
  async restart(): Promise<void> {
    await this.kill();
    await this.launch();
  }

  /** Lives, and says nothing: connections stay, and what is sent waits. */
  pause(): void {
    this.alive().kill('SIGSTOP');
  }

  resume(): void {
    this.alive().kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    running.delete(this);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** One command on a connection of its own; texts come as strings. Rejects with a RedisFailure. */
  async command(name: string, ...args: RedisArgument[]): Promise<unknown> {
    return redisCommand(this.settings(), name, ...args);
  }

  private async launch(): Promise<void> {
    running.add(this);
    this.log = '';
    const child = spawn('redis-server', this.commandLine(), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    const guard = guardOf(child.pid!, this.directory);
    child.once('close', () => {
      this.child = null;
      guard.kill('SIGKILL');
    });
    await new Promise<void>((resolve, reject) => {
      child.once('close', () => reject(new Error(`redis-server ended: ${this.log}`)));
      child.once('error', reject);
      child.stderr.resume();
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        this.log += text;
        if (this.log.includes('Ready to accept connections')) resolve();
      });
    });
  }

  private commandLine(): string[] {
    const { appendonly, maxmemory, requirepass, tls, replicaOf, config } = this.options;
    const inside = (name: string): string => join(this.directory, name);
    const secure = { port: '0', 'tls-port': `${this.port}`, 'tls-auth-clients': 'no', 'tls-ca-cert-file': this.ca };
    const settings: Record<string, string> = {
      bind: HOST,
      dir: this.directory,
      save: '',
      'enable-debug-command': 'yes',
      ...(tls === true
        ? { ...secure, 'tls-cert-file': inside('redis.crt'), 'tls-key-file': inside('redis.key') }
        : { port: `${this.port}` }),
      ...(appendonly === true && { appendonly: 'yes', appendfsync: 'always' }),
      ...(maxmemory !== undefined && { maxmemory }),
      ...(requirepass !== undefined && { requirepass, masterauth: requirepass }),
      ...(replicaOf !== undefined && { replicaof: `${HOST} ${replicaOf.port}`, 'repl-diskless-sync-delay': '0' }),
      ...config,
    };
    return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...wordsOf(name, value)]);
  }

  private alive(): ChildProcess {
    if (this.child === null) throw new Error('the redis-server does not run');
    return this.child;
  }
}

export function redisSettings(input: OrchestratorConfigInput['redis']): RedisSettings {
  return OrchestratorConfig.parse({ redis: input }).redis;
}

/** One command on a connection of its own; texts come as strings. */
export async function redisCommand(settings: RedisSettings, name: string, ...args: RedisArgument[]): Promise<unknown> {
  const connection = await RedisConnection.open(settings, 'test-admin');
  try {
    return asText(await connection.call(name, ...args));
  } finally {
    connection.close();
  }
}

/** A test with a server that it may harm; without one it is skipped aloud. `server` is gone when the test ends. */
export function redisTest(
  title: string,
  run: (server: RedisServer) => Promise<void>,
  options: RedisServerOptions = {},
): void {
  const missing = [
    ...(HAS_REDIS_SERVER ? [] : ['redis-server']),
    ...(options.tls !== true || HAS_OPENSSL ? [] : ['openssl']),
  ];
  if (missing.length > 0) {
    skipped(title, `no ${missing.join(', no ')} in PATH`);
    return;
  }
  test(title, async () => {
    const server = await RedisServer.start(options);
    try {
      await run(server);
    } finally {
      await server.stop();
    }
  });
}

/** Tests of an implementation that need a server and leave it alone: registered once there is one, else skipped aloud. */
export async function withRedis(title: string, register: (settings: RedisSettings) => void): Promise<void> {
  if (HAS_REDIS_SERVER) register((await RedisServer.start()).settings());
  else if (REDIS_URL !== null) register(redisSettings({ url: REDIS_URL }));
  else skipped(title, 'no redis-server in PATH and no REDIS_URL');
}

function skipped(title: string, why: string): void {
  console.log(`skipped: ${title} (${why})`);
  test.skip(title);
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  const closed = once(server, 'close');
  server.close();
  await closed;
  if (address === null || typeof address === 'string') throw new Error('a listening server has a port');
  return address.port;
}

/** Kills the process and clears up once this one is gone: its standard input then ends. */
function guardOf(processId: number, directory: string): ChildProcess {
  const guard = spawn('sh', ['-c', 'read _; kill -9 "$0"; rm -rf "$1"', `${processId}`, directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.stdin.on('error', () => undefined);
  return guard;
}

function createCertificates(directory: string): void {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  };
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = ['-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=test authority'];
  openssl('req', '-x509', ...ec, ...authority);
  openssl('req', ...ec, '-keyout', 'redis.key', '-out', 'redis.csr', '-subj', '/CN=localhost');
  writeFileSync(join(directory, 'names.cnf'), `subjectAltName=IP:${HOST}\n`);
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names.cnf', '-days', '2'];
  openssl('x509', '-req', '-in', 'redis.csr', '-out', 'redis.crt', ...signed);
}

/** Some settings take several words, and only a path or a password may hold a blank. */
function wordsOf(name: string, value: string): string[] {
  return name === 'replicaof' ? value.split(' ') : [value];
}

function asText(reply: unknown): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString();
  return Array.isArray(reply) ? reply.map(asText) : reply;
}

// Servers that a failed test leaves behind would keep the process alive.
test.after(async () => {
  await Promise.all([...running].map((server) => server.stop()));
});
