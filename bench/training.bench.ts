// How much does a whole training cost over the bare ml-xgboost fits inside it?
import { systemClock } from '../src/clock.js';
import { OrchestratorConfig } from '../src/config.js';
import { PRIMARY_SIGNALS, primarySides } from '../src/primary/primary-signal.js';
import { simulateMarket } from '../src/simulation/simulated-market.js';
import { STEP_ROUNDS } from '../src/training/fit.js';
import { trainModel } from '../src/training/train-model.js';
import { trainingPlanOf } from '../src/training/training-plan.js';
import { checkAnswer, higher, lower, nowNs, report, SMOKE, told } from './measure.js';

const BARS = SMOKE ? 3_000 : 260_000;
const TRAIN_BARS = SMOKE ? 1_400 : 120_000;
const TEST_BARS = SMOKE ? 200 : 16_000;
const FOLDS = 8;
const ROUNDS = 100;

const bars = simulateMarket({ bars: BARS, edge: 0, seed: 3 });
const sides = primarySides(PRIMARY_SIGNALS[0], bars);
for (const earlyStoppingRounds of [null, 10]) {
  const config = OrchestratorConfig.parse({
    training: { trainBars: TRAIN_BARS, testBars: TEST_BARS, rounds: ROUNDS, earlyStoppingRounds, maxDepth: 3 },
  });
  let steps = 0;
  const start = nowNs();
  const { report: trained } = await trainModel(
    {
      series: [{ instrumentId: 'walk', bars, sides }],
      plan: trainingPlanOf(config),
      createdAtNs: 0n,
      attempt: 1,
      incumbent: null,
      alpha: null,
      testedUntilNs: null,
      force: false,
    },
    {
      clock: systemClock,
      onProgress: ({ step }) => {
        if (step !== 'set') steps++;
      },
      isCancelled: () => false,
    },
  );
  const totalMs = (nowNs() - start) / 1e6;
  checkAnswer(trained.nFolds >= FOLDS, `at least ${FOLDS} folds`);
  checkAnswer(
    trained.folds.every(({ nTrain }) => nTrain > 0.9 * TRAIN_BARS),
    'every fold trains on its whole window',
  );
  const { set, folds, final, bundle, fits } = trained.timingsMs;
  const name = `training, early stopping ${earlyStoppingRounds ?? 'off'}`;
  const workload = `${BARS} bars, ${trained.nFolds} folds, cap ${ROUNDS} rounds of depth 3`;
  report(name, workload, trained.logLoss, {
    total: lower(totalMs / 1000, 's'),
    'labels and features': told(set / 1000, 's'),
    folds: told(folds / 1000, 's'),
    'final fit': told(final / 1000, 's'),
    bundle: told(bundle / 1000, 's'),
    'bare fits': told(fits / 1000, 's'),
    'boosting rounds per second of the bare fits': higher((steps * STEP_ROUNDS) / (fits / 1000), '/s'),
    'total over bare fits': lower(totalMs / fits, 'x'),
    'bars per second': higher(BARS / (totalMs / 1000), '/s'),
    'peak RSS': lower(process.resourceUsage().maxRSS / 1024, 'MiB'),
  });
}
