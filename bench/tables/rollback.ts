// How soon does the rollback evidence withdraw a worse model, and how often an equal one?

import { type Difference, rollbackRuns } from './rollback-runs.js';
import { percent, percentInterval, printTables, type TableRow } from './titled-tables.js';
import { numberAfter } from './train-cell.js';

interface Case {
  readonly difference: Difference;
  readonly error: number;
  readonly errorMemoryBars: number;
}

const WORSE: readonly Case[] = [
  ...[0, 3, 10, 20].map((errorMemoryBars) => ({ difference: 'noisy' as const, error: 0.26, errorMemoryBars })),
  { difference: 'biased', error: 0.26, errorMemoryBars: 0 },
  { difference: 'noisy', error: 0.33, errorMemoryBars: 20 },
  { difference: 'biased', error: 0.33, errorMemoryBars: 0 },
  { difference: 'noisy', error: 0.42, errorMemoryBars: 20 },
  { difference: 'biased', error: 0.42, errorMemoryBars: 0 },
  { difference: 'inverted', error: 0, errorMemoryBars: 0 },
];
const EQUAL: readonly Case[] = [0.15, 0.3].flatMap((error) =>
  [0, 20, 200].map((errorMemoryBars) => ({ difference: 'equal' as const, error, errorMemoryBars })),
);
const LABELS_WORSE = 6000;
const LABELS_EQUAL = 20_000;

const runs = numberAfter('--runs', 1000);

function rowsOf(cases: readonly Case[], labels: number): TableRow[] {
  const rows: TableRow[] = [];
  for (const overlap of [6, 12]) {
    for (const { difference, error, errorMemoryBars } of cases) {
      const found = rollbackRuns({ seed: 1, runs, labels, overlap, difference, error, errorMemoryBars });
      rows.push({
        overlap,
        'the new model is': difference,
        'error, deviations': error,
        'errors last, bars': difference === 'biased' ? 'for ever' : errorMemoryBars,
        'nats worse': Number(found.natsWorse.toFixed(4)),
        runs,
        'rolled back, %': percent(found.rolledBack),
        '95 %': percentInterval(Math.round(found.rolledBack * runs), runs),
        'labels, median': found.labelsMedian,
        'labels, 9 of 10': found.labels90,
      });
    }
  }
  return rows;
}

printTables({
  [`A worse model, within ${LABELS_WORSE} labels`]: rowsOf(WORSE, LABELS_WORSE),
  [`One of two equal models, within ${LABELS_EQUAL} labels`]: rowsOf(EQUAL, LABELS_EQUAL),
});
