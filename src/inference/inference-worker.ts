import { setTimeout as pause } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { ModelPublisher } from '../shared-memory/model-publisher.js';
import type { WorkerMessage } from './inference-messages.js';
import type { InferenceThreads } from './inference-threads.js';
import type { RingLane } from './ring-lane.js';

/** Threads that die on one request before it is answered without being computed. */
const TRIES_MAX = 2;
/** Pause before a thread is replaced again that has died without serving. */
const BACKOFF_MS = 10;
const BACKOFF_MS_MAX = 1000;

interface Pulse {
  readonly value: number | null;
  readonly sinceNs: number;
}

const NO_PULSE: Pulse = { value: null, sinceNs: 0 };

export interface WorkerMetrics {
  readonly state: 'starting' | 'serving' | 'stopped';
  /** Signals it has evaluated. */
  readonly evaluated: number;
  readonly held: number;
  /** Threads that were replaced. */
  readonly restarts: number;
  /** Requests answered as failed because threads died on them. */
  readonly poisoned: number;
}

export interface WorkerParts {
  readonly readerId: number;
  readonly lane: RingLane;
  readonly threads: InferenceThreads;
  readonly publisher: ModelPublisher;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Without a sign of life for this long, while it has work, a worker counts as hung. */
  readonly hangNs: number;
  /** Time a thread has to begin serving. */
  readonly startNs: number;
  /** There may be answers to take. */
  readonly onBell: () => void;
  /** It serves, or has got ready for a model, or has died. */
  readonly onChange: () => void;
}

/**
 * One inference worker as the main thread sees it: a ring that is always served, by one thread after another if need be. A thread's death loses nothing: what it has
 * not answered lies in the ring, and the next thread goes on there.
 */
export class InferenceWorker {
  private state: WorkerMetrics['state'] = 'starting';
  private readonly stopping = new AbortController();
  private restarts = 0;
  private poisoned = 0;
  private diedStarting = 0;
  private suspect: { readonly sequence: number; tries: number } | null = null;
  private pulse: Pulse = NO_PULSE;
  private abort = new AbortController();
  private ended: Promise<void> = Promise.resolve();

  constructor(private readonly parts: WorkerParts) {}

  start(): void {
    this.ended = this.superviseThreads();
  }

  get isServing(): boolean {
    return this.state === 'serving';
  }

  get isReadyForStaged(): boolean {
    return this.parts.publisher.isReady(this.parts.readerId);
  }

  wake(): void {
    this.parts.lane.producer.wake();
  }

  /** Asks the thread to return after the request in hand; resolves when it has. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.parts.lane.producer.stop();
    await this.ended;
  }

  /** Ends a thread that shows no sign of life although it has work, or does not begin to serve. */
  watch(nowNs: number): void {
    const { lane, hangNs, startNs, logger, readerId } = this.parts;
    const value = this.isServing ? lane.producer.pulse() : this.restarts;
    if (value === null || value !== this.pulse.value) {
      this.pulse = { value, sinceNs: nowNs };
      return;
    }
    if (nowNs - this.pulse.sinceNs <= (this.isServing ? hangNs : startNs)) return;
    this.pulse = NO_PULSE;
    logger.warn({ worker: readerId, state: this.state }, 'an inference worker hangs; its thread is ended');
    this.abort.abort();
  }

  get metrics(): WorkerMetrics {
    const { state, restarts, poisoned } = this;
    const { lane } = this.parts;
    return { state, evaluated: lane.evaluatedCount, held: lane.heldCount, restarts, poisoned };
  }

  private async superviseThreads(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        await this.runThread();
        if (!this.stopping.signal.aborted) throw new Error('its task returned without being stopped');
      } catch (error) {
        if (this.stopping.signal.aborted) break;
        this.restarts++;
        const reason = error instanceof Error ? error.message : String(error);
        this.parts.logger.warn(
          { worker: this.parts.readerId, reason },
          'an inference thread ended; another takes over',
        );
        await this.takeOver();
      }
    }
    this.enter('stopped');
  }

  private async runThread(): Promise<void> {
    const { lane, threads, readerId } = this.parts;
    const { port1, port2 } = new MessageChannel();
    port1.on('message', (message: WorkerMessage) => this.hear(message));
    this.abort = new AbortController();
    try {
      await threads.run({ ring: lane.producer.shared, readerId, bell: port2 }, [port2], this.abort.signal);
    } finally {
      port1.close();
    }
  }

  /** Puts everything in order for the next thread. The dead one has exited: nobody else writes these words now. */
  private async takeOver(): Promise<void> {
    const { lane, publisher, readerId, onBell } = this.parts;
    this.diedStarting = this.isServing ? 0 : this.diedStarting + 1;
    this.enter('starting');
    this.judgeSuspect();
    lane.bury();
    publisher.buryReader(readerId);
    onBell();
    if (this.diedStarting > 1) {
      const ms = Math.min(BACKOFF_MS * 2 ** this.diedStarting, BACKOFF_MS_MAX);
      await pause(ms, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
  }

  /** Two threads that died on one request are enough. A thread that had none in hand accuses none. */
  private judgeSuspect(): void {
    const { producer } = this.parts.lane;
    const sequence = producer.suspect();
    if (sequence === null) return;
    if (this.suspect?.sequence !== sequence) this.suspect = { sequence, tries: 0 };
    if (++this.suspect.tries === TRIES_MAX && producer.poison(sequence)) this.poisoned++;
  }

  private hear(message: WorkerMessage): void {
    if (message === 'bell') {
      this.parts.onBell();
      return;
    }
    if (message === 'serving') this.enter('serving');
    this.parts.onChange();
  }

  private enter(state: WorkerMetrics['state']): void {
    this.state = state;
    this.pulse = NO_PULSE;
    this.parts.lane.isServed = state === 'serving';
    if (state !== 'serving') this.parts.onChange();
  }
}
