import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deriveFeatureColumns } from '../../src/features/feature-columns.js';
import type { Bar } from '../../src/market/bar.js';
import { VpinIndicator } from '../../src/orderflow/vpin.js';
import { FeatureStoreReader, type WindowRead } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { MINUTE_NS, randomBars } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const VPIN = { barsPerBucket: 2, nBuckets: 5, volumeWindow: 20 };
const CAPACITY = 128;

function storeOf(bars: readonly Bar[], instrumentsMax = 2): FeatureStoreWriter {
  const store = new FeatureStoreWriter({ instrumentsMax, barsPerInstrument: CAPACITY, vpin: VPIN });
  for (const bar of bars) store.append('X', bar);
  return store;
}

function asOf(store: FeatureStoreWriter, instrumentId: string, timestampNs: bigint): number {
  return store.asOf(store.indexOf(instrumentId), timestampNs);
}

function read(store: FeatureStoreWriter, asOf: number): WindowRead {
  return new FeatureStoreReader(store.shared).window(store.indexOf('X'), asOf);
}

/** At the instant, of the window that ends at bar 119. */
function isStale(store: FeatureStoreWriter, timestampNs: bigint, barAgeMaxNs: bigint | null): boolean {
  const instrument = store.indexOf('X');
  const ageNs = timestampNs - store.tsEventNs(instrument, 119);
  return store.obstacle(instrument, 119, ageNs, barAgeMaxNs) === 'stale-bars';
}

function barsOf(count: number, seed = 1): Bar[] {
  const series = randomBars(count, seed);
  return Array.from({ length: count }, (_, i) => series.at(i));
}

test('stored columns equal those derived from the whole series, however often the ring has wrapped', () => {
  const series = randomBars(1000, 3);
  const derived = deriveFeatureColumns(series);
  const vpin = new VpinIndicator(VPIN);
  const store = storeOf([]);
  for (let i = 0; i < series.length; i++) {
    store.append('X', series.at(i));
    vpin.update(series.at(i));
    const window = read(store, i);
    if (i < 99) {
      assert.equal(window, { kind: 'insufficient-history', asOf: i, have: i + 1 });
      continue;
    }
    if (window.kind !== 'window') throw new Error(window.kind);
    const { columns } = window;
    for (let j = i - 99; j <= i; j++) {
      const at = columns.base + (j & columns.mask);
      for (const name of ['high', 'low', 'close', 'volume', 'logReturn', 'volatility'] as const) {
        assert.ok(Object.is(columns[name][at], derived[name][j]), `${name} of bar ${j} seen from bar ${i}`);
      }
    }
    assert.ok(Object.is(columns.vpin[columns.base + (i & columns.mask)], vpin.value ?? Number.NaN));
  }
});

test('as-of is the newest bar that closed at or before the instant', () => {
  const bars = barsOf(500);
  const store = storeOf(bars);
  const oldest = 500 + 1 - CAPACITY;
  fc.assert(
    fc.property(fc.integer({ min: oldest, max: 499 }), fc.bigInt({ min: 0n, max: MINUTE_NS - 1n }), (bar, later) => {
      assert.is(asOf(store, 'X', bars[bar]!.tsEventNs + later), bar);
    }),
    { seed: 2, numRuns: PROPERTY_RUNS },
  );
  assert.is(asOf(store, 'X', bars[499]!.tsEventNs + 10n ** 18n), 499);
  assert.is(asOf(store, 'unknown', bars[499]!.tsEventNs), -1);
});

test('before the first bar there is no as-of, and before the oldest kept bar the window is stale, not missing', () => {
  const bars = barsOf(500);
  const fresh = storeOf(bars.slice(0, 50));
  assert.is(asOf(fresh, 'X', bars[0]!.tsEventNs - 1n), -1);
  assert.equal(read(fresh, -1), { kind: 'insufficient-history', asOf: -1, have: 0 });
  const wrapped = storeOf(bars);
  const lapped = asOf(wrapped, 'X', bars[100]!.tsEventNs);
  assert.is(read(wrapped, lapped).kind, 'stale-window');
  assert.is(read(wrapped, 499 + 2 - CAPACITY + 99).kind, 'window', 'the oldest window that is whole');
  assert.is(read(wrapped, 499 + 2 - CAPACITY + 98).kind, 'stale-window');
});

test('an equal bar is skipped, another one at a known time is a conflict, an unknown older one is out of order', async () => {
  const bars = barsOf(150);
  const store = storeOf(bars);
  store.append('X', bars[149]!);
  store.append('X', bars[100]!);
  assert.is(asOf(store, 'X', bars[149]!.tsEventNs), 149);
  assert.is(
    (await refusalOf(() => store.append('X', { ...bars[120]!, volume: bars[120]!.volume + 1 }))).code,
    'BAR_CONFLICT',
  );
  assert.is(
    (await refusalOf(() => store.append('X', { ...bars[120]!, tsEventNs: bars[120]!.tsEventNs + 1n }))).code,
    'BAR_OUT_OF_ORDER',
  );
});

test('bars that come with a signal are merged whole or not at all', async () => {
  const bars = barsOf(300);
  const store = storeOf(bars.slice(0, 150));
  store.merge('X', bars.slice(60, 200));
  assert.is(asOf(store, 'X', bars[299]!.tsEventNs), 199, 'the new ones were appended, the known ones skipped');

  const conflicting = bars
    .slice(120, 250)
    .map((bar, k) => (k === 10 ? { ...bar, close: bar.close * 0.9999, low: bar.low * 0.9 } : bar));
  assert.is((await refusalOf(() => store.merge('X', conflicting))).code, 'BAR_CONFLICT');
  const faulty = bars.slice(150, 280).map((bar, k) => (k === 129 ? { ...bar, low: -1 } : bar));
  const refusal = await refusalOf(() => store.merge('X', faulty));
  assert.is(refusal.code, 'PRICE_NOT_POSITIVE');
  assert.is(refusal.field, 'bars[129].low');
  assert.is((await refusalOf(() => store.merge('X', bars.slice(0, 99)))).code, 'TOO_FEW_BARS');
  assert.is(asOf(store, 'X', bars[299]!.tsEventNs), 199, 'none of the refused bars was stored');
});

test('bars older than the ring keeps were known once and are skipped', () => {
  const bars = barsOf(400);
  const store = storeOf(bars.slice(0, 390));
  store.merge('X', bars);
  assert.is(asOf(store, 'X', bars[399]!.tsEventNs), 399);
});

test('what is no bar, or has no time, is refused before anything is kept of it', async () => {
  const [bar] = barsOf(1) as [Bar];
  const store = storeOf([], 1);
  const faulty: readonly (readonly [unknown, string, string])[] = [
    [null, 'INVALID_BAR', 'bar'],
    ['bar', 'INVALID_BAR', 'bar'],
    [{ ...bar, tsEventNs: 17 }, 'BAD_TIMESTAMP', 'bar.tsEventNs'],
    [{ ...bar, tsEventNs: -1n }, 'BAD_TIMESTAMP', 'bar.tsEventNs'],
    [{ ...bar, tsEventNs: 2n ** 63n }, 'BAD_TIMESTAMP', 'bar.tsEventNs'],
  ];
  for (const [what, code, field] of faulty) {
    const refusal = await refusalOf(() => store.append('bad', what as Bar));
    assert.equal([refusal.code, refusal.field], [code, field]);
  }
  const many = barsOf(120);
  const merged: readonly (readonly [unknown, string, string])[] = [
    ['bars', 'INVALID_BAR', 'bars'],
    [many.map((one, k) => (k === 7 ? null : one)), 'INVALID_BAR', 'bars[7]'],
    [many.map((one, k) => (k === 7 ? { ...one, tsEventNs: 7 } : one)), 'BAD_TIMESTAMP', 'bars[7].tsEventNs'],
  ];
  for (const [what, code, field] of merged) {
    const refusal = await refusalOf(() => store.merge('bad', what as Bar[]));
    assert.equal([refusal.code, refusal.field], [code, field]);
  }
  store.append('good', bar);
  assert.is(asOf(store, 'good', bar.tsEventNs), 0, 'the refused ones took no place');
});

test('instruments beyond the bound are refused and the known ones go on', async () => {
  const bars = barsOf(3);
  const store = storeOf(bars.slice(0, 1));
  store.append('Y', bars[0]!);
  const refusal = await refusalOf(() => store.append('Z', bars[0]!));
  assert.is(refusal.code, 'INSTRUMENTS_MAX');
  assert.is(refusal.field, 'instrumentId');
  store.append('X', bars[1]!);
  assert.is(asOf(store, 'X', bars[1]!.tsEventNs), 1);
});

test('a faulty bar does not take a place among the instruments', async () => {
  const [bar] = barsOf(1) as [Bar];
  const store = storeOf([], 1);
  assert.is((await refusalOf(() => store.append('bad', { ...bar, high: bar.low / 2 }))).code, 'INCONSISTENT_BAR');
  store.append('good', bar);
  assert.is(asOf(store, 'good', bar.tsEventNs), 0);
});

test('a bar is stale beyond three median intervals, and beyond the stated age where one is given', () => {
  const bars = barsOf(120);
  const store = storeOf(bars);
  const last = bars[119]!.tsEventNs;
  assert.not(isStale(store, last, null));
  assert.not(isStale(store, last + 3n * MINUTE_NS, null));
  assert.ok(isStale(store, last + 3n * MINUTE_NS + 1000n, null));
  assert.not(isStale(store, last + 3n * MINUTE_NS, 3n * MINUTE_NS));
  assert.ok(isStale(store, last + MINUTE_NS + 1n, MINUTE_NS));
});

test('one long gap does not move the median interval', () => {
  const bars = barsOf(120).map((bar, i) => (i < 60 ? bar : { ...bar, tsEventNs: bar.tsEventNs + 1000n * MINUTE_NS }));
  const store = storeOf(bars);
  assert.ok(isStale(store, bars[119]!.tsEventNs + 4n * MINUTE_NS, null));
});

test.run();
