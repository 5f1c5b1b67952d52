import { type Clock, NS_PER_MS } from '../clock.js';
import { OrchestratorError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Commit } from './commit.js';
import { type Operation, transact } from './operation.js';
import type { Tables } from './tables.js';

/** Calls back once, after so many milliseconds; returns what takes it back. */
export type Delay = (ms: number, call: () => void) => () => void;

/** Does not keep the process alive. */
export const timerDelay: Delay = (ms, call) => {
  const timer = setTimeout(call, ms).unref();
  return () => clearTimeout(timer);
};

/** What one commit writes, and how many bytes of memory that holds. */
export interface Cut {
  readonly commit: Commit;
  readonly operations: readonly Operation[];
  readonly bytes: number;
}

const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 5000;
const DURATIONS_MAX = 64;
/** What a failing disk gets to finish before the store is closed without it. */
const CLOSE_MS_MAX = 10_000;

/**
 * Writes one commit after the other: the next is cut when the last is on disk. One that fails is written again, the same, after a while that doubles up to five seconds;
 * everything newer waits behind it, so what is on disk is always the state after some of what was accepted, in order.
 */
export class CommitLoop {
  commits = 0;
  private inFlight: Cut | null = null;
  private scheduled = false;
  private cancelRetry: (() => void) | null = null;
  private attempts = 0;
  private readonly durationsMs: number[] = [];
  private failure: { readonly sinceNs: bigint; readonly code: string } | null = null;
  private idle: (() => void)[] = [];

  constructor(
    private readonly tables: Tables,
    private readonly cut: () => Cut | null,
    private readonly options: { readonly logger: Logger; readonly clock: Clock; readonly delay: Delay },
  ) {}

  get inFlightBytes(): number {
    return this.inFlight?.bytes ?? 0;
  }

  /** Since when commits have failed, and why; null while they succeed. */
  get failing(): { readonly sinceNs: bigint; readonly code: string } | null {
    return this.failure;
  }

  /** A commit that was begun has never ended: nothing can be asked of LMDB any more. */
  get isHung(): boolean {
    return this.inFlight !== null && this.cancelRetry === null;
  }

  /** Duration of the last commits, oldest first. */
  get lastDurationsMs(): readonly number[] {
    return this.durationsMs;
  }

  /** Something is staged: a commit is cut in a turn of its own, unless one is in flight. */
  wake(): void {
    if (this.scheduled || this.inFlight !== null) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.next();
    });
  }

  /** Writes what is left, waiting no longer than ten seconds, and not for a disk that fails once more. Throws STORE_WRITE_FAILED with what was lost then. */
  async drain(): Promise<void> {
    let expired = false;
    const cancel = this.options.delay(CLOSE_MS_MAX, () => {
      expired = true;
      this.settleIdle();
    });
    if (this.cancelRetry !== null) this.retryNow();
    else if (this.inFlight === null) this.next();
    while (this.inFlight !== null && !expired && this.cancelRetry === null) {
      await new Promise<void>((resolve) => this.idle.push(resolve));
    }
    cancel();
    this.cancelRetry?.();
    if (this.inFlight === null) return;
    const error = new OrchestratorError(
      'STORE_WRITE_FAILED',
      `the newest state could not be written: ${this.failure?.code ?? 'no answer'}`,
      {
        field: 'dataDir',
      },
    );
    this.inFlight.commit.fail(error);
    for (let left = this.cut(); left !== null; left = this.cut()) left.commit.fail(error);
    throw error;
  }

  private next(): void {
    if (this.inFlight !== null) return;
    this.inFlight = this.cut();
    if (this.inFlight === null) this.settleIdle();
    else void this.write(this.inFlight);
  }

  private async write(cut: Cut): Promise<void> {
    const { clock, logger } = this.options;
    const started = clock.monotonicNs();
    try {
      await transact(this.tables, cut.operations);
    } catch (error) {
      this.postpone(error);
      return;
    }
    this.durationsMs.push((clock.monotonicNs() - started) / NS_PER_MS);
    if (this.durationsMs.length > DURATIONS_MAX) this.durationsMs.shift();
    if (this.failure !== null) logger.info({ code: this.failure.code }, 'the store can be written to again');
    this.failure = null;
    this.attempts = 0;
    this.commits++;
    this.inFlight = null;
    cut.commit.succeed();
    this.wake();
  }

  private postpone(error: unknown): void {
    const code = codeOf(error);
    if (this.failure === null) {
      this.options.logger.warn(
        { code, reason: (error as Error).message },
        'the store cannot be written to; trying again',
      );
    }
    this.failure = { sinceNs: this.failure?.sinceNs ?? this.options.clock.epochNs(), code };
    const wait = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.attempts++);
    this.cancelRetry = this.options.delay(wait, () => this.retryNow());
    this.settleIdle();
  }

  private retryNow(): void {
    this.cancelRetry?.();
    this.cancelRetry = null;
    if (this.inFlight !== null) void this.write(this.inFlight);
  }

  private settleIdle(): void {
    const waiting = this.idle;
    this.idle = [];
    for (const resolve of waiting) resolve();
  }
}

function codeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: string };
  return code === undefined ? (message ?? 'unknown') : `${code}`;
}
