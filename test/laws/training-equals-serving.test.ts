import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/clock.js';
import { OrchestratorConfig } from '../../src/config.js';
import { InferenceLoop } from '../../src/inference/inference-loop.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import { BarStore } from '../../src/store/bar-store.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import { buildTrainingSet } from '../../src/training/training-set.js';
import { randomBars } from '../support/market.js';

const BARS = 3000;

/** Live rows of every labelled signal, taken from where the scorer would read them, against the training rows. */
function compareRows(volume: boolean): { compared: number; known: number } {
  const config = OrchestratorConfig.parse({ vpin: { barsPerBucket: 5 }, userFeatures: ['spread'] });
  const plan = trainingPlanOf(config);
  const features = featureSetOf(plan);
  const bars = randomBars(BARS, 21, { volume });
  const sides = primarySides('momentum', bars);
  const spread = Float64Array.from(bars.close, (price, i) => (i % 7 === 0 ? Number.NaN : price % 1));
  const set = buildTrainingSet(
    [{ instrumentId: 'X', bars, sides, features: { spread } }],
    features,
    config.labels,
    config.vpin,
  );

  const store = new BarStore({ instrumentsMax: 1, barsPerInstrument: 256, vpin: config.vpin });
  const loop = new InferenceLoop(features, 0.5, systemClock);
  let compared = 0;
  let known = 0;
  for (let i = 0; i < BARS; i++) {
    store.append('X', bars.at(i));
    if (set.start[compared] !== i) continue;
    const read = store.read('X', store.asOf('X', bars.tsEventNs[i]!));
    assert.is(read.kind, 'window');
    if (read.kind !== 'window') continue;
    const trained = set.rows.subarray(compared * set.columnCount, (compared + 1) * set.columnCount);
    loop.evaluate(read.columns, read.asOf, sides[i] as 1 | -1, Number.NaN, spread.subarray(i, i + 1), {
      confidence(rows, offset) {
        const served = rows.subarray(offset, offset + set.columnCount);
        assert.equal(
          new Uint32Array(served.slice().buffer),
          new Uint32Array(trained.slice().buffer),
          `row of bar ${i}`,
        );
        known += served.reduce((count, value) => count + (Number.isNaN(value) ? 0 : 1), 0);
        return 0.5;
      },
    });
    compared++;
  }
  assert.is(compared, set.metaLabel.length);
  return { compared, known };
}

test('a training row equals the live row of the same signal bit for bit, through a ring that wraps many times', () => {
  const { compared, known } = compareRows(true);
  assert.ok(compared > 2500, `${compared} rows`);
  assert.ok(known > compared * 13, 'all but the regime column and some user values are known');
});

test('training and live rows agree where volume, and so toxicity, is unknown', () => {
  assert.ok(compareRows(false).compared > 2500);
});

test.run();
