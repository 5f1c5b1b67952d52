import { workerData } from 'node:worker_threads';
import type { InferenceTask, InferenceThreadData } from '../../src/inference/inference-messages.js';
import { Rehearsal } from '../../src/inference/rehearsal.js';
import { serveSignals } from '../../src/inference/serve-signals.js';
import { unreachable } from '../../src/invariant.js';
import { ModelReader } from '../../src/shared-memory/model-reader.js';
import { EVALUATE } from '../../src/shared-memory/signal-ring-layout.js';
import type { SlotRequest } from '../../src/shared-memory/signal-ring-slots.js';
import { isReleased, type RequestFault, type ThreadFault, takeRequestFault, takeThreadFault } from './faults.js';

/** An inference thread that suffers the faults that were ordered for it, and serves like the real one otherwise. */
export default function serve(task: InferenceTask): void {
  serveSignals(workerData as InferenceThreadData, task, {
    beforeEvaluation(request: SlotRequest) {
      const fault = request.operation === EVALUATE ? takeRequestFault(request.userValues[0]!) : null;
      if (fault !== null) suffer(fault.kind, fault.id);
    },
    beforeWait: () => exitIfOrdered('idle'),
  });
}

// The thread exits while the slot it reads is announced, or between two steps of its rehearsal: nothing is put in order behind it.
const { readStaged } = ModelReader.prototype;
ModelReader.prototype.readStaged = function readAndExit<T>(
  this: ModelReader,
  use: (bytes: Uint8Array, generation: number, version: number) => T,
) {
  return readStaged.call(this, (bytes, generation, version) => {
    exitIfOrdered('staged');
    return use(bytes, generation, version);
  }) as T | undefined;
};
const { step } = Rehearsal.prototype;
Rehearsal.prototype.step = function stepAndExit(model) {
  exitIfOrdered('rehearsal');
  return step.call(this, model);
};

function exitIfOrdered(kind: ThreadFault): void {
  if (takeThreadFault(kind)) process.exit(1);
}

function suffer(kind: RequestFault, id: number): void {
  switch (kind) {
    case 'exit':
      process.exit(1);
      break;
    case 'exit-0':
      process.exit(0);
      break;
    case 'throw':
      throw new Error('thrown in the middle of a batch');
    case 'heap':
      exhaustHeap();
      break;
    case 'hang':
      for (;;);
    case 'hold':
      while (!isReleased(id)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      break;
    default:
      unreachable(kind);
  }
}

function exhaustHeap(): void {
  for (const hoard: number[][] = []; ; ) hoard.push(new Array<number>(50_000).fill(0.5));
}
