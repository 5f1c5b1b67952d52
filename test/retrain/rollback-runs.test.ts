import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rollbackRuns } from '../../bench/tables/rollback-runs.js';
import { binomialBound } from '../support/binomial-bound.js';
import { ROLLBACK_RUNS } from '../support/sizes.js';

for (const overlap of [6, 12]) {
  const plan = { seed: 1, runs: ROLLBACK_RUNS, labels: 6000, overlap, errorMemoryBars: 3 };

  test(`with overlap ${overlap} a model that was forced in and loses 0.02 nats is rolled back within 6000 labels, nine times of ten`, () => {
    const { natsWorse, rolledBack } = rollbackRuns({ ...plan, difference: 'noisy', error: 0.26 });
    assert.ok(natsWorse > 0.019 && natsWorse < 0.022, `it loses ${natsWorse}`);
    assert.ok(rolledBack >= 0.9, `rolled back in ${rolledBack}`);
    const inverted = rollbackRuns({ ...plan, difference: 'inverted', error: 0 });
    assert.ok(inverted.natsWorse > 0.05 && inverted.rolledBack >= 0.95, `the inverted edge in ${inverted.rolledBack}`);
  });

  test(`with overlap ${overlap} one of two equal models is rolled back at most once in ten times`, () => {
    for (const errorMemoryBars of [0, 20, 200]) {
      const equal = { ...plan, seed: 2, difference: 'equal', error: 0.15, errorMemoryBars } as const;
      const rolledBack = Math.round(rollbackRuns(equal).rolledBack * ROLLBACK_RUNS);
      assert.ok(rolledBack <= binomialBound(ROLLBACK_RUNS, 0.1), `rolled back in ${rolledBack} of ${ROLLBACK_RUNS}`);
    }
  });
}

test.run();
