import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bar } from '../../src/market/bar.js';
import { INSTRUMENT_ID_BYTES_MAX } from '../../src/market/instrument-id.js';
import { featureStoreBytes, publishedAt, viewFeatureStore } from '../../src/shared-memory/feature-store-layout.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import type { StoreMemory } from '../support/store-memory.js';

const VPIN = { barsPerBucket: 2, nBuckets: 5, volumeWindow: 20, sigmaWindow: 20 };
const CAPACITY = 128;
const MIB = 1024 * 1024;
/** What a heap may grow by meanwhile. */
const SLACK_BYTES = 12 * MIB;

function newStore(instrumentsMax: number): FeatureStoreWriter {
  return new FeatureStoreWriter({ instrumentsMax, barsPerInstrument: CAPACITY, vpin: VPIN });
}

/** Values that no other instrument, bar or column has. */
function barOf(instrument: number, sequence: number): Bar {
  const level = 1000 * (instrument + 1) + sequence;
  return {
    tsEventNs: BigInt(level) * 1_000_000_000n,
    open: level + 0.25,
    high: level + 0.5,
    low: level,
    close: level + 0.125,
    volume: level + 0.75,
  };
}

test('the default store takes almost no memory until it is used, and then what was written', () => {
  const script = fileURLToPath(new URL('../support/store-memory.js', import.meta.url));
  const child = spawnSync(process.execPath, ['--expose-gc', script], { encoding: 'utf8' });
  assert.is(child.status, 0, child.stderr);
  const measured = JSON.parse(child.stdout) as StoreMemory;
  const { fullBytes, createdBytes, oneFilledBytes, someFilledBytes } = measured;
  const written = (fullBytes * measured.someCount) / measured.instrumentsMax;
  const told = JSON.stringify(measured);
  assert.ok(fullBytes > 256 * MIB, told);
  assert.ok(createdBytes < 0.05 * fullBytes, told);
  assert.ok(oneFilledBytes < 0.1 * fullBytes, told);
  assert.ok(someFilledBytes > 0.5 * written, told);
  assert.ok(someFilledBytes < 2 * written + SLACK_BYTES, told);
});

test('the views of a store lie side by side and fill its buffer', () => {
  for (const instrumentsMax of [1, 3, 4096]) {
    const buffer = new SharedArrayBuffer(featureStoreBytes(instrumentsMax, CAPACITY));
    const { columns, ...rest } = viewFeatureStore({ buffer, instrumentsMax, barsPerInstrument: CAPACITY });
    const views = [...Object.values(rest), ...Object.values(columns)].sort((a, b) => a.byteOffset - b.byteOffset);
    let end = 0;
    for (const view of views) {
      assert.is(view.byteOffset, end);
      end += view.byteLength;
    }
    assert.is(end, buffer.byteLength);
    assert.ok(publishedAt(1) * Int32Array.BYTES_PER_ELEMENT >= 64, 'a published word is alone on its line');
  }
});

test('instruments that are written in turns keep their own columns', () => {
  const instruments = 7;
  const store = newStore(instruments);
  const total = 2 * CAPACITY + 5;
  for (let sequence = 0; sequence < total; sequence++)
    for (let k = 0; k < instruments; k++) store.append(`instrument ${k}`, barOf(k, sequence));

  const reader = new FeatureStoreReader(store.shared);
  const { tsEventNs, open } = viewFeatureStore(store.shared);
  for (let k = 0; k < instruments; k++) {
    assert.is(reader.nameOf(k), `instrument ${k}`);
    assert.is(reader.newest(k), total - 1);
    const window = reader.window(k, total - 1);
    if (window.kind !== 'window') throw new Error(window.kind);
    const { base, mask, high, low, close, volume, logReturn } = window.columns;
    for (let sequence = total - 100; sequence < total; sequence++) {
      const at = base + (sequence & mask);
      const bar = barOf(k, sequence);
      assert.is(tsEventNs[at], bar.tsEventNs);
      assert.equal([open[at], high[at], low[at]], [bar.open, bar.high, bar.low]);
      assert.equal([close[at], volume[at]], [bar.close, bar.volume]);
      assert.is(logReturn[at], Math.log(bar.close) - Math.log(barOf(k, sequence - 1).close));
    }
  }
});

test('an instrument that was never written to has no bar, whoever its neighbours are', () => {
  const store = newStore(3);
  store.register('before');
  store.register('silent');
  for (let sequence = 0; sequence < 300; sequence++) {
    store.append('before', barOf(0, sequence));
    store.append('after', barOf(2, sequence));
  }
  const reader = new FeatureStoreReader(store.shared);
  assert.is(reader.newest(1), -1);
  const { base, mask, ...columns } = reader.columnsOf(1);
  for (const [name, column] of Object.entries(columns))
    assert.ok(
      column.subarray(base, base + mask + 1).every((value) => value === 0),
      name,
    );
});

test('an instrument id that is too long, empty or ill-formed is refused, and takes no place', async () => {
  const store = newStore(1);
  const refused = ['', 'a\uD800', 'x'.repeat(INSTRUMENT_ID_BYTES_MAX + 1), 'é'.repeat(INSTRUMENT_ID_BYTES_MAX / 2 + 1)];
  for (const id of refused) {
    for (const call of [() => store.register(id), () => store.append(id, barOf(0, 0))]) {
      const { code, field } = await refusalOf(call);
      assert.equal([code, field], ['INVALID_INSTRUMENT', 'instrumentId']);
    }
    assert.is(store.indexOf(id), -1);
  }
  const longest = `${'é'.repeat((INSTRUMENT_ID_BYTES_MAX - 1) / 2)}x`;
  assert.is(store.register(longest), 0);
  assert.is(new FeatureStoreReader(store.shared).nameOf(0), longest);
});

test('an instrument id reads the same in every view of the store', () => {
  const ids = fc.uniqueArray(
    fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      fc.constantFrom('BTC-PERP', '株式', 'Ωmega', '₿🚀'),
    ),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(ids, (names) => {
      const fitting = names.filter((name) => Buffer.byteLength(name) <= INSTRUMENT_ID_BYTES_MAX);
      const store = newStore(8);
      for (const [index, name] of fitting.entries()) assert.is(store.register(name), index);
      const reader = new FeatureStoreReader(structuredClone(store.shared));
      for (const [index, name] of fitting.entries()) {
        assert.is(reader.nameOf(index), name);
        assert.is(store.register(name), index, 'known by now');
      }
    }),
    { seed: 11, numRuns: PROPERTY_RUNS },
  );
});

test('an instrument id that begins with a byte order mark keeps it', () => {
  const store = newStore(2);
  store.register('X');
  const marked = '\uFEFFX';
  assert.is(store.register(marked), 1);
  assert.is(new FeatureStoreReader(store.shared).nameOf(1), marked);
});

test.run();
