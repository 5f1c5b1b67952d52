import type { EventEmitter } from 'eventemitter3';
import type { Clock } from '../../clock.js';
import { OrchestratorError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { Delay } from '../../state/commit-loop.js';
import { BusStatus } from '../bus-status.js';
import type { Dialect, SequencePlace } from '../dialect.js';
import { applyInput, BusCounts, DRAIN_MS, rejected, replyTo } from '../intake.js';
import type { BusEvents, BusInput, BusMetrics, BusReply, BusTarget, MessageBus, Submission } from '../message-bus.js';
import { SequenceGaps } from '../sequence-gaps.js';
import { claimOfInput, type SignalClaim } from '../signal-claim.js';
import { BACKOFF_DEFAULTS, Backoff, type BackoffOptions, waitingDelay } from './backoff.js';
import { Outbox } from './outbox.js';
import { describeServer, RedisFailure, type RedisSettings } from './redis-client.js';
import { type OpenConnection, RedisLink } from './redis-link.js';
import { encodeRejection } from './rejection-codec.js';

export interface PubSubBusOptions {
  readonly settings: RedisSettings;
  readonly dialect: Dialect;
  readonly target: BusTarget;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly delay?: Delay;
  readonly backoff?: BackoffOptions;
}

/**
 * Channels of a Redis server: at most once. A message that is published while this process, its connection or the server is away is gone, and so is a reply whose publication was
 * not confirmed, or that is not out {@link DRAIN_MS} after {@link stop}: known losses are counted as `missing` and told by `busGap`, those of an outage as an unknown number. Losses
 * among messages whose sender numbers them are counted exactly, when the next one comes. Publishers cannot be slowed down, so what the target is too busy for, and signals beyond
 * `inFlightMax`, are refused instead of kept.
 */
export class PubSubBus implements MessageBus {
  /** Messages do not come again. */
  readonly position = null;
  private readonly counts = new BusCounts();
  private readonly gaps = new SequenceGaps();
  private readonly link: RedisLink;
  private readonly status: BusStatus;
  /** Replies that are worked out, or on their way. */
  private leavingCount = 0;
  private onLeft: () => void = () => undefined;
  private rejecting = 0;
  /** null before there was a connection; that of a broken one fails. */
  private outbox: Outbox | null = null;
  private wasUp = false;
  private isStopping = false;
  private isOver = false;
  private stopping: Promise<void> | null = null;

  constructor(private readonly options: PubSubBusOptions) {
    const { settings, delay = waitingDelay, backoff = BACKOFF_DEFAULTS } = options;
    this.status = new BusStatus(describeServer(settings), this.counts, options.logger);
    this.link = new RedisLink({
      settings,
      delay,
      backoff: new Backoff(backoff),
      establish: (open) => this.establish(open),
      onUp: () => this.up(),
      onDown: ({ code, message }) => this.status.down(code, message),
    });
  }

  get events(): EventEmitter<BusEvents> {
    return this.status.events;
  }

  get metrics(): BusMetrics {
    return this.counts.metrics;
  }

  start(): void {
    this.link.start();
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    this.stopping ??= this.shutDown();
    await this.stopping;
  }

  private async establish(open: OpenConnection): Promise<void> {
    const { signalsChannel, barsChannel } = this.options.settings;
    this.outbox = new Outbox(await open('ml4t-publisher'));
    // One connection for both channels, so that bars and signals come in the order in which the server had them.
    const subscriber = await open('ml4t-subscriber');
    const channels = [...new Set([signalsChannel, barsChannel])];
    await subscriber.subscribe(channels, (_channel, payload) => this.receive(payload));
  }

  private up(): void {
    this.status.up();
    if (this.wasUp) this.status.gap(null, 'what was published during the outage did not arrive');
    this.wasUp = true;
  }

  private receive(payload: Uint8Array): void {
    if (this.isStopping) return;
    const decoded = this.options.dialect.decode({ payload });
    switch (decoded.kind) {
      case 'heartbeat':
        this.counts.heartbeats++;
        return;
      case 'ignored':
        this.status.ignored(decoded.what);
        return;
      case 'invalid':
        this.note(decoded.place);
        this.refuse(decoded.error, decoded.claim, payload);
        return;
      case 'input':
        this.note(decoded.place);
        this.take(decoded.input, payload);
    }
  }

  private note(place: SequencePlace | null): void {
    if (place === null) return;
    const missing = this.gaps.missingBefore(place);
    if (missing > 0) this.status.gap(missing, `the numbers of the messages of ${place.source} have a gap`);
  }

  private take(input: BusInput, payload: Uint8Array): void {
    if (input.kind === 'signal' && this.counts.inFlight >= this.options.settings.inFlightMax) {
      this.refuse(overloaded(), claimOfInput(input), payload);
      return;
    }
    const applied = applyInput(this.options.target, input);
    this.counts.applied(applied);
    if (applied.kind === 'bar' || applied.kind === 'passed-over') return;
    if (applied.kind === 'signal') void this.answer(input, applied.submission, payload);
    else this.refuse(applied.error, claimOfInput(input), payload);
  }

  private async answer(input: BusInput, submission: Submission, payload: Uint8Array): Promise<void> {
    this.leavingCount++;
    this.publish(await replyTo(input, submission, this.returned(payload)), () => {
      this.counts.inFlight--;
    });
  }

  private refuse(error: OrchestratorError, claim: SignalClaim | null, payload: Uint8Array): void {
    this.status.refused(error);
    // Whoever floods the channels with what is refused must not fill the memory of this process.
    if (this.rejecting >= this.options.settings.inFlightMax) {
      this.status.gap(1, 'a refusal was dropped: too many were on their way');
      return;
    }
    this.rejecting++;
    this.leavingCount++;
    this.publish(rejected(error, claim, this.returned(payload)), () => {
      this.rejecting--;
    });
  }

  /** Counts the reply as out, or as missing: one whose connection broke may have arrived all the same. `left`: either is known. */
  private publish(reply: BusReply, left: () => void): void {
    if (this.isOver) return;
    const { settings, dialect, clock } = this.options;
    const [channel, payload] =
      reply.kind === 'enriched'
        ? [settings.enrichedChannel, dialect.encodeEnriched(reply.answer, clock.epochNs()).payload]
        : [settings.rejectedChannel, encodeRejection(reply.rejection)];
    this.outbox!.push(['PUBLISH', channel, payload], (received) => {
      if (this.isOver) return;
      if (received instanceof RedisFailure) this.status.gap(1, `a reply may not have arrived: ${received.code}`);
      else this.counts.replied(reply);
      left();
      if (--this.leavingCount === 0) this.onLeft();
    });
  }

  private returned(payload: Uint8Array): Uint8Array | null {
    return payload.length > this.options.settings.payloadBytesMax ? null : payload;
  }

  private async shutDown(): Promise<void> {
    // The link lives until the replies are out, or known to be lost when it breaks.
    await this.drained();
    this.isOver = true;
    this.status.end();
    await this.link.stop();
    if (this.leavingCount > 0) this.status.gap(this.leavingCount, 'the bus stopped before these replies were out');
    this.counts.inFlight = 0;
    this.counts.state = 'stopped';
    this.events.removeAllListeners();
  }

  /** Resolves when no reply is under way, or has been for too long. */
  private async drained(): Promise<void> {
    if (this.leavingCount === 0) return;
    const { delay = waitingDelay } = this.options;
    await new Promise<void>((resolve) => {
      const takeBack = delay(DRAIN_MS, resolve);
      this.onLeft = () => {
        takeBack();
        resolve();
      };
    });
  }
}

function overloaded(): OrchestratorError {
  return new OrchestratorError('OVERLOADED', 'as many signals are on their way as `redis.inFlightMax` allows');
}
