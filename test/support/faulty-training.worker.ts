import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { invariant } from '../../src/invariant.js';
import { type TrainingService, trainingService } from '../../src/training/training-service.js';

/** A training thread that dies when the first instrument asks for it, and trains like the real one otherwise. */
const faultyService: TrainingService = {
  async train(message, cancel, progress) {
    const wish = message.series[0]?.instrumentId;
    if (wish === 'EXIT') {
      progress.postMessage({ step: 'set', fold: 0, folds: 0, share: 0 });
      process.exit(0);
    }
    if (wish === 'THROW') {
      setImmediate(() => {
        throw new Error('thrown where nobody catches it');
      });
      return new Promise(() => undefined);
    }
    return trainingService.train(message, cancel, progress);
  },
  try: (message) => trainingService.try(message),
};

invariant(parentPort !== null, 'the training worker runs on a thread of its own');
expose(faultyService, nodeEndpoint(parentPort));
