// What does the learner cost where there is nothing to find? Out-of-sample log-loss less the base rate's, on real bars.
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readBarsCsv } from '../../src/market/bars-csv.js';
import { LABELS, printTable, trainCell } from './train-cell.js';

const BUNDLED = fileURLToPath(new URL('../../../examples/sp500-daily.csv', import.meta.url));
const files = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const rows = [];
for (const file of files.length > 0 ? files : [BUNDLED]) {
  const bars = await readBarsCsv(file);
  for (const primary of ['ema-cross', 'momentum'] as const) {
    for (const labels of LABELS) {
      const { report } = await trainCell(bars, primary, labels);
      rows.push({
        bars: basename(file),
        primary,
        labels: labels.join('/'),
        signals: report.nTest,
        harm: Number((report.logLoss - report.baseRateLogLoss).toFixed(5)),
        logistic: Number((report.logisticLogLoss - report.baseRateLogLoss).toFixed(5)),
        verdict: report.verdict.verdict,
      });
    }
  }
}
const harms = rows.map(({ harm }) => harm);
printTable(rows);
printTable([
  {
    cells: harms.length,
    'mean harm': Number((harms.reduce((sum, harm) => sum + harm, 0) / harms.length).toFixed(5)),
    'worst harm': Math.max(...harms),
  },
]);
