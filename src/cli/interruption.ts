import { constants } from 'node:os';
import { type Clock, NS_PER_MS } from '../clock.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** npm passes a signal on to its children, who have had it from the terminal already: so soon after the first it is the same one. */
const SAME_MS = 300;

/** Aborted by the first SIGINT or SIGTERM, so that work can end in order. The second ends the process at once, with the exit code a shell expects of it. */
export function interruption(clock: Clock): AbortSignal {
  const controller = new AbortController();
  let firstNs: number | null = null;
  for (const name of SIGNALS) {
    process.on(name, () => {
      firstNs ??= clock.monotonicNs();
      if (clock.monotonicNs() - firstNs > SAME_MS * NS_PER_MS) process.exit(128 + constants.signals[name]);
      controller.abort();
    });
  }
  return controller.signal;
}

/** Aborted by an {@link interruption}, or once stdout takes nothing more, which throws no error then: a reader that is gone has had enough, anything else is exit code 1. */
export function interruptionOrEndOfStdout(clock: Clock): AbortSignal {
  const controller = new AbortController();
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (controller.signal.aborted) return;
    controller.abort();
    if (code === 'EPIPE') return;
    process.stderr.write(`ml4t: stdout: ${message}\n`);
    process.exitCode = 1;
  });
  return AbortSignal.any([interruption(clock), controller.signal]);
}

/** Resolves when it is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
