import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { publishedAt, viewFeatureStore } from '../../src/shared-memory/feature-store-layout.js';
import { FeatureStoreReader } from '../../src/shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import {
  PHASES,
  phasedBar,
  phasedColumns,
  RACE_CAPACITY,
  RACE_COLUMNS,
  RACE_VPIN,
  WindowRace,
} from '../support/phased-bars.js';
import { RACE_WINDOWS } from '../support/sizes.js';
import { unlessHung, withThread } from '../support/threads.js';

/** Torn windows the control must have taken before the race may end. */
const CONTROL_TORN_MIN = 100;
const SLICE_BARS = 2000;
/** Far more than any race takes: then the control cannot fail and proves nothing. */
const BARS_MAX = 100 * RACE_WINDOWS + 20_000_000;

function newStore(): FeatureStoreWriter {
  return new FeatureStoreWriter({ instrumentsMax: 1, barsPerInstrument: RACE_CAPACITY, vpin: RACE_VPIN });
}

test('the bars of the race repeat in every column, and no bar looks like the one it overwrites', () => {
  const columns = phasedColumns();
  const store = newStore();
  const reader = new FeatureStoreReader(store.shared);
  for (let sequence = 0; sequence < 8 * PHASES; sequence++) {
    store.append('X', phasedBar(sequence));
    if (sequence < 2 * PHASES) continue;
    const { base, mask, ...stored } = reader.columnsOf(0);
    for (const [c, name] of RACE_COLUMNS.entries()) {
      const value = stored[name][base + (sequence & mask)];
      assert.is(value, columns[c]![sequence % PHASES], `${name} of bar ${sequence}`);
    }
  }
  for (const name of ['high', 'low', 'close', 'volume'] as const) {
    const column = columns[RACE_COLUMNS.indexOf(name)]!;
    for (let phase = 0; phase < PHASES; phase++)
      assert.is.not(column[phase], column[(phase + RACE_CAPACITY) % PHASES], `${name} of phase ${phase}`);
  }
});

test('half a bar that is not published yet spoils the oldest window, which is refused, and no other', () => {
  const store = newStore();
  const newest = 5 * PHASES;
  for (let sequence = 0; sequence <= newest; sequence++) store.append('X', phasedBar(sequence));
  const { columns } = viewFeatureStore(store.shared);
  const place = (newest + 1) % RACE_CAPACITY;
  columns.high[place] = phasedBar(newest + 1).high;
  columns.low[place] = phasedBar(newest + 1).low;

  const reader = new FeatureStoreReader(store.shared);
  const spoilt = newest + 1 - RACE_CAPACITY;
  const { close, high } = phasedBar(spoilt);
  assert.is(columns.close[place], close, 'still the old bar');
  assert.is.not(columns.high[place], high, 'already the new one');
  assert.not(reader.isIntact(0, spoilt + 99));
  assert.equal(reader.window(0, spoilt + 99), { kind: 'stale-window', asOf: spoilt + 99 });
  assert.ok(reader.isIntact(0, spoilt + 100));
  assert.is(reader.window(0, spoilt + 100).kind, 'window');
  assert.is(Atomics.load(viewFeatureStore(store.shared).published, publishedAt(0)), newest + 1);
});

test('a reader racing the writer never takes a torn window, and would with a check that allows one bar more', async () => {
  const store = newStore();
  for (let sequence = 0; sequence < 4 * PHASES; sequence++) store.append('X', phasedBar(sequence));
  const bars = Array.from({ length: PHASES }, (_, phase) => phasedBar(phase));
  const counts = new SharedArrayBuffer(WindowRace.words * Int32Array.BYTES_PER_ELEMENT);
  const words = new Int32Array(counts);
  const isOver = (): boolean =>
    Atomics.load(words, WindowRace.torn) > 0 ||
    (Atomics.load(words, WindowRace.accepted) >= RACE_WINDOWS &&
      Atomics.load(words, WindowRace.controlTorn) >= CONTROL_TORN_MIN);

  await withThread('window-reader', { store: store.shared, counts }, async (worker) => {
    const stopped = once(worker, 'message');
    let sequence = 4 * PHASES;
    while (!isOver() && sequence < BARS_MAX) {
      for (let k = 0; k < SLICE_BARS; k++, sequence++) {
        const tsEventNs = BigInt(sequence + 1) * 60_000_000_000n;
        store.append('X', { ...bars[sequence % PHASES]!, tsEventNs });
      }
    }
    Atomics.store(words, WindowRace.stop, 1);
    await unlessHung(stopped, 'the reader does not stop');
    const [accepted, torn, controlTorn] = words;
    console.log(`${sequence} bars written, ${accepted} windows taken, ${torn} torn; ${controlTorn} by the control`);
    assert.is(torn, 0);
    assert.ok(accepted! >= RACE_WINDOWS, `${accepted} windows were whole`);
    assert.ok(controlTorn! >= CONTROL_TORN_MIN, `the control took ${controlTorn} torn windows`);
  });
});

test.run();
