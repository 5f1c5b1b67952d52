import type { Delay } from '../../state/commit-loop.js';

export interface BackoffOptions {
  /** Longest first pause, and longest pause of all. */
  readonly firstMs: number;
  readonly pauseMsMax: number;
  /** In [0, 1). Not seeded in production: processes that lost the same server must not come back together. */
  readonly uniform: () => number;
  readonly delay: Delay;
}

/** Keeps the process alive, as the connection would that is waited for. */
export const waitingDelay: Delay = (ms, call) => {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
};

export const BACKOFF_DEFAULTS: BackoffOptions = {
  firstMs: 100,
  pauseMsMax: 5000,
  uniform: Math.random,
  delay: waitingDelay,
};

/** Pauses between attempts: each up to twice as long as the one before, at least half of what it may be, the rest at random. */
export class Backoff {
  private attempts = 0;
  private isEnded = false;
  private cancel: (() => void) | null = null;

  constructor(private readonly options: BackoffOptions = BACKOFF_DEFAULTS) {}

  /** Resolves when the next attempt is due, and at once after {@link end}. One wait at a time. */
  async wait(): Promise<void> {
    const { delay } = this.options;
    const pauseMs = this.nextPauseMs();
    await new Promise<void>((resolve) => {
      if (this.isEnded) {
        resolve();
        return;
      }
      const takeBack = delay(pauseMs, resolve);
      this.cancel = () => {
        takeBack();
        resolve();
      };
    });
    this.cancel = null;
  }

  /** An attempt has succeeded: the next pause is a first one. */
  reset(): void {
    this.attempts = 0;
  }

  /** Nobody waits any longer. */
  end(): void {
    this.isEnded = true;
    this.cancel?.();
  }

  private nextPauseMs(): number {
    const { firstMs, pauseMsMax, uniform } = this.options;
    const longestMs = Math.min(firstMs * 2 ** this.attempts, pauseMsMax);
    this.attempts++;
    return (longestMs * (1 + uniform())) / 2;
  }
}
