import type { OrchestratorError } from '../errors.js';

/** Everything that becomes durable in one step. */
export class Commit {
  private state: 'pending' | 'recorded' | OrchestratorError = 'pending';
  private promise: Promise<void> | null = null;
  private settle: { resolve: () => void; reject: (error: OrchestratorError) => void } | null = null;

  /**
   * Resolves once all of it is on disk; rejects with STORE_WRITE_FAILED if the store is closed before it could be written. Made when first asked for, so nobody pays for it
   * unasked, and a rejection that nobody looks at is not an unhandled one.
   */
  get recorded(): Promise<void> {
    this.promise ??= this.createPromise();
    return this.promise;
  }

  succeed(): void {
    this.state = 'recorded';
    this.settle?.resolve();
  }

  fail(error: OrchestratorError): void {
    this.state = error;
    this.settle?.reject(error);
  }

  private createPromise(): Promise<void> {
    if (this.state === 'recorded') return Promise.resolve();
    const promise = new Promise<void>((resolve, reject) => {
      if (this.state === 'pending') this.settle = { resolve, reject };
      else reject(this.state);
    });
    promise.catch(() => undefined);
    return promise;
  }
}
