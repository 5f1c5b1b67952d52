import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { EventEmitter } from 'eventemitter3';
import { type Clock, NS_PER_MS } from '../../clock.js';
import { toErrorRecord } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { BusPosition } from '../../loop/loop-snapshot.js';
import { BusStatus } from '../bus-status.js';
import type { Dialect } from '../dialect.js';
import { Heartbeats } from '../heartbeats.js';
import { BusCounts, DRAIN_MS } from '../intake.js';
import type { BusEvents, BusMetrics, BusTarget, MessageBus } from '../message-bus.js';
import { BACKOFF_DEFAULTS, Backoff, type BackoffOptions } from './backoff.js';
import { InputTrimmer } from './input-trimmer.js';
import { type PartitionKeys, partitionKeys } from './partition-keys.js';
import { readNew } from './read-new.js';
import { describeServer, RedisFailure, type RedisSettings } from './redis-client.js';
import { StreamIntake } from './stream-intake.js';
import { StreamProgress } from './stream-progress.js';
import { StreamSession } from './stream-session.js';
import { takeUp } from './take-up.js';
import { TopicGatherer } from './topic-gatherer.js';

export interface StreamBusParts {
  readonly settings: RedisSettings;
  readonly dialect: Dialect;
  readonly target: BusTarget;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What was recorded with the bars that the target has; null where it has none from a stream. */
  readonly position: BusPosition | null;
  /** How long a signal waits for the bar that is due, in milliseconds; 0: not at all. */
  readonly awaitBarMs: number;
  readonly backoff?: BackoffOptions;
}

/**
 * Redis streams. Every signal gets exactly one reply, whatever dies: bars and signals of a partition share one stream, so their order is that of its entries; an entry is pending until
 * its reply is written, in the same script; a producer may send a signal again, the server remembers its id. One process owns a partition, under a lease that it renews; another takes over
 * when that has lapsed and goes on exactly there. Exact as long as the server keeps what it confirmed; what it loses is reported as a gap, and signals may then get a second reply.
 */
export class StreamBus implements MessageBus {
  private readonly counts = new BusCounts();
  private readonly progress: StreamProgress;
  private readonly intake: StreamIntake;
  private readonly trimmer: InputTrimmer;
  private readonly backoff: Backoff;
  private readonly keys: PartitionKeys;
  private readonly status: BusStatus;
  private readonly heartbeats = new Heartbeats({
    onStopped: (intervalMs) => this.status.heartbeatsStopped(intervalMs),
    onResumed: (silentMs) => this.status.heartbeatsResumed(silentMs),
  });
  private readonly processId = `${hostname()}:${process.pid}:${randomBytes(6).toString('hex')}`;
  private sessions = 0;
  private session: StreamSession | null = null;
  private running: Promise<void> | null = null;
  private isStopping = false;
  private isEvictionTold = false;
  private readonly ending = new AbortController();

  constructor(private readonly parts: StreamBusParts) {
    const { settings, dialect, target, clock, position, backoff } = parts;
    const keys = partitionKeys(settings);
    this.keys = keys;
    this.status = new BusStatus(describeServer(settings), this.counts, parts.logger);
    this.backoff = new Backoff(backoff ?? BACKOFF_DEFAULTS);
    this.progress = new StreamProgress(keys.input, position);
    this.trimmer = new InputTrimmer(
      settings.inputKeep,
      target,
      this.progress.inFlight,
      position?.stream === keys.input ? position : null,
    );
    this.intake = new StreamIntake({
      ...{ settings, keys, dialect, target, clock, status: this.status, heartbeats: this.heartbeats },
      awaitBarMs: parts.awaitBarMs,
      progress: this.progress,
      counts: this.counts,
      // Without a session it goes out when the next one has taken up the partition.
      onReply: (entry) => this.session?.replies.send(entry),
    });
  }

  get events(): EventEmitter<BusEvents> {
    return this.status.events;
  }

  get metrics(): BusMetrics {
    return { ...this.counts.metrics, inFlight: this.progress.inFlight.size };
  }

  /** What must be recorded with the bars that the target has now. */
  get position(): BusPosition {
    return { ...this.progress.toState(), ...this.trimmer.toState() };
  }

  start(): void {
    if (!this.isStopping) this.running ??= this.run();
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    this.ending.abort();
    this.backoff.end();
    this.session?.stopReading();
    await this.running;
    this.status.end();
    this.counts.state = 'stopped';
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      try {
        await this.runSession();
      } catch (error) {
        if (!this.isStopping) this.failed(error);
      }
      if (!this.isStopping) await this.backoff.wait();
    }
  }

  private async runSession(): Promise<void> {
    const { settings, clock } = this.parts;
    const session = await StreamSession.open({
      ...{ settings, clock, intake: this.intake, progress: this.progress, counts: this.counts, trimmer: this.trimmer },
      keys: this.keys,
      onGap: (missing, reason) => this.status.gap(missing, reason),
      onCaughtUp: () => this.heartbeats.check(clock.monotonicNs()),
      consumer: this.processId,
      token: `${this.processId}:${++this.sessions}`,
      delay: (ms) => this.pause(ms),
    });
    this.session = session;
    try {
      if (!(await this.acquire(session))) return;
      await takeUp(session);
      this.checkEviction(await session.evictionPolicy());
      this.status.up();
      this.heartbeats.restart(this.parts.clock.monotonicNs());
      await this.serve(session);
      await this.drain(session);
    } finally {
      this.session = null;
      await session.close();
    }
  }

  private async serve(session: StreamSession): Promise<void> {
    const { clock, settings } = this.parts;
    const upNs = clock.monotonicNs();
    const gatherer = settings.topicStreams.length === 0 ? null : await TopicGatherer.open(session);
    try {
      const serving = readNew(session, () => gatherer?.gatheredMs ?? Number.POSITIVE_INFINITY).finally(() =>
        gatherer?.close(),
      );
      await (gatherer === null ? serving : Promise.all([serving, gatherer.run()]));
    } finally {
      gatherer?.close();
      // One that breaks right away each time is tried again ever later.
      if (clock.monotonicNs() - upNs > settings.leaseMs * NS_PER_MS) this.backoff.reset();
    }
  }

  /** Waits while another process owns the partition. False when the bus is stopped before. */
  private async acquire(session: StreamSession): Promise<boolean> {
    for (;;) {
      if (this.isStopping) return false;
      const lapsesMs = await session.acquire();
      if (lapsesMs === null) return true;
      this.status.standBy(`another process owns partition ${this.parts.settings.partition}`);
      await this.pause(Math.min(lapsesMs + 1, this.parts.settings.leaseMs / 3));
    }
  }

  /** Signals that were let in get their answers out. */
  private async drain(session: StreamSession): Promise<void> {
    const { inFlight } = this.progress;
    // What waits for a bar stays pending, for whoever comes next.
    const isDrained = (): boolean => inFlight.size === inFlight.waitingCount;
    const over = new AbortController();
    const late = pause(DRAIN_MS, true, { signal: over.signal }).catch(() => true);
    while (!isDrained() && (await Promise.race([inFlight.change().then(() => false), late])) === false);
    over.abort();
    await session.flushed();
  }

  /** A server that makes room by forgetting keys may forget which signals have had their reply. */
  private checkEviction(policy: string | null): void {
    if (policy === null || policy === 'noeviction' || this.isEvictionTold) return;
    this.isEvictionTold = true;
    this.parts.logger.warn(
      { server: this.status.server, policy },
      'set maxmemory-policy to noeviction: else replies may double',
    );
  }

  private failed(error: unknown): void {
    const code = error instanceof RedisFailure ? error.code : toErrorRecord(error, 'BUS_UNAVAILABLE').code;
    this.status.down(code, error instanceof Error ? error.message : String(error));
  }

  /** Over at once when the bus is stopped. */
  private async pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.ending.signal }).catch(() => undefined);
  }
}
