import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SharedFeatureStore } from '../../src/shared-memory/feature-store-layout.js';
import { BAR_VALUES } from '../../src/shared-memory/stored-bars.js';
import { ByteReader, ByteWriter } from '../../src/state/byte-stream.js';
import {
  decodeOutcome,
  decodeSignal,
  decodeValue,
  encodeOutcome,
  encodeSignal,
  encodeValue,
} from '../../src/state/record-codec.js';
import type { OutcomeRecord, SignalRecord } from '../../src/state/records.js';
import { firstDifference } from '../support/first-difference.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { inDirectory, openWired, stateBar, stateOutcome, stateSignal } from '../support/state.js';

const number = fc.double();
const instant = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const ordinal = fc.nat(Number.MAX_SAFE_INTEGER);
/** Any bits, every NaN among them. */
const bits = (count: number) => fc.uint8Array({ minLength: count, maxLength: count });
const floats = fc.nat(9).chain((count) => bits(8 * count).map((bytes) => new Float64Array(bytes.slice().buffer)));
const singles = fc.nat(30).chain((count) => bits(4 * count).map((bytes) => new Float32Array(bytes.slice().buffer)));

const PLAIN = { noNullPrototype: true } as const;

const stake = fc.record(
  { wins: fc.constantFrom(0 as const, 1 as const), reserves: fc.array(number), payouts: fc.array(number) },
  PLAIN,
);

const signals: fc.Arbitrary<SignalRecord> = fc.record(
  {
    ordinal,
    signalId: text,
    instrumentId: text,
    side: fc.constantFrom(-1 as const, 1 as const),
    timestampNs: instant,
    asOf: number,
    asOfNs: instant,
    generation: number,
    modelId: text,
    confidence: number,
    regimeWeight: number,
    toxicity: number,
    size: number,
    sizeReason: fc.option(text),
    modelAvailable: fc.boolean(),
    regimeAvailable: fc.boolean(),
    toxicityAvailable: fc.boolean(),
    degraded: fc.constantFrom(null, 'deadline', 'worker-failed', 'stale-window', 'insufficient-history', 'stale-bars'),
    latencyNs: number,
    userValues: floats,
    row: singles,
    rival: fc.option(fc.record({ modelId: text, confidence: number, watch: ordinal, stake }, PLAIN)),
  },
  PLAIN,
);

const outcomes: fc.Arbitrary<OutcomeRecord> = fc.record(
  {
    ordinal,
    signalId: text,
    instrumentId: text,
    outcome: fc.constantFrom('profit', 'stop', 'timeout', 'censored', 'expired'),
    source: fc.constantFrom('barriers', 'user'),
    metaLabel: fc.constantFrom(0, 1, null),
    grossReturn: fc.option(number),
    netReturn: fc.option(number),
    grossR: fc.option(number),
    ambiguous: fc.boolean(),
    exitSequence: number,
    exitNs: instant,
  },
  PLAIN,
);

/** Bytes, so that one NaN is not taken for another. */
function bytesOf(values: ArrayBufferView): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

test('signals and outcomes come back bit for bit, however many lie in one buffer', () => {
  fc.assert(
    fc.property(
      fc.array(signals, { maxLength: 20 }),
      fc.array(outcomes, { maxLength: 20 }),
      (someSignals, someOutcomes) => {
        const writer = new ByteWriter();
        const encoded = someSignals.map((signal) => encodeSignal(writer, signal));
        const encodedOutcomes = someOutcomes.map((outcome) => encodeOutcome(writer, outcome));
        const read = someSignals.map((signal, k) =>
          decodeSignal(signal.ordinal, writer.view(encoded[k]!.start, encoded[k]!.end)),
        );
        assert.is(firstDifference(read, someSignals), -1);
        for (const [k, { row, userValues }] of someSignals.entries()) {
          assert.ok(
            bytesOf(read[k]!.row).equals(bytesOf(row)) && bytesOf(read[k]!.userValues).equals(bytesOf(userValues)),
          );
        }
        const readOutcomes = someOutcomes.map((outcome, k) =>
          decodeOutcome(outcome.ordinal, writer.view(encodedOutcomes[k]!.start, encodedOutcomes[k]!.end)),
        );
        assert.is(firstDifference(readOutcomes, someOutcomes), -1);
      },
    ),
    { seed: 7, numRuns: PROPERTY_RUNS },
  );
});

test('a buffer that grows keeps what is written, whichever write makes it grow', () => {
  const room = 4096;
  for (let start = room - 60; start <= room; start++) {
    const writer = new ByteWriter();
    writer.room(start);
    writer.u8(7);
    writer.f64(-0);
    writer.u32(2 ** 32 - 1);
    writer.i64(-5n);
    writer.text('ä€');
    writer.numbers(Float32Array.of(1.5));
    const reader = new ByteReader(writer.view(start, writer.length));
    const read = [
      reader.u8(),
      reader.f64(),
      reader.u32(),
      reader.i64(),
      reader.text(),
      new Float32Array(reader.numbers()),
    ];
    assert.is(firstDifference(read, [7, -0, 2 ** 32 - 1, -5n, 'ä€', Float32Array.of(1.5)]), -1, `from ${start} on`);
    assert.ok(reader.atEnd);
    assert.throws(() => reader.u8(), RangeError);
  }
});

test('a record with one wrong bit, or under the key of another, is damaged', async () => {
  const writer = new ByteWriter();
  const { start, end } = encodeSignal(writer, stateSignal(17));
  for (let bit = 0; bit < 8 * (end - start); bit += 5) {
    const copy = Buffer.from(writer.view(start, end));
    copy[bit >> 3]! ^= 1 << (bit & 7);
    assert.is((await refusalOf(() => decodeSignal(17, copy))).code, 'STORE_DAMAGED', `bit ${bit}`);
  }
  assert.is((await refusalOf(() => decodeSignal(18, writer.view(start, end)))).code, 'STORE_DAMAGED');
  assert.is((await refusalOf(() => decodeSignal(17, Buffer.alloc(3)))).code, 'STORE_DAMAGED');
});

test('a snapshot keeps bigints, typed arrays, maps, and the sign of 0', () => {
  const snapshot = {
    a: -0,
    b: 2n ** 80n,
    c: Float64Array.of(Number.NaN, -0),
    d: Uint8Array.of(1, 2),
    e: new Map([['k', [null, undefined]]]),
  };
  assert.is(firstDifference([decodeValue(encodeValue(snapshot, 'x'), 'x')], [snapshot]), -1);
});

test('bars keep every bit of every column', async () => {
  const capacity = 1024;
  await fc.assert(
    // Up to the block's end, at which a bar is copied before anything else can be put in its place.
    fc.asyncProperty(fc.integer({ min: 1, max: 255 }), fc.infiniteStream(bits(8)), async (count, words) => {
      await inDirectory(async (dataDir) => {
        const { features, journal, store } = await openWired(dataDir, () => 0, { barsPerInstrument: capacity });
        for (let k = 0; k < count; k++) {
          features.append('X', stateBar(k));
          for (const name of BAR_VALUES) valueIn(features.shared, name, k).set(words.next().value!);
        }
        await journal.flush();
        const [stored] = store.stored.bars('X');
        for (const name of BAR_VALUES) {
          const ring = Buffer.concat(Array.from({ length: count }, (_, k) => valueIn(features.shared, name, k)));
          assert.ok(bytesOf(stored!.columns[name]).equals(ring), name);
        }
        assert.is(stored!.columns.tsEventNs.at(-1), stateBar(count - 1).tsEventNs);
        await store.close();
      });
    }),
    { seed: 3, numRuns: 5 },
  );
});

/** The bytes of one value of the first instrument, found as the layout of the feature store says. */
function valueIn(shared: SharedFeatureStore, name: (typeof BAR_VALUES)[number], slot: number): Uint8Array {
  const { buffer, instrumentsMax, barsPerInstrument } = shared;
  const valuesAt = instrumentsMax * (64 + 128);
  const column = instrumentsMax * barsPerInstrument * (1 + BAR_VALUES.indexOf(name));
  return new Uint8Array(buffer, valuesAt + 8 * (column + slot), 8);
}

test('what is staged in one turn is one commit, with the snapshot of the moment it is cut', async () => {
  await inDirectory(async (dataDir) => {
    let count = 0;
    const snapshots: number[] = [];
    const { features, journal, store } = await openWired(dataDir, () => {
      snapshots.push(count);
      return { count };
    });
    const first = journal.staged;
    for (; count < 10; count++) {
      features.append('X', stateBar(count));
      journal.signal(stateSignal(count));
    }
    assert.is(journal.staged, first, 'until it is cut, everything belongs to the same commit');
    assert.equal(snapshots, []);
    await first.recorded;
    assert.equal(snapshots, [10]);
    assert.is.not(journal.staged, first);
    assert.equal(store.stored.readSnapshot(), { count: 10 });
    assert.is(store.metrics().commits, 1);
    journal.outcome(stateOutcome(3));
    journal.touch();
    await journal.flush();
    assert.is(store.metrics().commits, 2);
    await store.close();
  });
});

test('a commit that is on disk says so to whoever asks later, and nobody has to ask', async () => {
  await inDirectory(async (dataDir) => {
    const { journal, store } = await openWired(dataDir, () => 0);
    const commit = journal.staged;
    journal.touch();
    await journal.flush();
    await commit.recorded;
    await store.close();
    assert.is((await refusalOf(() => journal.flush())).code, 'STOPPED');
    assert.is((await refusalOf(() => journal.signal(stateSignal(0)))).code, 'STOPPED');
  });
});

test('an outcome replaces the one of the same ordinal; verdicts and models come back, and a forgotten model does not', async () => {
  await inDirectory(async (dataDir) => {
    const { journal, store } = await openWired(dataDir, () => 0);
    const verdict = {
      serial: 0,
      atNs: 5n,
      kind: 'reject',
      challengerId: 'b',
      championId: 'a',
      sentence: 'No.',
      figures: { t: -0, rows: [1, null] },
    };
    const model = {
      modelId: 'a',
      fileName: 'a.model',
      createdAtNs: 1n,
      role: 'champion',
      sinceNs: 2n,
      how: 'first-model',
    } as const;
    journal.outcome(stateOutcome(4));
    journal.outcome({ ...stateOutcome(4), outcome: 'stop', source: 'user' });
    journal.verdict(verdict);
    journal.model(model);
    journal.model({ ...model, role: 'previous' });
    journal.model({ ...model, modelId: 'b' });
    await journal.flush();
    journal.forgetModel('b');
    journal.forgetModel('never there');
    await store.close();
    const again = await openWired(dataDir, () => 0);
    const { stored } = again.store;
    assert.is(firstDifference(stored.outcomes(), [{ ...stateOutcome(4), outcome: 'stop', source: 'user' }]), -1);
    assert.is(firstDifference(stored.verdicts(), [verdict]), -1);
    assert.is(firstDifference(stored.models(), [{ ...model, role: 'previous' }]), -1);
    assert.equal(again.store.metrics().counts, { instruments: 0, signals: 0, outcomes: 1, verdicts: 1, models: 1 });
    await again.store.close();
  });
});

test('an instant beyond 64 bits does no harm, and a key that is none is refused when it is staged', async () => {
  await inDirectory(async (dataDir) => {
    const { journal, store } = await openWired(dataDir, () => 0);
    journal.signal({ ...stateSignal(0), timestampNs: 2n ** 70n, asOfNs: -(2n ** 70n) });
    for (const key of [-1, 0.5, Number.NaN, 2 ** 60]) {
      assert.throws(() => journal.signal({ ...stateSignal(0), ordinal: key }), /a record has a whole number/);
    }
    for (const key of ['', 'a\0', 'a'.repeat(300)]) assert.throws(() => journal.forgetModel(key), /as its key/);
    await journal.flush();
    const { timestampNs, asOfNs } = store.stored.signal(0)!;
    assert.equal([timestampNs, asOfNs], [2n ** 63n - 1n, -(2n ** 63n)]);
    await store.close();
  });
});

test('signals are read from any ordinal on, across digits and restarts', async () => {
  await inDirectory(async (dataDir) => {
    const { journal, store } = await openWired(dataDir, () => 0);
    for (const k of [0, 9, 10, 255, 256, 65_536, 2 ** 33]) journal.signal({ ...stateSignal(0), ordinal: k });
    await journal.flush();
    assert.equal(
      [...store.stored.signals(10)].map(({ ordinal: found }) => found),
      [10, 255, 256, 65_536, 2 ** 33],
    );
    assert.equal(store.stored.signalExtent(), { first: 0, newest: 2 ** 33 });
    assert.is(store.stored.signal(11), null);
    await store.close();
  });
});

test.run();
