import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deriveFeatureColumns, type FeatureColumns } from '../../src/features/feature-columns.js';
import type { BarSeries } from '../../src/market/bar.js';
import { loadBarsCsv } from '../../src/market/bars-csv.js';
import { RegimeFilter } from '../../src/regime/regime-filter.js';
import { fitRegimeModel, type RegimeModel } from '../../src/regime/regime-model.js';
import { simulateMarket } from '../../src/simulation/simulated-market.js';

const DAILY = join(resolve(fileURLToPath(import.meta.url), '../../../..'), 'examples/sp500-daily.csv');

function regimesOf(bars: BarSeries, seed = 1): { model: RegimeModel; columns: FeatureColumns } {
  const columns = deriveFeatureColumns(bars);
  const { logReturn, volatility } = columns;
  const series = { instrumentId: 'X', tsEventNs: bars.tsEventNs, logReturn, volatility, start: 0, end: bars.length };
  return { model: fitRegimeModel([series], seed)!, columns };
}

test('on twenty years of daily bars the crises of 2008 and 2020 are volatile and 2017 is not', async () => {
  const { bars } = await loadBarsCsv(DAILY);
  const { model, columns } = regimesOf(bars);
  assert.is(model.names.at(-1), 'volatile');
  const filter = RegimeFilter.of(model, 'X')!;
  const meanWeight = (from: string, to: string): number => {
    const [first, last] = [from, to].map((day) => BigInt(Date.parse(day)) * 1_000_000n);
    const inside = Array.from(bars.tsEventNs.keys()).filter(
      (i) => bars.tsEventNs[i]! > first! && bars.tsEventNs[i]! <= last!,
    );
    return inside.reduce((sum, i) => sum + filter.weightAt(columns, i), 0) / inside.length;
  };
  assert.ok(meanWeight('2008-10-01', '2008-12-01') < 0.35);
  assert.ok(meanWeight('2020-03-10', '2020-04-10') < 0.35);
  assert.ok(meanWeight('2017-02-01', '2017-12-01') > 0.45);
});

test('a market that trends in one of its regimes has a trending state, with any seed of the fit', () => {
  for (const market of [1, 2, 3]) {
    const bars = simulateMarket({ bars: 20_000, edge: 1, seed: market });
    const names = [1, 2, 3].map((seed) => regimesOf(bars, seed).model.names.join());
    assert.ok(
      names.every((name) => name === names[0]),
      names.join(' | '),
    );
    assert.ok(names[0]!.includes('trending'), names[0]);
  }
});

test('the same market without its edge has none', () => {
  for (const market of [1, 2, 3]) {
    const { names } = regimesOf(simulateMarket({ bars: 20_000, edge: 0, seed: market })).model;
    assert.not(names.includes('trending'), names.join());
  }
});

test.run();
