import { EventEmitter } from 'eventemitter3';
import { OrchestratorError } from '../errors.js';
import { Fifo } from '../inference/fifo.js';
import { invariant } from '../invariant.js';
import { type Delay, timerDelay } from '../state/commit-loop.js';
import { applyInput, BUSY_PAUSE_MS, BusCounts, rejected, replyTo } from './intake.js';
import type { BusClient, BusEvents, BusInput, BusMetrics, BusReply, BusTarget, MessageBus } from './message-bus.js';
import { claimOfInput } from './signal-claim.js';

export interface InProcessBusOptions {
  readonly target: BusTarget;
  /** Messages that wait for the target, beyond which senders wait. */
  readonly queueMax?: number;
  readonly delay?: Delay;
}

/** A message that waits, and whom to tell once the bus has it: nobody where it has it already. */
interface Waiting {
  readonly input: BusInput;
  readonly sender: Sender | null;
}

interface Sender {
  resolve(): void;
  reject(error: OrchestratorError): void;
}

const SERVER = 'in-process';
const QUEUE_MAX = 1024;

/**
 * Both ends in one process, without a codec: what is sent must not be changed afterwards. Every message that it has is brought to the target once, and every signal replied to once;
 * what still waits for the target at {@link stop} is replied to with STOPPED.
 */
export class InProcessBus implements MessageBus {
  readonly events = new EventEmitter<BusEvents>();
  /** Messages do not come again. */
  readonly position = null;
  private readonly counts = new BusCounts();
  private readonly queue = new Fifo<Waiting>();
  private readonly listeners = new Set<(reply: BusReply) => void>();
  private readonly answering = new Set<Promise<void>>();
  private readonly target: BusTarget;
  private readonly queueMax: number;
  private readonly delay: Delay;
  private isDraining = false;
  private takeBackPause: () => void = () => undefined;
  private stopping: Promise<void> | null = null;

  constructor({ target, queueMax = QUEUE_MAX, delay = timerDelay }: InProcessBusOptions) {
    invariant(queueMax > 0, 'a queue has room for a message');
    this.target = target;
    this.queueMax = queueMax;
    this.delay = delay;
  }

  get metrics(): BusMetrics {
    return this.counts.metrics;
  }

  /** Messages sent before wait until now. */
  start(): void {
    if (this.counts.state !== 'starting') return;
    this.counts.state = 'up';
    this.events.emit('busUp', { server: SERVER });
    this.wake();
  }

  async stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    await this.stopping;
  }

  /** An end of its own; it hears the replies to all. */
  client(): BusClient {
    const own = new Set<(reply: BusReply) => void>();
    return {
      send: (input) => this.send(input),
      listen: async (onReply) => {
        own.add(onReply);
        this.listeners.add(onReply);
      },
      close: async () => {
        for (const listener of own) this.listeners.delete(listener);
      },
    };
  }

  private async send(input: BusInput): Promise<void> {
    if (this.stopping !== null) throw unavailable();
    if (this.queue.length < this.queueMax) {
      this.queue.push({ input, sender: null });
      this.wake();
      return;
    }
    await new Promise<void>((resolve, reject) => this.queue.push({ input, sender: { resolve, reject } }));
  }

  private wake(): void {
    if (this.isDraining || this.counts.state !== 'up') return;
    this.isDraining = true;
    queueMicrotask(() => this.drain());
  }

  /** Up to the first message that the target is too busy for. */
  private drain(): void {
    for (let next = this.queue.peek(); next !== undefined && this.stopping === null; next = this.queue.peek()) {
      if (!this.apply(next.input)) {
        this.takeBackPause = this.delay(BUSY_PAUSE_MS, () => this.drain());
        return;
      }
      this.queue.shift();
      next.sender?.resolve();
    }
    this.isDraining = false;
  }

  /** False when it has to be tried again. */
  private apply(input: BusInput): boolean {
    const applied = applyInput(this.target, input);
    if (applied.kind === 'busy') return false;
    this.counts.applied(applied);
    if (applied.kind === 'signal') {
      const answered = replyTo(input, applied.submission, null).then((reply) => {
        this.counts.inFlight--;
        this.answering.delete(answered);
        this.reply(reply);
      });
      this.answering.add(answered);
    } else if (applied.kind === 'refused' || applied.kind === 'stopped')
      this.reply(rejected(applied.error, claimOfInput(input), null));
    return true;
  }

  private reply(reply: BusReply): void {
    this.counts.replied(reply);
    for (const listener of this.listeners) listener(reply);
  }

  private async shutDown(): Promise<void> {
    this.takeBackPause();
    for (let left = this.queue.shift(); left !== undefined; left = this.queue.shift()) {
      if (left.sender === null) this.reply(rejected(stopped(), claimOfInput(left.input), null));
      else left.sender.reject(unavailable());
    }
    while (this.answering.size > 0) await Promise.all(this.answering);
    this.counts.state = 'stopped';
    this.listeners.clear();
    this.events.removeAllListeners();
  }
}

function stopped(): OrchestratorError {
  return new OrchestratorError('STOPPED', 'the bus was stopped before the message had its turn');
}

function unavailable(): OrchestratorError {
  return new OrchestratorError('BUS_UNAVAILABLE', 'the bus was stopped');
}
