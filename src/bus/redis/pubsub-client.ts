import { OrchestratorError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { Delay } from '../../state/commit-loop.js';
import type { Dialect } from '../dialect.js';
import type { BusClient, BusInput, BusReply } from '../message-bus.js';
import { BACKOFF_DEFAULTS, Backoff, type BackoffOptions, waitingDelay } from './backoff.js';
import { type RedisConnection, RedisFailure, type RedisSettings } from './redis-client.js';
import { RedisLink } from './redis-link.js';
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
  private subscribed: Promise<void>;
  private onSubscribed: () => void = () => undefined;

  constructor(private readonly options: PubSubClientOptions) {
    this.subscribed = new Promise((resolve) => {
      this.onSubscribed = resolve;
    });
    this.sending = this.createLink(
      async (open) => {
        this.publisher = await open('ml4t-sender');
      },
      () => {
        this.publisher = null;
      },
    );
    this.hearing = this.createLink(async (open) => {
      const { enrichedChannel, rejectedChannel } = options.settings;
      const subscriber = await open('ml4t-listener');
      await subscriber.subscribe([enrichedChannel, rejectedChannel], (channel, payload) => this.hear(channel, payload));
      this.onSubscribed();
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

  /** Waits for the server when it is away. */
  async listen(onReply: (reply: BusReply) => void): Promise<void> {
    this.listeners.add(onReply);
    this.hearing.start();
    await this.subscribed;
  }

  async close(): Promise<void> {
    this.publisher = null;
    this.listeners.clear();
    this.onSubscribed();
    await Promise.all([this.sending.stop(), this.hearing.stop()]);
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
      return { kind: 'enriched', answer: this.options.dialect.decodeEnriched({ payload }) };
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      this.options.logger.warn({ channel, code: error.code }, 'a message that is no reply was passed over');
      return null;
    }
  }

  private createLink(
    establish: ConstructorParameters<typeof RedisLink>[0]['establish'],
    onDown: () => void = () => undefined,
  ): RedisLink {
    const { settings, delay = waitingDelay, backoff = BACKOFF_DEFAULTS } = this.options;
    return new RedisLink({
      settings,
      delay,
      backoff: new Backoff(backoff),
      establish,
      onUp: () => undefined,
      onDown,
    });
  }
}

function unavailable(reason: string): OrchestratorError {
  return new OrchestratorError('BUS_UNAVAILABLE', `the message may not have arrived: ${reason}`);
}
