import { once } from 'node:events';
import { type TransferListItem, Worker } from 'node:worker_threads';

/** Long enough for any machine: what takes longer hangs. */
export const HANG_MS = 30_000;

/** Runs `use` beside a thread of test/support that has said 'ready'; its failure is the test's. The thread is gone afterwards. */
export async function withThread<T>(
  name: string,
  workerData: unknown,
  use: (worker: Worker) => Promise<T>,
  transferList: TransferListItem[] = [],
): Promise<T> {
  const worker = new Worker(new URL(`./${name}.worker.js`, import.meta.url), { workerData, transferList });
  const failure = new Promise<never>((_resolve, reject) => worker.once('error', reject));
  const run = async (): Promise<T> => {
    await once(worker, 'message');
    return use(worker);
  };
  try {
    return await Promise.race([run(), failure]);
  } finally {
    await worker.terminate();
  }
}

/** Fails instead of waiting for ever. */
export async function unlessHung<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`hung: ${what}`)), HANG_MS);
  });
  try {
    return await Promise.race([promise, hung]);
  } finally {
    clearTimeout(timer);
  }
}

/** Blocks until the word is no longer `value`; false if it stays so for ever. */
export function changesFrom(words: Int32Array, index: number, value: number): boolean {
  return Atomics.wait(words, index, value, HANG_MS) !== 'timed-out';
}

export function setWord(words: Int32Array, index: number, value: number): void {
  Atomics.store(words, index, value);
  Atomics.notify(words, index);
}
