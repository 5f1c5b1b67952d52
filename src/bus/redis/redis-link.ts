import type { Delay } from '../../state/commit-loop.js';
import type { Backoff } from './backoff.js';
import { RedisConnection, RedisFailure, type RedisSettings } from './redis-client.js';

export interface RedisLinkOptions {
  readonly settings: RedisSettings;
  readonly backoff: Backoff;
  readonly delay: Delay;
  /** Opens the connections that the link is made of, and does on them what makes them of use. May reject with a {@link RedisFailure}. */
  readonly establish: (open: OpenConnection) => Promise<void>;
  readonly onUp: () => void;
  /** Once for every outage, the one that {@link RedisLink.start} may begin with included. */
  readonly onDown: (failure: RedisFailure) => void;
}

/** `name` is what the server lists the connection as. */
export type OpenConnection = (name: string) => Promise<RedisConnection>;

/**
 * Connections that belong together: when one of them breaks, or has not answered a PING for `leaseMs`, even before all are of use, all are closed, and opened again after a pause,
 * until {@link stop}.
 * Their owner is told only of the first failure of an outage and of its end.
 */
export class RedisLink {
  /** Resolves once the first attempt has ended, whichever way. */
  readonly attempted: Promise<void>;
  private endAttempt: () => void = () => undefined;
  private attempt: Attempt | null = null;
  private isStopped = false;
  private isDown = false;
  private running: Promise<void> | null = null;

  constructor(private readonly options: RedisLinkOptions) {
    this.attempted = new Promise((resolve) => {
      this.endAttempt = resolve;
    });
  }

  /** Never fails, and does nothing the second time. */
  start(): void {
    if (!this.isStopped) this.running ??= this.run();
  }

  /** Closes everything; nobody is told of it. Idempotent. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.options.backoff.end();
    this.attempt?.end(null);
    this.endAttempt();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      const failure = await this.live();
      if (failure === null) return;
      if (!this.isDown) this.options.onDown(failure);
      this.isDown = true;
      this.endAttempt();
      await this.options.backoff.wait();
    }
  }

  /** Until it breaks; null after {@link stop}. */
  private async live(): Promise<RedisFailure | null> {
    const attempt = new Attempt(this.options);
    this.attempt = attempt;
    try {
      await Promise.race([this.options.establish((name) => attempt.open(name)), attempt.over]);
      if (!attempt.isOver) this.up();
      return await attempt.over;
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error;
      return this.isStopped ? null : error;
    } finally {
      attempt.end(null);
    }
  }

  private up(): void {
    this.options.backoff.reset();
    this.isDown = false;
    this.options.onUp();
    this.endAttempt();
  }
}

/** Connections from the opening of the first until something goes wrong with any. */
class Attempt {
  /** Resolves with what went wrong, or with null after `end(null)`. */
  readonly over: Promise<RedisFailure | null>;
  isOver = false;
  private tellOver: (failure: RedisFailure | null) => void = () => undefined;
  private readonly opened: RedisConnection[] = [];
  private readonly pulses: Pulse[] = [];

  constructor(private readonly options: Pick<RedisLinkOptions, 'settings' | 'delay'>) {
    this.over = new Promise((resolve) => {
      this.tellOver = resolve;
    });
  }

  /** Rejects, too, once it is over. */
  async open(name: string): Promise<RedisConnection> {
    const opening = RedisConnection.open(this.options.settings, name);
    const over = this.over.then((failure) => {
      throw failure ?? new RedisFailure('STOPPED', 'the link was stopped while it opened a connection');
    });
    return Promise.race([opening.then((connection) => this.watched(connection)), over]);
  }

  /** Closes everything, also what is still being opened. Does nothing the second time. */
  end(failure: RedisFailure | null): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const pulse of this.pulses) pulse.end();
    for (const connection of this.opened) connection.close();
    this.tellOver(failure);
  }

  private watched(connection: RedisConnection): RedisConnection {
    if (this.isOver) {
      connection.close();
      return connection;
    }
    const { settings, delay } = this.options;
    const end = (failure: RedisFailure | null): void => this.end(failure);
    this.opened.push(connection);
    this.pulses.push(new Pulse(connection, settings.leaseMs, delay, end));
    void connection.ended.then(end);
    return connection;
  }
}

/** Notices a connection over which nothing comes any more although it is not closed. */
class Pulse {
  private isEnded = false;
  private takeBack: () => void = () => undefined;

  constructor(
    private readonly connection: RedisConnection,
    private readonly deadlineMs: number,
    private readonly delay: Delay,
    private readonly onSilent: (failure: RedisFailure) => void,
  ) {
    this.rest();
  }

  end(): void {
    this.isEnded = true;
    this.takeBack();
  }

  private rest(): void {
    this.takeBack();
    if (!this.isEnded) this.takeBack = this.delay(this.deadlineMs / 2, () => this.beat());
  }

  private beat(): void {
    const failure = new RedisFailure('SILENT', `nothing came over the connection for ${this.deadlineMs} ms`);
    this.takeBack = this.delay(this.deadlineMs, () => this.onSilent(failure));
    // A refusal is a sign of life too; what breaks the connection is told by its end.
    const rest = (): void => this.rest();
    this.connection.call('PING').then(rest, rest);
  }
}
