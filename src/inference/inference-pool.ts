import { type Clock, NS_PER_MS } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import type { Logger } from '../log.js';
import type { ModelPublisher } from '../shared-memory/model-publisher.js';
import type { InferenceThreadData } from './inference-messages.js';
import { InferenceThreads } from './inference-threads.js';
import { InferenceWorker, type WorkerMetrics } from './inference-worker.js';
import type { RingLane } from './ring-lane.js';

/** Time a thread has to load its code and rehearse. */
const START_MS = 10_000;
/** Time workers get to finish the request in hand when the pool stops. */
const STOP_MS = 200;
/** The watchdog looks this many times within the time after which a worker counts as hung. */
const WATCHES = 8;

export interface PoolParts {
  readonly config: Pick<OrchestratorConfig, 'workerHangMs'>;
  readonly data: InferenceThreadData;
  readonly lanes: readonly RingLane[];
  readonly publisher: ModelPublisher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly workerUrl: URL | undefined;
  /** There may be answers to take. */
  readonly onBell: () => void;
}

/** The inference workers together: one per lane, started, watched and stopped. */
export class InferencePool {
  private readonly threads: InferenceThreads;
  private readonly workers: readonly InferenceWorker[];
  private watchdog: NodeJS.Timeout | null = null;
  private isStopping = false;
  /** Called whenever a worker has changed. */
  private readonly watchers = new Set<() => void>();

  constructor(private readonly parts: PoolParts) {
    const { lanes, data, logger, publisher, clock, config, workerUrl, onBell } = parts;
    this.threads = new InferenceThreads(lanes.length, data, logger, workerUrl);
    this.workers = lanes.map(
      (lane, readerId) =>
        new InferenceWorker({
          readerId,
          lane,
          threads: this.threads,
          publisher,
          clock,
          logger,
          hangNs: config.workerHangMs * NS_PER_MS,
          startNs: START_MS * NS_PER_MS,
          onBell,
          onChange: () => this.changed(),
        }),
    );
  }

  /** Resolves when every worker serves. One that does not come up in time is logged, and tried again for as long as the pool runs. */
  async start(): Promise<void> {
    const { clock, config, logger } = this.parts;
    for (const worker of this.workers) worker.start();
    this.watchdog = setInterval(() => {
      for (const worker of this.workers) worker.watch(clock.monotonicNs());
    }, config.workerHangMs / WATCHES).unref();
    const serving = await this.until(() => this.workers.every(({ isServing }) => isServing), START_MS);
    if (!serving && !this.isStopping) logger.error({ workers: this.metrics }, 'not every inference worker came up');
  }

  /** Wakes the workers for the staged model; resolves when those that serve have got ready for it, or after `ms`. */
  async prepare(ms: number): Promise<void> {
    for (const worker of this.workers) worker.wake();
    await this.until(() => this.workers.every((worker) => !worker.isServing || worker.isReadyForStaged), ms);
  }

  /** Stops the workers after the request in hand, and ends the threads of those that do not return. */
  async stop(): Promise<void> {
    this.isStopping = true;
    this.changed();
    if (this.watchdog !== null) clearInterval(this.watchdog);
    const stopped = Promise.all(this.workers.map((worker) => worker.stop()));
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
    await this.threads.destroy();
    await stopped;
  }

  get metrics(): readonly WorkerMetrics[] {
    return this.workers.map(({ metrics }) => metrics);
  }

  private changed(): void {
    for (const watcher of this.watchers) watcher();
  }

  /** Waits until the condition holds, asking again whenever a worker has changed. False when the time is over, or the pool stops. */
  private until(condition: () => boolean, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (held: boolean): void => {
        clearTimeout(timer);
        this.watchers.delete(watcher);
        resolve(held);
      };
      const watcher = (): void => {
        const held = condition();
        if (held || this.isStopping) end(held);
      };
      const timer = setTimeout(() => end(false), ms);
      this.watchers.add(watcher);
      watcher();
    });
  }
}
