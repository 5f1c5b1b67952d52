// How often does the look-ahead alarm refuse strategies that know nothing, and how often does it catch the same ones stamped at the open?

import { readBarsCsv } from '../../src/market/bars-csv.js';
import { figuresOf, MARKETS, OUTSIDE, STRATEGIES, stampedAtOpen } from './look-ahead-runs.js';
import { printTables, type TableRow } from './titled-tables.js';
import { numberAfter } from './train-cell.js';

const markets = numberAfter('--markets', 200);
const lengths = process.argv.includes('--bars') ? [numberAfter('--bars', 0)] : [2000, 10_000];
const file = process.argv[process.argv.indexOf('--file') + 1];

const tables: Record<string, TableRow[]> = {};
for (const length of lengths) {
  for (const [market, open] of Object.entries(MARKETS)) {
    const caught = new Map<string, { right: number; open: number }>();
    for (let seed = 1; seed <= markets; seed++) {
      const bars = open(length, seed);
      const count = (name: string, sides: Int8Array): void => {
        const counts = caught.get(name) ?? { right: 0, open: 0 };
        caught.set(name, counts);
        if (figuresOf(bars, sides).isSuspected) counts.right++;
        if (figuresOf(bars, stampedAtOpen(sides)).isSuspected) counts.open++;
      };
      for (const [name, make] of Object.entries({ ...STRATEGIES, ...OUTSIDE })) count(name, make(bars, seed));
    }
    tables[`${market}, ${length} bars`] = [...caught].map(([strategy, { right, open: opened }]) => ({
      strategy,
      markets,
      'suspected, stamped right': right,
      'caught, stamped at the open': opened,
    }));
  }
}
if (process.argv.includes('--file') && file !== undefined) {
  const bars = await readBarsCsv(file);
  tables[file] = Object.entries(STRATEGIES).map(([strategy, make]) => {
    const sides = make(bars, 1);
    const [right, open] = [figuresOf(bars, sides), figuresOf(bars, stampedAtOpen(sides))];
    const shares = ({ of, signals, firstShare, seenShare, isSuspected }: typeof right): string =>
      `${isSuspected ? 'suspected' : 'passes'}: ${firstShare.toFixed(3)} of the first bar, ${seenShare.toFixed(3)} of the seen, ${signals} ${of}`;
    return { strategy, 'stamped right': shares(right), 'stamped at the open': shares(open) };
  });
}
printTables(tables);
