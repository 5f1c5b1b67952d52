// Do the drift detectors alarm as rarely as they are dialled to, and how soon do they see a drift?
// `--json FILE` writes the tables as JSON, `--alarms`, `--histories`, `--runs` and `--stretches` set how much is simulated.
import { writeFileSync } from 'node:fs';
import { type Calibration, calibrated, delays, falseAlarmShares, quantile, runLength } from './detector-figures.js';
import { type Drift, NO_DRIFT } from './simulated-labels.js';
import { numberAfter } from './train-cell.js';

type Row = Readonly<Record<string, string | number>>;

const DIAL = 20_000;
const KNOWN_LABELS = 200_000;
const FINITE_LABELS = 5000;
const WARM_UP_LABELS = 2000;
const STRETCH_LABELS = 2000;
const known = (champion: Calibration['champion'], overlap: number): Calibration => ({
  champion,
  overlap,
  historyLabels: KNOWN_LABELS,
  labelsPerFalseAlarm: DIAL,
  seed: overlap,
});

function runLengths(alarms: number): Row[] {
  return [1, 3, 6].map((overlap) => {
    const calibration = known('edge', overlap);
    const plan = calibrated(calibration);
    const labels = runLength(plan, calibration, alarms);
    return {
      overlap,
      dial: DIAL,
      'labels per false alarm': Math.round(labels),
      'of the dial': rounded(labels / DIAL, 2),
      alarms,
      'skill threshold, nats': rounded(plan.skillThreshold ?? Number.NaN, 2),
      'rate threshold, labels': rounded(plan.rateThreshold, 1),
      verified: `${Math.round(plan.verified.labels)} [${Math.round(plan.verified.lower)}, ${Math.round(plan.verified.upper)}]`,
    };
  });
}

function finiteHistories(histories: number): Row[] {
  const alarms = 100;
  const ofDial = Float64Array.from({ length: histories }, (_, k) => {
    const calibration = { ...known('edge', 1), historyLabels: FINITE_LABELS, seed: k + 1 };
    return runLength(calibrated(calibration), calibration, alarms) / DIAL;
  }).sort();
  return [
    {
      'labels of a history': FINITE_LABELS,
      histories,
      'at least half the dial, %': rounded((100 * ofDial.filter((share) => share >= 0.5).length) / histories, 1),
      ...Object.fromEntries([0.1, 0.5, 0.9].map((q) => [`${100 * q} %, of the dial`, rounded(quantile(ofDial, q), 2)])),
      'alarms per history': alarms,
    },
  ];
}

const ofRate = (rateShift: number): Drift => ({ ...NO_DRIFT, rateShift });
/** Drift, overlap, and the labels within which 95 % should be seen. */
const DRIFTS: readonly (readonly [string, Drift, number, number])[] = [
  ['base rate −5 points', ofRate(-0.05), 1, 1600],
  ['base rate −10 points', ofRate(-0.1), 1, 500],
  ['skill gone', { ...NO_DRIFT, skillIsGone: true }, 1, 700],
  ['base rate −5 points', ofRate(-0.05), 6, 5500],
];

function detectionDelays(runs: number): Row[] {
  const rows: Row[] = [];
  for (const [name, drift, overlap, wanted] of DRIFTS) {
    for (const champion of drift.skillIsGone ? (['edge'] as const) : (['edge', 'base-rate'] as const)) {
      const calibration = known(champion, overlap);
      const plan = calibrated(calibration);
      for (const warmUpLabels of [0, WARM_UP_LABELS]) {
        const sorted = delays(plan, calibration, { drift, runs, warmUpLabels });
        rows.push({
          drift: name,
          overlap,
          champion,
          detectors: warmUpLabels === 0 ? 'at rest' : 'running',
          median: quantile(sorted, 0.5),
          '95 %': quantile(sorted, 0.95),
          wanted,
          'within, %': rounded((100 * sorted.filter((delay) => delay <= wanted).length) / runs, 1),
        });
      }
    }
  }
  return rows;
}

function stationaryStretches(stretches: number): Row[] {
  const rows: Row[] = [];
  for (const overlap of [1, 6]) {
    const plan = calibrated(known('edge', overlap));
    for (const [windowLabels, accuracyDrop] of [
      [200, 0.05],
      [1000, 0.1],
    ] as const) {
      const trial = { overlap, stretches, stretchLabels: STRETCH_LABELS, windowLabels, accuracyDrop, plan };
      const { naive, accuracyRule, monitor } = falseAlarmShares(trial);
      rows.push({
        overlap,
        window: windowLabels,
        drop: accuracyDrop,
        'labels of a stretch': STRETCH_LABELS,
        'naive rule fires, %': rounded(100 * naive, 1),
        'accuracy rule fires, %': rounded(100 * accuracyRule, 1),
        'whole monitor fires, %': rounded(100 * monitor, 1),
      });
    }
  }
  return rows;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

const tables: Record<string, Row[]> = {
  'labels per false alarm, the process known from 200,000 labels': runLengths(numberAfter('--alarms', 1000)),
  'labels per false alarm after calibration on finite histories': finiteHistories(numberAfter('--histories', 100)),
  'labels until a drift is seen': detectionDelays(numberAfter('--runs', 2000)),
  'false alarms in stretches without drift': stationaryStretches(numberAfter('--stretches', 500)),
};
for (const [title, rows] of Object.entries(tables)) {
  console.log(`\n${title}`);
  console.table(rows);
}
const at = process.argv.indexOf('--json');
if (at >= 0) writeFileSync(process.argv[at + 1]!, `${JSON.stringify(tables, null, 2)}\n`);
