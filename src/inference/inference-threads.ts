import type { MessagePort, Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { Logger } from '../log.js';
import type { InferenceTask, InferenceThreadData } from './inference-messages.js';

const WORKER_URL = new URL('../../workers/inference.worker.js', import.meta.url);
/** Of JavaScript objects; shared memory and typed arrays do not count. A thread that needs more ends, and another takes its ring. */
const HEAP_MB_MAX = 256;

/**
 * The threads of the inference workers: a piscina pool of its own, in which every thread runs one task for as long as it lives, and nothing else is ever
 * scheduled.
 */
export class InferenceThreads {
  private readonly pool: Piscina;
  private readonly exits = new Map<Worker, Promise<void>>();

  constructor(count: number, data: InferenceThreadData, logger: Logger, workerUrl: URL = WORKER_URL) {
    this.pool = new Piscina({
      filename: workerUrl.href,
      minThreads: count,
      maxThreads: count,
      idleTimeout: Number.POSITIVE_INFINITY,
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
    });
    this.pool.on('error', (error) => logger.error({ reason: String(error) }, 'an idle inference thread failed'));
    this.pool.on('workerCreate', () => this.trackExits());
    this.trackExits();
  }

  /**
   * Runs the task on a thread that is free. Settles only when no thread has it any more: rejects if it threw or was aborted, or its thread died, and then not
   * before that thread has exited, since two threads on one ring would corrupt it.
   */
  async run(task: InferenceTask, transferList: MessagePort[], signal: AbortSignal): Promise<void> {
    this.trackExits();
    try {
      await this.pool.run(task, { transferList, signal });
    } catch (error) {
      // The pool rejects as soon as it has told a thread to end, and has dropped it by then.
      const alive = new Set(this.pool.threads);
      await Promise.all([...this.exits].filter(([thread]) => !alive.has(thread)).map(([, exited]) => exited));
      throw error;
    }
  }

  /** Ends all threads, whatever they are doing. */
  async destroy(): Promise<void> {
    await this.pool.destroy();
    await Promise.all(this.exits.values());
  }

  private trackExits(): void {
    for (const thread of this.pool.threads) {
      if (this.exits.has(thread)) continue;
      const exited = new Promise<void>((resolve) => {
        thread.once('exit', () => {
          this.exits.delete(thread);
          resolve();
        });
      });
      this.exits.set(thread, exited);
    }
  }
}
