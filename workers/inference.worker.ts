import { workerData } from 'node:worker_threads';
import type { InferenceTask, InferenceThreadData } from '../src/inference/inference-messages.js';
import { serveSignals } from '../src/inference/serve-signals.js';

/** The one task of this thread; it ends when its ring is stopped. */
export default function serve(task: InferenceTask): void {
  serveSignals(workerData as InferenceThreadData, task);
}
