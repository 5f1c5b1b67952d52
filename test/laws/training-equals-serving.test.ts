import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/clock.js';
import { OrchestratorConfig } from '../../src/config.js';
import { ML4TOrchestrator } from '../../src/index.js';
import { InferenceLoop } from '../../src/inference/inference-loop.js';
import type { BarSeries } from '../../src/market/bar.js';
import { BundleScorer } from '../../src/model/bundle.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import { RegimeFilter } from '../../src/regime/regime-filter.js';
import type { RegimeModel } from '../../src/regime/regime-model.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { fitRegime, windowOf, withRegime } from '../../src/training/regime-column.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import { buildTrainingSet } from '../../src/training/training-set.js';
import { FAST_VPIN, FIXTURE_INSTRUMENT, fastTrainedBundle, fixtureBars } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { randomBars } from '../support/market.js';

const BARS = 3000;
const REGIME_COLUMN = OrchestratorConfig.parse().featureNames.indexOf('regime');

interface Compared {
  readonly compared: number;
  /** Values that are not missing, of all rows. */
  readonly known: number;
  readonly regimes: ReadonlySet<number>;
}

/** Live rows of every labelled signal, taken from where the scorer would read them, against the training rows with the regimes of a model fitted to part of them. */
function compareRows(markets: readonly BarSeries[]): Compared {
  const config = OrchestratorConfig.parse({ vpin: { barsPerBucket: 5 }, userFeatures: ['spread'] });
  const plan = trainingPlanOf(config);
  const features = featureSetOf(plan);
  const series = markets.map((bars, index) => ({
    instrumentId: `X${index}`,
    bars,
    sides: primarySides('momentum', bars),
    features: { spread: Float64Array.from(bars.close, (price, i) => (i % 7 === 0 ? Number.NaN : price % 1)) },
  }));
  const untold = buildTrainingSet(series, features, config.labels, config.vpin);
  const rows = Int32Array.from(untold.start.keys());
  const model = fitRegime(untold, windowOf(untold, rows.subarray(0, rows.length / 2)), plan.seed);
  const set = withRegime(untold, features, model, rows);
  // As a bundle's reader gets it.
  const served = JSON.parse(JSON.stringify(model)) as RegimeModel;

  const store = new FeatureStoreWriter({ instrumentsMax: 2, barsPerInstrument: 256, vpin: config.vpin });
  const reader = new FeatureStoreReader(store.shared);
  const loop = new InferenceLoop(features, 0.5, systemClock);
  let compared = 0;
  let known = 0;
  const regimes = new Set<number>();
  for (const [index, { instrumentId, bars, sides, features: user }] of series.entries()) {
    const filter = RegimeFilter.of(served, instrumentId)!;
    const own = rows.filter((row) => set.series[row] === index);
    let next = 0;
    for (let i = 0; i < bars.length; i++) {
      store.append(instrumentId, bars.at(i));
      if (set.bar[own[next] ?? -1] !== i) continue;
      const row = own[next++]!;
      const instrument = store.indexOf(instrumentId);
      const read = reader.window(instrument, store.asOf(instrument, bars.tsEventNs[i]!));
      assert.is(read.kind, 'window');
      if (read.kind !== 'window') continue;
      const trained = set.rows.subarray(row * set.columnCount, (row + 1) * set.columnCount);
      const regimeWeight = filter.weightAt(read.columns, read.asOf);
      loop.evaluate(read.columns, read.asOf, sides[i] as 1 | -1, regimeWeight, user.spread.subarray(i, i + 1), {
        confidence(encoded, offset) {
          const live = encoded.subarray(offset, offset + set.columnCount);
          assert.equal(
            new Uint32Array(live.slice().buffer),
            new Uint32Array(trained.slice().buffer),
            `row of bar ${i} of ${instrumentId}`,
          );
          known += live.reduce((count, value) => count + (Number.isNaN(value) ? 0 : 1), 0);
          regimes.add(live[REGIME_COLUMN]!);
          return 0.5;
        },
      });
      compared++;
    }
  }
  assert.is(compared, set.metaLabel.length);
  return { compared, known, regimes };
}

test('a training row equals the live row of the same signal bit for bit, regime included, through a ring that wraps many times', () => {
  const { compared, known, regimes } = compareRows([fixtureBars(BARS, 21)]);
  assert.ok(compared > 2500, `${compared} rows`);
  assert.ok(known > compared * 14, 'all but some user values and early toxicities are known');
  assert.not.ok(regimes.has(Number.NaN), 'a signal that is answered has a regime');
  assert.ok(regimes.size > compared / 2, `${regimes.size} different regime weights`);
});

test('training and live rows of two instruments agree, each on its own scale', () => {
  const { compared, regimes } = compareRows([fixtureBars(1500, 22), randomBars(1500, 23, { volatility: 0.01 })]);
  assert.ok(compared > 2500, `${compared} rows`);
  assert.not.ok(regimes.has(Number.NaN));
});

test('training and live rows agree where volume, and so toxicity, is unknown', () => {
  assert.ok(compareRows([randomBars(BARS, 21, { volume: false })]).compared > 2500);
});

test('a live answer is what the bundle scores for the training row of its signal, to the last bit', async () => {
  const bundle = await fastTrainedBundle();
  const plan = trainingPlanOf(OrchestratorConfig.parse({ vpin: FAST_VPIN }));
  const features = featureSetOf(plan);
  const bars = fixtureBars(1500, 24);
  const series = { instrumentId: FIXTURE_INSTRUMENT, bars, primarySignal: 'momentum' as const };
  const untold = buildTrainingSet([series], features, plan.labels, plan.vpin);
  const set = withRegime(untold, features, bundle.regime, untold.start.keys());
  const expected = new BundleScorer(bundle).confidences(set.rows);
  assert.ok(new Set(expected).size > 100);

  const live = new ML4TOrchestrator(
    { dispatch: 'inline', vpin: FAST_VPIN, store: { barsPerInstrument: 256 } },
    { logger: silentLogger },
  );
  await live.start();
  await live.hotSwapModel(bundle);
  let row = 0;
  for (let i = 0; i < bars.length; i++) {
    live.addBar(FIXTURE_INSTRUMENT, bars.at(i));
    if (set.start[row] !== i) continue;
    const event = { instrumentId: FIXTURE_INSTRUMENT, signal: set.side[row] as 1 | -1, timestamp: bars.tsEventNs[i]! };
    const answer = live.processSignalSync(event);
    assert.is(answer.metaConfidence, expected[row], `signal of bar ${i}`);
    assert.is(Math.fround(answer.regimeWeight), set.rows[row * set.columnCount + REGIME_COLUMN]);
    row++;
  }
  assert.is(row, expected.length);
  await live.stop();
});

test.run();
