import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bar } from '../../src/market/bar.js';
import { VpinIndicator } from '../../src/orderflow/vpin.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { BAR_BYTES, type StoredBars, viewStoredBars } from '../../src/shared-memory/stored-bars.js';
import { MINUTE_NS, randomBars } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const VPIN = { barsPerBucket: 2, nBuckets: 5, volumeWindow: 20 };
const CAPACITY = 128;
const SERIES = randomBars(700, 9);
const BARS: Bar[] = Array.from({ length: SERIES.length }, (_, k) => SERIES.at(k));

function createStore(onAppended?: (instrument: number, sequence: number) => void): FeatureStoreWriter {
  const options = { instrumentsMax: 2, barsPerInstrument: CAPACITY, vpin: VPIN };
  return new FeatureStoreWriter(onAppended === undefined ? options : { ...options, onAppended });
}

function filled(count: number): FeatureStoreWriter {
  const store = createStore();
  for (const bar of BARS.slice(0, count)) store.append('X', bar);
  return store;
}

function copyOf(store: FeatureStoreWriter, first: number, count: number): StoredBars {
  const bytes = new Uint8Array(count * BAR_BYTES);
  store.copyBars(0, first, count, bytes, 0);
  return viewStoredBars(first, bytes);
}

function restored(from: FeatureStoreWriter, count: number): FeatureStoreWriter {
  const store = createStore();
  const newest = from.newest(0);
  store.restore('X', copyOf(from, newest + 1 - count, count), VpinIndicator.fromState(from.vpinState(0)));
  return store;
}

test('a restored store goes on with the same bits, answers the same questions and refuses the same bars', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), fc.nat(150), (before, after) => {
      const whole = filled(before);
      const store = restored(whole, Math.min(before, CAPACITY));
      for (const bar of BARS.slice(before, before + after)) {
        whole.append('X', bar);
        store.append('X', bar);
      }
      assert.ok(Buffer.from(store.shared.buffer).equals(Buffer.from(whole.shared.buffer)));
      assert.equal(store.vpinState(0), whole.vpinState(0));
      for (let sequence = Math.max(0, before + after - CAPACITY - 3); sequence < before + after + 1; sequence++) {
        const at = BARS[sequence]!.tsEventNs;
        assert.is(store.asOf(0, at), whole.asOf(0, at));
        assert.is(store.tsEventNs(0, sequence), whole.tsEventNs(0, sequence));
        assert.is(store.hasLapped(0, sequence), whole.hasLapped(0, sequence));
        for (const age of [0n, 2n * MINUTE_NS, 4n * MINUTE_NS]) {
          assert.is(store.obstacle(0, sequence, age, null), whole.obstacle(0, sequence, age, null));
        }
      }
    }),
    { seed: 21, numRuns: PROPERTY_RUNS },
  );
});

test('bars known before the restart are skipped, other values for them are a conflict', async () => {
  const store = restored(filled(300), CAPACITY);
  store.append('X', BARS[299]!);
  store.append('X', BARS[10]!);
  assert.is(store.newest(0), 299);
  const refusal = await refusalOf(() => store.append('X', { ...BARS[299]!, volume: -0.5 + BARS[299]!.volume }));
  assert.is(refusal.code, 'BAR_CONFLICT');
});

test('where fewer bars are left than the ring holds, those before them are gone, not made up', () => {
  const store = restored(filled(300), 110);
  assert.is(store.asOf(0, BARS[189]!.tsEventNs), 189, 'before the first restored bar');
  assert.is(store.tsEventNs(0, 189), 0n);
  assert.is(store.obstacle(0, 288, 0n, null), 'stale-window');
  assert.is(store.obstacle(0, 289, 0n, null), null);
  assert.is(new FeatureStoreReader(store.shared).window(0, 299).kind, 'window');
});

test('of more bars than the ring holds the newest are restored', () => {
  const whole = filled(CAPACITY);
  const old = copyOf(whole, 0, CAPACITY);
  for (const bar of BARS.slice(CAPACITY, 200)) whole.append('X', bar);
  const late = copyOf(whole, 72, CAPACITY);
  const bytes = new Uint8Array(200 * BAR_BYTES);
  const both = viewStoredBars(0, bytes);
  for (const name of Object.keys(both.columns) as (keyof typeof both.columns)[]) {
    for (let k = 0; k < 200; k++) both.columns[name][k] = k < 72 ? old.columns[name][k]! : late.columns[name][k - 72]!;
  }
  const store = createStore();
  store.restore('X', both, VpinIndicator.fromState(whole.vpinState(0)));
  assert.ok(Buffer.from(store.shared.buffer).equals(Buffer.from(whole.shared.buffer)));
});

test('each added bar is told of once, after readers can see it; restored and skipped bars are not', () => {
  const told: string[] = [];
  const whole = filled(130);
  const store: FeatureStoreWriter = createStore((instrument, sequence) => {
    assert.is(new FeatureStoreReader(store.shared).newest(instrument), sequence);
    told.push(`${instrument}:${sequence}`);
  });
  store.restore('X', copyOf(whole, 3, 127), VpinIndicator.fromState(whole.vpinState(0)));
  assert.equal(told, []);
  store.append('X', BARS[129]!);
  store.append('X', BARS[130]!);
  store.append('Y', BARS[0]!);
  store.merge('X', BARS.slice(20, 133));
  assert.equal(told, ['0:130', '1:0', '0:131', '0:132']);
});

test('only a new instrument is restored, and only bars of the ring are copied', () => {
  const whole = filled(300);
  const store = restored(whole, 100);
  assert.throws(
    () => store.restore('X', copyOf(whole, 200, 100), store.createVpin()),
    /only an instrument without bars/,
  );
  assert.throws(() => copyOf(whole, 299 - CAPACITY, 5), /only bars of the ring/);
  assert.throws(() => copyOf(whole, 299, 2), /only bars of the ring/);
});

test.run();
