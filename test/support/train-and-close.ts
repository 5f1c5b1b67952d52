import { systemClock } from '../../src/clock.js';
import { OrchestratorError } from '../../src/errors.js';
import { TrainingLoop } from '../../src/training/training-loop.js';
import { capturedLog } from './captured-log.js';
import { plantedPlan, plantedSeries } from './planted.js';

/** A program that trains, closes the loop (`after` the training or `during` it) and says how that went. It must then end by itself. */
const during = process.argv[2] === 'during';
const loop = new TrainingLoop({
  plan: plantedPlan({ rounds: during ? 1_000_000 : 5 }),
  clock: systemClock,
  logger: capturedLog().logger,
  queuedMax: 1,
});
try {
  const { report } = await loop.train(plantedSeries(1200, 1, 0.9), {
    onProgress: ({ step }) => {
      if (during && step === 'folds') void loop.close();
    },
  });
  console.log(report.verdict.verdict);
} catch (error) {
  console.log(error instanceof OrchestratorError ? error.code : error);
}
await loop.close();
