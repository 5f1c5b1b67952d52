// How often does the promotion gate let an equal model pass in a year of 24 tests, and how many labels does a better one need?

import { falsePromotions, type PowerCell, powerOf } from './promotion-runs.js';
import { percent, percentInterval, printTables, type TableRow } from './titled-tables.js';
import { numberAfter } from './train-cell.js';

const OVERLAPS = [6, 12];
const LABELS_PER_TEST = 1500;
const AUC_PAIRS = [
  [0.5, 0.5],
  [0.5, 0.52],
  [0.5, 0.55],
  [0.5, 0.58],
  [0.52, 0.55],
  [0.52, 0.58],
  [0.55, 0.58],
  [0.58, 0.55],
] as const;
const LABELS = [2000, 5000, 10_000, 20_000];
/** Larger samples than this take too long to draw. */
const LABELS_MAX = 80_000;

const years = numberAfter('--years', 1000);
const runs = numberAfter('--runs', 200);

const equalRows: TableRow[] = [];
for (const overlap of OVERLAPS) {
  for (const errorMemoryBars of [0, 20, 200]) {
    const found = falsePromotions({ seed: 1, years, overlap, labelsPerTest: LABELS_PER_TEST, errorMemoryBars });
    equalRows.push({
      overlap,
      'errors last, bars': errorMemoryBars,
      years,
      'tests a year': found.tests / years,
      'years promoted, %': percent(found.yearsPromoted / years),
      '95 %': percentInterval(found.yearsPromoted, years),
      'tests promoted, %': Number(((100 * found.testsPromoted) / found.tests).toFixed(3)),
      'naive, % of tests: accuracy': percent(found.testsByAccuracy / found.tests),
      'paired t at 5 %': percent(found.testsByPairedT / found.tests),
      'paired t at 0.21 %': percent(found.testsByPairedTAtAlpha / found.tests),
    });
  }
}

const powerRows: TableRow[] = [];
const neededRows: TableRow[] = [];
for (const [championAuc, challengerAuc] of AUC_PAIRS) {
  for (const overlap of OVERLAPS) {
    let needed = Number.POSITIVE_INFINITY;
    for (const labels of LABELS) {
      const cell: PowerCell = { seed: 2, runs, championAuc, challengerAuc, overlap, labels };
      const power = powerOf(cell);
      needed = power.labelsForPower;
      powerRows.push({
        'champion AUC': championAuc,
        'challenger AUC': challengerAuc,
        overlap,
        labels,
        'promoted, %': percent(power.promoted),
        'significant, %': percent(power.significant),
        'gain, nats': Number(power.meanGain.toFixed(5)),
        'detectable, nats': Number(power.smallestDetectableGain.toFixed(5)),
        'labels asked for, median': power.labelsAskedFor,
      });
    }
    if (!(needed <= LABELS_MAX) || challengerAuc <= championAuc) continue;
    // Other seeds than those the number of labels was found with.
    const checked = powerOf({ seed: 3, runs, championAuc, challengerAuc, overlap, labels: needed });
    neededRows.push({
      'champion AUC': championAuc,
      'challenger AUC': challengerAuc,
      overlap,
      'labels asked for': needed,
      'promoted on them, %': percent(checked.promoted),
      '95 %': percentInterval(Math.round(checked.promoted * runs), runs),
    });
  }
}

printTables({
  'Two equal models, tested 24 times a year on 1,500 labels each': equalRows,
  'A better model against the champion': powerRows,
  'Are as many labels as the gate asks for enough in 80 cases of 100?': neededRows,
});
