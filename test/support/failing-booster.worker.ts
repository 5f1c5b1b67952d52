import { parentPort, workerData } from 'node:worker_threads';
import { toErrorRecord } from '../../src/errors.js';
import { Booster, type BoosterParameters } from '../../src/model/xgboost.js';

/** Trains with the parameters it is given and reports how that failed, on a thread whose heap nobody needs afterwards; reports null when it did not. */
try {
  const rows = Float32Array.from({ length: 200 }, (_, k) => k % 7);
  const labels = Uint8Array.from({ length: 100 }, (_, k) => k % 2);
  const booster = await Booster.create(rows, labels, 2, workerData as BoosterParameters);
  booster.train(1);
  parentPort?.postMessage(null);
} catch (error) {
  parentPort?.postMessage(toErrorRecord(error, 'TRAINING_FAILED'));
}
