import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { HISTORY_BARS_MIN } from '../../src/features/feature-columns.js';
import {
  extractFeatures,
  FEATURE_COUNT,
  FEATURE_NAMES,
  type FeatureName,
  featureMatrix,
} from '../../src/features/feature-row.js';
import type { BarSeries } from '../../src/market/bar.js';
import { randomBars, seededRandom } from '../support/market.js';
import { referenceVectors } from '../support/reference.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import {
  assertAbsolute,
  assertRelative,
  assertSameBits,
  barsOf,
  type Maybe,
  referenceSlice,
  vectorBars,
  vectors,
} from '../support/vectors.js';

const SEED = 20_240_104;
const FIRST_COMPARABLE_ROW = 39;

/** The first bar on which a feature has a value. */
const FIRST_BAR: Readonly<Partial<Record<FeatureName, number>>> = {
  volatility: 20,
  normalized_atr: 0,
  momentum: 20,
  vol_of_vol: 39,
  trend_strength: 20,
  mean_reversion: 20,
  volume_ratio: 19,
  last_return: 20,
  side: 0,
  side_momentum: 20,
  side_mean_reversion: 20,
  side_last_return: 20,
};

interface FeatureReference {
  readonly variants: readonly {
    readonly variant: string;
    readonly columns: readonly FeatureName[];
    readonly rows: readonly number[];
    readonly orig: Readonly<Partial<Record<FeatureName, readonly Maybe[]>>>;
    readonly exact: Readonly<Partial<Record<FeatureName, readonly Maybe[]>>>;
  }[];
}

/** One comparison with its documented tolerance. */
function assertFeature(name: FeatureName, actual: number, expected: Maybe, what: string): void {
  if (name === 'mean_reversion') assertAbsolute(actual, expected, 1e-7, what);
  else if (name === 'vol_of_vol') assertRelative(actual, expected, 5e-9, what);
  else if (name === 'volatility' || name === 'trend_strength') assertRelative(actual, expected, 1e-10, what);
  else assertRelative(actual, expected, 1e-12, what);
}

/** Features of every bar with the same side and context. */
function everyRow(
  bars: BarSeries,
  { side = 1, toxicity = 0.25, regime = 0.5 } = {},
): (bar: number, name: FeatureName) => number {
  const { data } = featureMatrix(bars, {
    rows: Int32Array.from({ length: bars.length }, (_, i) => i),
    sides: new Int8Array(bars.length).fill(side),
    toxicity: new Float64Array(bars.length).fill(toxicity),
    regime: new Float64Array(bars.length).fill(regime),
  });
  return (bar, name) => data[bar * FEATURE_COUNT + FEATURE_NAMES.indexOf(name)]!;
}

function randomContext(
  count: number,
  seed: number,
): { sides: Int8Array; toxicity: Float64Array; regime: Float64Array } {
  const random = seededRandom(seed);
  const maybe = (): number => (random() < 0.2 ? Number.NaN : random());
  return {
    sides: Int8Array.from({ length: count }, () => (random() < 0.5 ? -1 : 1)),
    toxicity: Float64Array.from({ length: count }, maybe),
    regime: Float64Array.from({ length: count }, maybe),
  };
}

for (const slice of ['btc_0', 'gbpusd_0'] as const) {
  test(`every feature of ${slice} equals the reference once its window is full`, async () => {
    const reference = referenceVectors<FeatureReference>(`${slice}_features`);
    const bars = await referenceSlice(slice);
    if (reference === null || bars === null) return;
    const variant = reference.variants.find(
      (candidate) => candidate.columns.length > 0 && /atr_simple/.test(candidate.variant),
    );
    assert.ok(variant, 'the reference holds a variant with ATR');
    const feature = everyRow(bars);
    let compared = 0;
    for (const [k, row] of variant.rows.entries()) {
      if (row < FIRST_COMPARABLE_ROW) continue;
      for (const name of variant.columns) {
        const expected = (variant.exact[name] ?? variant.orig[name])![k]!;
        assertFeature(name, feature(row, name), expected, `${name} of row ${row}`);
        compared++;
      }
    }
    assert.ok(compared > 400 * variant.columns.length, `${compared} compared`);
  });
}

test('every feature equals a value worked to 60 digits, and is missing exactly where that is undefined', () => {
  const bars = vectorBars();
  for (const { bar, side, regime, toxicity, row } of vectors.features) {
    const feature = everyRow(bars, { side, toxicity: toxicity ?? Number.NaN, regime: regime ?? Number.NaN });
    FEATURE_NAMES.forEach((name, k) => {
      const tolerance = 1e-12 * Math.max(1, Math.abs(row[k] ?? 0));
      assertAbsolute(feature(bar, name), row[k]!, tolerance, `${name} of bar ${bar}`);
      if (name === 'volatility' || name === 'vol_of_vol' || name === 'normalized_atr')
        assertRelative(feature(bar, name), row[k]!, 1e-10, `${name} of bar ${bar}`);
    });
  }
});

test('a feature is missing before its first bar and present from it on', () => {
  const feature = everyRow(randomBars(60, 5));
  for (const [name, first] of Object.entries(FIRST_BAR) as [FeatureName, number][]) {
    for (let bar = 0; bar < 60; bar++) {
      assert.is(Number.isNaN(feature(bar, name)), bar < first, `${name} of bar ${bar}`);
    }
  }
});

test('unknown volume leaves the volume ratio missing and nothing else', () => {
  const bars = randomBars(60, 6);
  const known = everyRow(bars);
  bars.volume[45] = Number.NaN;
  const unknown = everyRow(bars);
  for (const name of FEATURE_NAMES) {
    if (name === 'volume_ratio') assert.ok(Number.isNaN(unknown(50, name)));
    else assert.is(unknown(50, name), known(50, name), name);
  }
});

test('toxicity and regime weight pass through as they are, unknown staying missing', () => {
  const bars = randomBars(45, 7);
  const known = everyRow(bars, { toxicity: 0.125, regime: 0.75 });
  assert.is(known(44, 'toxicity'), 0.125);
  assert.is(known(44, 'regime'), 0.75);
  const unknown = everyRow(bars, { toxicity: Number.NaN, regime: Number.NaN });
  assert.ok(Number.isNaN(unknown(44, 'toxicity')));
  assert.ok(Number.isNaN(unknown(44, 'regime')));
});

test('a market that does not move has zero volatility, no trend and no reversion, instead of a division by zero', () => {
  const feature = everyRow(barsOf(Array.from({ length: 60 }, () => [100, 100, 100, 100, 0])));
  for (const name of FEATURE_NAMES) {
    const expected = name === 'side' ? 1 : name === 'toxicity' ? 0.25 : name === 'regime' ? 0.5 : 0;
    assert.is(feature(59, name), expected, name);
  }
});

test('the price twenty bars ago is what momentum is measured against', () => {
  const rows = Array.from({ length: 30 }, (_, i) => [100 + i, 101 + i, 99 + i, 100 + i, 1]);
  const feature = everyRow(barsOf(rows));
  assert.is(feature(29, 'momentum'), 20 / 109);
  assert.is(feature(20, 'momentum'), 20 / 100);
  assert.is(feature(29, 'volume_ratio'), 1);
  assert.is(feature(29, 'normalized_atr'), 2 / 129);
});

test('the sided features of a short are those of a long with the sign turned, and no other feature but the side knows it', () => {
  const bars = randomBars(150, 8);
  const long = everyRow(bars, { side: 1 });
  const short = everyRow(bars, { side: -1 });
  const sided = new Set<FeatureName>(['side', 'side_momentum', 'side_mean_reversion', 'side_last_return']);
  for (let bar = 40; bar < 150; bar++) {
    for (const name of FEATURE_NAMES) {
      const turned = sided.has(name) ? -long(bar, name) : long(bar, name);
      assert.is(short(bar, name), turned, `${name} of bar ${bar}`);
    }
    assert.is(long(bar, 'side'), 1);
    assert.is(long(bar, 'side_mean_reversion'), long(bar, 'mean_reversion'));
    assert.is(long(bar, 'side_last_return'), long(bar, 'last_return'));
    const scaled = long(bar, 'momentum') / (long(bar, 'volatility') * Math.sqrt(20));
    assertRelative(long(bar, 'side_momentum'), scaled, 1e-14, `side_momentum of bar ${bar}`);
  }
});

test('the row of a window of at least 100 bars is bit-equal to the row of the whole history', () => {
  const property = fc.property(
    fc.integer(),
    fc.integer({ min: HISTORY_BARS_MIN - 1, max: 299 }),
    fc.integer({ min: 0, max: 200 }),
    (seed, bar, extra) => {
      const bars = randomBars(300, seed, { volatility: 0.01 });
      const context = randomContext(300, seed + 1);
      const { data } = featureMatrix(bars, { rows: Int32Array.of(bar), ...context });
      const start = Math.max(0, bar + 1 - HISTORY_BARS_MIN - extra);
      const out = new Float64Array(FEATURE_COUNT);
      const side = context.sides[bar] === 1 ? 1 : -1;
      const regimeWeight = context.regime[bar]!;
      extractFeatures(bars.slice(start, bar + 1), { side, toxicity: context.toxicity[bar]!, regimeWeight }, out);
      assertSameBits(out, data, `bar ${bar} from ${start}`);
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('deleting or garbling the bars after a row changes no bit of it', () => {
  const property = fc.property(
    fc.integer(),
    fc.integer({ min: 0, max: 198 }),
    fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
    (seed, bar, factor) => {
      const bars = randomBars(200, seed);
      const context = randomContext(200, seed + 1);
      const rows = Int32Array.from({ length: bar + 1 }, (_, i) => i);
      const { data } = featureMatrix(bars, { rows, ...context });
      const cut = {
        sides: context.sides.subarray(0, bar + 1),
        toxicity: context.toxicity.subarray(0, bar + 1),
        regime: context.regime.subarray(0, bar + 1),
      };
      const deleted = featureMatrix(bars.slice(0, bar + 1), { rows, ...cut });
      assertSameBits(deleted.data, data, `rows to ${bar}, the rest deleted`);
      for (const column of [bars.open, bars.high, bars.low, bars.close, bars.volume]) {
        for (let i = bar + 1; i < 200; i++) column[i] = column[i]! * factor;
      }
      assertSameBits(featureMatrix(bars, { rows, ...context }).data, data, `rows to ${bar}, the rest garbled`);
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('a level a thousand times higher in the past leaves no trace once it has left the windows', () => {
  const bars = randomBars(200, 9);
  const before = everyRow(bars);
  const expected = FEATURE_NAMES.map((name) => before(199, name));
  for (const column of [bars.open, bars.high, bars.low, bars.close]) {
    for (let i = 0; i < 150; i++) column[i] = column[i]! * 1000;
  }
  const after = everyRow(bars);
  assert.equal(
    FEATURE_NAMES.map((name) => after(199, name)),
    expected,
  );
});

test('prices in another currency unit give the same features', () => {
  const property = fc.property(fc.integer(), fc.constantFrom(2, 0.5, 1024), (seed, factor) => {
    const bars = randomBars(120, seed);
    const before = everyRow(bars);
    const expected = FEATURE_NAMES.map((name) => before(119, name));
    for (const column of [bars.open, bars.high, bars.low, bars.close]) {
      for (let i = 0; i < 120; i++) column[i] = column[i]! * factor;
    }
    const after = everyRow(bars);
    FEATURE_NAMES.forEach((name, k) => {
      assertAbsolute(after(119, name), expected[k]!, 1e-9 * Math.max(1, Math.abs(expected[k]!)), name);
    });
  });
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('rows come in the order they were asked for, each as if asked for alone', () => {
  const bars = randomBars(120, 10);
  const context = randomContext(120, 11);
  const { data, rows, columns } = featureMatrix(bars, { rows: Int32Array.of(110, 50, 110), ...context });
  assert.is(rows, 3);
  assert.is(columns, FEATURE_NAMES.length);
  assert.is(data.length, 3 * FEATURE_COUNT);
  [110, 50, 110].forEach((bar, k) => {
    const alone = featureMatrix(bars, { rows: Int32Array.of(bar), ...context });
    assertSameBits(data.slice(k * FEATURE_COUNT, (k + 1) * FEATURE_COUNT), alone.data, `bar ${bar}`);
  });
});

test('columns of another length, rows outside the bars, a short output and an empty window are refused', () => {
  const bars = randomBars(10, 12);
  const context = randomContext(10, 13);
  const options = { rows: Int32Array.of(5), ...context };
  const refused =
    (code: string, field: string) =>
    (error: unknown): boolean =>
      error instanceof OrchestratorError && error.code === code && error.field === field;
  const short = { sides: new Int8Array(9), toxicity: new Float64Array(11), regime: new Float64Array(0) };
  for (const [field, column] of Object.entries(short)) {
    assert.throws(() => featureMatrix(bars, { ...options, [field]: column }), refused('LENGTH_MISMATCH', field));
  }
  for (const row of [-1, 10]) {
    assert.throws(() => featureMatrix(bars, { ...options, rows: Int32Array.of(row) }), refused('OUT_OF_RANGE', 'rows'));
  }
  const side = { side: 1, toxicity: 0, regimeWeight: 1 } as const;
  const out = new Float64Array(FEATURE_COUNT);
  assert.throws(() => extractFeatures(bars, side, out.subarray(1)), refused('LENGTH_MISMATCH', 'out'));
  assert.throws(() => extractFeatures(bars.slice(0, 0), side, out), refused('TOO_FEW_BARS', 'window'));
});

test.run();
