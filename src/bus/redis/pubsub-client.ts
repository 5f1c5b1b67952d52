import { OrchestratorError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { Delay } from '../../state/commit-loop.js';
import type { Dialect } from '../dialect.js';
import type { BusClient, BusInput, BusReply } from '../message-bus.js';
import { BACKOFF_DEFAULTS, Backoff, type BackoffOptions, waitingDelay } from './backoff.js';
import { type RedisConnection, RedisFailure, type RedisSettings } from './redis-client.js';
import { RedisLink, type RedisLinkOptions } from './redis-link.js';
import { decodeRejection } from './rejection-codec.js';

export interface PubSubClientOptions {
  readonly settings: RedisSettings;
  readonly dialect: Dialect;
  readonly logger: Logger;
  readonly delay?: Delay;
  readonly backoff?: BackoffOptions;
}

/** A strategy's end of {@link PubSubBus}: replies that are published while it is away never reach it. It connects when it is first used, and again after an outage. */
export class PubSubClient implements BusClient {
  private readonly listeners = new Set<(reply: BusReply) => void>();
  private readonly sending: RedisLink;
  private readonly hearing: RedisLink;
  private publisher: RedisConnection | null = null;
  /** Whether {@link listen} has to wait. */
  private isDeaf = true;
  private waiting: (() => void)[] = [];

  constructor(private readonly options: PubSubClientOptions) {
    this.sending = this.createLink({
      establish: async (open) => {
        this.publisher = await open('ml4t-sender');
      },
      onUp: () => undefined,
      onDown: () => {
        this.publisher = null;
      },
    });
    this.hearing = this.createLink({
      establish: async (open) => {
        const { enrichedChannel, rejectedChannel } = options.settings;
        const subscriber = await open('ml4t-listener');
        const channels = [enrichedChannel, rejectedChannel];
        await subscriber.subscribe(channels, (channel, payload) => this.hear(channel, payload));
      },
      onUp: () => this.endWaits(),
      onDown: () => {
        this.isDeaf = true;
      },
    });
  }

  /** Rejects with BUS_UNAVAILABLE too when nobody subscribes the channel; throws as {@link Dialect.encodeInput} does. */
  async send(input: BusInput): Promise<void> {
    const { settings, dialect } = this.options;
    const { payload } = dialect.encodeInput(input);
    const channel = input.kind === 'signal' ? settings.signalsChannel : settings.barsChannel;
    this.sending.start();
    await this.sending.attempted;
    const receivers = await this.publish(channel, payload);
    // A node of a cluster knows only those who subscribe at it.
    if (receivers === 0 && settings.url !== null) throw unavailable(`nobody listens to ${channel}`);
  }

  /** Waits for the server when it is away, until {@link close}. */
  async listen(onReply: (reply: BusReply) => void): Promise<void> {
    this.listeners.add(onReply);
    this.hearing.start();
    if (this.isDeaf) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  async close(): Promise<void> {
    this.publisher = null;
    this.listeners.clear();
    this.endWaits();
    await Promise.all([this.sending.stop(), this.hearing.stop()]);
  }

  private endWaits(): void {
    this.isDeaf = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private async publish(channel: string, payload: Buffer | string): Promise<unknown> {
    if (this.publisher === null) throw unavailable('there is no connection to the server');
    try {
      return await this.publisher.call('PUBLISH', channel, payload);
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error;
      throw unavailable(error.message);
    }
  }

  private hear(channel: string, payload: Uint8Array): void {
    const reply = this.replyOf(channel, payload);
    if (reply === null) return;
    for (const listener of this.listeners) listener(reply);
  }

  /** null for what others publish there that is no reply. */
  private replyOf(channel: string, payload: Uint8Array): BusReply | null {
    try {
      if (channel === this.options.settings.rejectedChannel) {
        return { kind: 'rejected', rejection: decodeRejection(payload) };
      }
      return this.options.dialect.decodeReply({ payload });
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      this.options.logger.warn({ channel, code: error.code }, 'a message that is no reply was passed over');
      return null;
    }
  }

  private createLink(callbacks: Pick<RedisLinkOptions, 'establish' | 'onUp' | 'onDown'>): RedisLink {
    const { settings, delay = waitingDelay, backoff = BACKOFF_DEFAULTS } = this.options;
    return new RedisLink({ settings, delay, backoff: new Backoff(backoff), ...callbacks });
  }
}

function unavailable(reason: string): OrchestratorError {
  return new OrchestratorError('BUS_UNAVAILABLE', `the message may not have arrived: ${reason}`);
}
