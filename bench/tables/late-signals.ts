// What does a system learn from signals that reach it before the bar they were made from, on markets without an edge?
import { basename } from 'node:path';
import type { BarSeries } from '../../src/market/bar.js';
import { readBarsCsv } from '../../src/market/bars-csv.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import { simulateMarket } from '../../src/simulation/simulated-market.js';
import { lateSignalRun } from './late-signal-runs.js';
import { randomWalk } from './random-walk.js';
import { numberAfter, printTable } from './train-cell.js';

const BARS = 20_000;
const TRAINED_SHARE = 0.4;

/** The name behind a flag of the command line. */
function textAfter(flag: string): string | null {
  const at = process.argv.indexOf(flag);
  return at < 0 ? null : process.argv[at + 1]!;
}

const file = textAfter('--file');
const redisUrl = textAfter('--redis');
const seed = numberAfter('--seed', 1);
const count = numberAfter('--bars', BARS);
const markets: Readonly<Record<string, BarSeries>> = {
  ...(file === null
    ? { 'a random walk': randomWalk({ bars: count, seed }) }
    : { [basename(file)]: await readBarsCsv(file) }),
  'simulated, edge 0': simulateMarket({ bars: count, edge: 0, seed }),
};
const strategies: Readonly<Record<string, (bars: BarSeries) => Int8Array>> = {
  'the bar’s sign': ({ open, close }) => Int8Array.from(close, (price, k) => Math.sign(price - open[k]!)),
  'momentum of 20 bars': (bars) => primarySides('momentum', bars),
};
const deliveries = [
  { arrival: 'bar first', redisUrl: null },
  { arrival: 'signal first', redisUrl: null },
  ...(redisUrl === null ? [] : [{ arrival: 'signal first', redisUrl } as const]),
] as const;
const told = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([name, times]) => `${times} ${name}`).join(', ') || '-';
const figure = (value: number): number | string => (Number.isNaN(value) ? '-' : Number(value.toFixed(3)));
const rows = [];
for (const [market, bars] of Object.entries(markets)) {
  const trained = Math.floor(bars.length * TRAINED_SHARE);
  for (const [strategy, sidesOf] of Object.entries(strategies)) {
    for (const delivery of deliveries) {
      const found = await lateSignalRun({ bars, sides: sidesOf(bars), trained, ...delivery });
      rows.push({
        market,
        strategy,
        delivered: `${delivery.arrival}, ${delivery.redisUrl === null ? 'by calls' : 'in a stream'}`,
        signals: found.signals,
        'a bar old': found.barsOld,
        outcomes: found.outcomes,
        censored: found.censored,
        'mean R': figure(found.meanR),
        alarms: told(found.alarms),
        verdicts: told(found.verdicts),
        'trees served': found.treesServed,
        'confidence at the end': figure(found.confidence),
        'sized, %': Number(((100 * found.sized) / found.signals).toFixed(1)),
      });
    }
  }
}
printTable(rows);
