import { OrchestratorConfig, type OrchestratorConfigInput } from '../../src/config.js';
import { tripleBarrierLabels } from '../../src/labeling/triple-barrier.js';
import { type TrainingPlan, trainingPlanOf } from '../../src/training/training-plan.js';
import type { TrainingSeries } from '../../src/training/training-series.js';
import { randomBars, seededRandom } from './market.js';

/** The user feature every planted market declares. */
export const HINT = 'hint';

export type PlantedSeries = TrainingSeries & {
  readonly sides: Int8Array;
  readonly features: Readonly<Record<string, Float64Array>>;
};

/** A plan that declares {@link HINT} and trains in a fraction of a second. */
export function plantedPlan(training: OrchestratorConfigInput['training'] = {}): TrainingPlan {
  return trainingPlanOf(
    OrchestratorConfig.parse({
      userFeatures: [HINT],
      vpin: { nBuckets: 10, volumeWindow: 100 },
      // The dial does not matter to most tests, and a low one is calibrated sooner.
      retrain: { labelsPerFalseAlarm: 200 },
      training: { rounds: 12, eta: 0.3, minChildWeight: 20, ...training },
    }),
  );
}

/**
 * A random walk with random sides, whose {@link HINT} tells the outcome of a signal with probability `honesty`: 0.5 is pure noise.
 * A longer series with the same seed begins with the shorter one's bars and sides.
 */
export function plantedSeries(barCount: number, seed: number, honesty: number): PlantedSeries {
  const bars = randomBars(barCount, seed);
  const random = seededRandom(seed + 1);
  const sides = Int8Array.from({ length: barCount }, () => {
    const draw = random();
    if (draw < 0.3) return 1;
    return draw < 0.6 ? -1 : 0;
  });
  const labels = tripleBarrierLabels(bars, sides);
  const truth = new Float64Array(barCount);
  for (const [k, bar] of labels.signalBar.entries()) truth[bar] = labels.metaLabel[k]!;
  const lies = seededRandom(seed + 2);
  const hint = truth.map((label) => (lies() < honesty ? label : 1 - label));
  return { instrumentId: 'PLANTED', bars, sides, features: { [HINT]: hint } };
}
