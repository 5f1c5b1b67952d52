// How often does a market without any edge fool the learner into serving trees, and what do its sizes earn there?

import { runMainJob } from '../../src/cli/main-job.js';
import { openMarket } from '../../src/cli/market-source.js';
import { OrchestratorConfig } from '../../src/config.js';
import { createLogger } from '../../src/log.js';
import { numberAfter, printTable } from './train-cell.js';

const BARS = 20_000;
const seeds = numberAfter('--seeds', 200);
const costs = process.argv.includes('--cost') ? [numberAfter('--cost', 0)] : [0, 5, 10];
const silent = { onProgress: () => undefined, onTrained: () => undefined };
const rows = [];
for (const costBps of costs) {
  let trained = 0;
  let passed = 0;
  let answered = 0;
  let sized = 0;
  let net = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const market = await openMarket({ kind: 'simulated', edge: 0, seed, bars: BARS });
    const config = OrchestratorConfig.parse({ labels: { costBps } });
    const onAnswer = ({ size }: { size: number }): void => {
      answered++;
      if (size !== 0) sized++;
    };
    try {
      const { report } = await runMainJob(
        market,
        { name: 'momentum', signalsAt: null },
        config,
        createLogger('silent'),
        { ...silent, onAnswer },
      );
      trained++;
      if (report.promotion.installs === 'trees') passed++;
      if (!Number.isNaN(report.live.returns.sized)) net += report.live.returns.sized;
    } catch (error) {
      // At a high cost hardly a target pays it: that there is too little to train on is an answer too.
      if ((error as { code?: string }).code !== 'INSUFFICIENT_DATA') throw error;
    }
  }
  rows.push({
    'cost, bps': costBps,
    seeds,
    trained,
    'served, %': Number(((100 * passed) / seeds).toFixed(1)),
    'signals sized, %': Number(((100 * sized) / Math.max(answered, 1)).toFixed(2)),
    'sized net, bps per signal, mean of served': passed === 0 ? 0 : Number(((10_000 * net) / passed).toFixed(3)),
  });
}
printTable(rows);
