import fc from 'fast-check';
import { open } from 'lmdb';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { capturedLog } from '../support/captured-log.js';
import { firstDifference } from '../support/first-difference.js';
import { STATE_RESTARTS, UNPAUSED_BARS } from '../support/sizes.js';
import { inDirectory, openWired, STATE_VPIN, stateBar, stateOutcome, stateSignal } from '../support/state.js';

/** A feature store that never stopped. */
function createWhole(barsPerInstrument: number): FeatureStoreWriter {
  return new FeatureStoreWriter({ instrumentsMax: 8, barsPerInstrument, vpin: STATE_VPIN });
}

/** Every bar that may be read, of every column, by its bits: the slot that the next bar goes to is nobody's. */
function assertSame(found: FeatureStoreWriter, expected: FeatureStoreWriter): void {
  assert.is(found.instrumentCount, expected.instrumentCount);
  for (let k = 0; k < expected.instrumentCount; k++) {
    assert.is(found.idOf(k), expected.idOf(k));
    assert.is(found.newest(k), expected.newest(k));
    assert.equal(found.vpinState(k), expected.vpinState(k));
  }
  assert.ok(
    Buffer.from(found.shared.buffer).equals(Buffer.from(expected.shared.buffer)),
    'the same bits in shared memory',
  );
}

/** Runs of bars of two instruments with a stop after each, and a commit after every so many bars, against a feature store that never stops. */
async function checkRestarts(plan: readonly (readonly number[])[], capacity: number, perCommit: number): Promise<void> {
  await inDirectory(async (dataDir) => {
    const counts = [0, 0];
    const whole = createWhole(capacity);
    for (const added of plan) {
      const { features, journal, store } = await openWired(dataDir, () => counts, { barsPerInstrument: capacity });
      store.restoreWindows();
      for (const [k, count] of added.entries()) {
        for (let n = 0; n < count; n++) {
          const bar = stateBar(counts[k]!++ + k);
          features.append(`I${k}`, bar);
          whole.append(`I${k}`, bar);
          if (counts[k]! % perCommit === 0) await journal.staged.recorded;
        }
      }
      await store.close();
    }
    const { features, store } = await openWired(dataDir, () => counts, { barsPerInstrument: capacity });
    const restored = store.restoreWindows();
    assert.is(
      restored.bars,
      counts.reduce((sum, count) => sum + Math.min(count, capacity), 0),
    );
    assertSame(features, whole);
    for (const [k, count] of counts.entries()) {
      const closes = [...store.stored.bars(`I${k}`)].flatMap((bars) => [...bars.columns.close]);
      const expected = Array.from({ length: count }, (_, n) => stateBar(n + k).close);
      assert.is(firstDifference(closes, expected), -1);
    }
    await store.close();
  });
}

test('windows, sequence numbers and VPIN go on after any number of restarts as if the process had never stopped, in rings of every size', async () => {
  const run = fc.array(fc.nat(330), { minLength: 2, maxLength: 2 });
  const plans = fc.array(run, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(plans, fc.constantFrom(128, 256, 1024), fc.integer({ min: 3, max: 300 }), checkRestarts),
    { seed: 5, numRuns: STATE_RESTARTS },
  );
});

test('bars fed without a pause are all stored, although the ring holds far fewer', async () => {
  await inDirectory(async (dataDir) => {
    const { features, journal, store } = await openWired(dataDir, () => 0, { barsPerInstrument: 128 });
    for (let k = 0; k < UNPAUSED_BARS; k++) features.append('X', stateBar(k));
    assert.is(journal.stagedBytes, UNPAUSED_BARS * 72);
    await journal.flush();
    assert.is(journal.stagedBytes, 0);
    let next = 0;
    for (const { firstSequence, count, columns } of store.stored.bars('X')) {
      assert.is(firstSequence, next);
      for (const close of columns.close)
        if (close !== stateBar(next++).close) throw new Error(`bar ${next - 1} differs`);
      assert.is(next, firstSequence + count);
    }
    assert.is(next, UNPAUSED_BARS);
    await store.close();
  });
});

test('a complete block takes the place of its pieces', async () => {
  await inDirectory(async (dataDir) => {
    const { features, journal, store } = await openWired(dataDir, () => 0, { barsPerInstrument: 128 });
    for (let k = 0; k < 600; k++) {
      features.append('X', stateBar(k));
      if (k % 20 === 0) await journal.flush();
    }
    await store.close();
    const root = open<Buffer, string>({ path: dataDir, noSubdir: false, encoding: 'binary', overlappingSync: false });
    const bars = root.openDB<Buffer, [number, number]>('bars', { encoding: 'binary' });
    const firsts = [...bars.getKeys()].map(([, first]) => first);
    assert.equal(firsts.slice(0, 3), [0, 256, 512]);
    assert.ok(firsts.length > 5, 'the last block is still in pieces');
    await root.close();
  });
});

test('a range of bars comes without what lies outside it', async () => {
  await inDirectory(async (dataDir) => {
    const { features, journal, store } = await openWired(dataDir, () => 0);
    for (let k = 0; k < 700; k++) {
      features.append('X', stateBar(k));
      features.append('Y', stateBar(k + 1));
      if (k % 100 === 0) await journal.flush();
    }
    await journal.flush();
    for (const [from, to] of [
      [0, 0],
      [255, 256],
      [100, 650],
      [699, 5000],
      [512, 511],
      [-5, 3],
    ] as const) {
      const closes = [...store.stored.bars('Y', from, to)].flatMap((bars) => [...bars.columns.close]);
      const expected = Array.from({ length: 700 }, (_, k) => k).filter((k) => k >= from && k <= to);
      assert.is(
        firstDifference(
          closes,
          expected.map((k) => stateBar(k + 1).close),
        ),
        -1,
        `${from} to ${to}`,
      );
    }
    assert.equal([...store.stored.bars('Z')], []);
    await store.close();
  });
});

test('a larger ring takes back what the smaller one had forgotten, and a smaller one the newest', async () => {
  await inDirectory(async (dataDir) => {
    const first = await openWired(dataDir, () => 0, { barsPerInstrument: 256 });
    for (let k = 0; k < 900; k++) first.features.append('I0', stateBar(k));
    await first.store.close();
    for (const barsPerInstrument of [1024, 128]) {
      const { features, store } = await openWired(dataDir, () => 0, { barsPerInstrument });
      assert.is(store.restoreWindows().bars, Math.min(900, barsPerInstrument));
      const whole = createWhole(barsPerInstrument);
      for (let k = 0; k < 900; k++) whole.append('I0', stateBar(k));
      assertSame(features, whole);
      await store.close();
    }
  });
});

test('VPIN that is configured anew begins anew, says so, and does not go on from a state of other parameters', async () => {
  await inDirectory(async (dataDir) => {
    const first = await openWired(dataDir, () => 0);
    for (let k = 0; k < 600; k++) first.features.append('X', stateBar(k));
    await first.store.close();
    const { logger, lines } = capturedLog();
    const { features, store } = await openWired(dataDir, () => 0, { logger, vpin: { ...STATE_VPIN, nBuckets: 7 } });
    store.restoreWindows();
    assert.is(lines.filter(({ level }) => level === 40).length, 1);
    const fresh = features.createVpin();
    for (let k = 600 - 256; k < 600; k++) fresh.update(stateBar(k));
    assert.equal(features.vpinState(0), fresh.toState());
    await store.close();
  });
});

test('blocks that age or count outdates go, those of the windows and signals from the floor on stay', async () => {
  await inDirectory(async (dataDir) => {
    let floor = 1000;
    const retention = { days: 1e6, signals: 100, barsPerInstrument: 1000, ordinalFloor: () => floor };
    const { features, journal, store } = await openWired(dataDir, () => 0, { retention, barsPerInstrument: 128 });
    for (let k = 0; k < 5000; k++) {
      features.append('X', stateBar(k));
      journal.signal(stateSignal(k));
      journal.outcome(stateOutcome(k));
      if (k % 50 === 0) await journal.flush();
    }
    for (let k = 0; k < 20; k++) await journal.flush();
    assert.is(store.stored.instruments()[0]!.firstSequence, 3840, 'the newest 1000, and what is left of their block');
    assert.equal(store.stored.signalExtent(), { first: 1000, newest: 4999 });
    floor = Number.POSITIVE_INFINITY;
    for (let k = 0; k < 20; k++) await journal.flush();
    assert.equal(
      [...store.stored.outcomes()].map(({ ordinal }) => ordinal),
      Array.from({ length: 100 }, (_, k) => 4900 + k),
    );
    await store.close();
    const again = await openWired(dataDir, () => 0, { retention, barsPerInstrument: 128 });
    again.store.restoreWindows();
    assert.is(again.features.newest(0), 4999);
    await again.store.close();
  });
});

test('a day that has passed in the data outdates what is older, and a bar from the future outdates nothing', async () => {
  await inDirectory(async (dataDir) => {
    const retention = { days: 1, signals: 1e9, barsPerInstrument: 1e9, ordinalFloor: () => Number.POSITIVE_INFINITY };
    const { features, journal, store } = await openWired(dataDir, () => 0, { retention, barsPerInstrument: 128 });
    const future = BigInt(Date.now()) * 1_000_000n + 400n * 86_400_000_000_000n;
    features.append('F', { ...stateBar(0), tsEventNs: future });
    // Minute bars: 1440 make a day.
    for (let k = 0; k < 4000; k++) {
      features.append('X', stateBar(k));
      journal.signal(stateSignal(k));
      if (k % 200 === 0) await journal.flush();
    }
    for (let k = 0; k < 100; k++) await journal.flush();
    const x = store.stored.instruments().find(({ instrumentId }) => instrumentId === 'X')!;
    assert.is(x.firstSequence, 2304, 'the block that ends at bar 2559 holds the last bar of the day before');
    assert.is(store.stored.signalExtent()!.first, 4000 - 1 - 1440);
    await store.close();
  });
});

test.run();
