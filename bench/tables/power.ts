// How much of a planted edge does the learner find? Out-of-sample log-loss gained over the base rate, in nats, mean over seeds.
import { simulateMarket } from '../../src/simulation/simulated-market.js';
import { LABELS, numberAfter, printTable, trainCell } from './train-cell.js';

const BARS = 45_000;
const seeds = numberAfter('--seeds', 8);
const only = numberAfter('--edge', Number.NaN);
const rows = [];
for (const edge of [0, 0.25, 0.5, 1].filter((value) => Number.isNaN(only) || value === only)) {
  for (const labels of LABELS) {
    const gains: number[] = [];
    const aucs: number[] = [];
    let served = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const { report } = await trainCell(simulateMarket({ bars: BARS, edge, seed }), 'momentum', labels, {
        training: { trainBars: 15_000, testBars: 5_000 },
      });
      gains.push(report.baseRateLogLoss - report.logLoss);
      aucs.push(report.auc);
      if (report.verdict.installs === 'trees') served++;
    }
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    rows.push({
      edge,
      labels: labels.join('/'),
      seeds,
      'gain, nats': Number(mean(gains).toFixed(5)),
      'worst gain': Number(Math.min(...gains).toFixed(5)),
      AUC: Number(mean(aucs).toFixed(3)),
      served,
    });
  }
}
printTable(rows);
