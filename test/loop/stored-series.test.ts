import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type SeriesSource, type StoredSeriesOptions, storedSeries } from '../../src/loop/stored-series.js';
import { decodeBundle } from '../../src/model/bundle-codec.js';
import { primarySides } from '../../src/primary/primary-signal.js';
import { BAR_BYTES, type StoredBars, viewStoredBars } from '../../src/shared-memory/stored-bars.js';
import type { SignalRecord } from '../../src/state/records.js';
import { trainModel } from '../../src/training/train-model.js';
import { featureSetOf } from '../../src/training/training-plan.js';
import type { TrainingSeries } from '../../src/training/training-series.js';
import { buildTrainingSet, type TrainingSet } from '../../src/training/training-set.js';
import { ManualClock } from '../support/manual-clock.js';
import { randomBars } from '../support/market.js';
import { HINT, plantedPlan, plantedSeries } from '../support/planted.js';
import { feed, openRecorded, readRecorded, temporaryDirectory, tidyUp } from '../support/recorded-runs.js';

test.after(tidyUp);

const BARS = 1300;
const MARKET = plantedSeries(BARS, 41, 0.8);
const PLAN = plantedPlan({ rounds: 5, trainBars: 900, testBars: 300 });
const OPTIONS: StoredSeriesOptions = {
  barsMax: 60_000,
  userFeatures: [HINT],
  namesAt: () => [HINT],
  primarySignal: null,
  clock: new ManualClock(),
};

let recording: Promise<string> | undefined;

/** Where a live run over {@link MARKET} is recorded. */
function recorded(): Promise<string> {
  recording ??= (async () => {
    const dataDir = await temporaryDirectory();
    const { system } = await openRecorded(dataDir);
    await feed(system, MARKET, 0, BARS);
    await system.stop();
    return dataDir;
  })();
  return recording;
}

async function seriesOf(options: Partial<StoredSeriesOptions> = {}): Promise<TrainingSeries[]> {
  return readRecorded(await recorded(), (stored) => storedSeries(stored, { ...OPTIONS, ...options }));
}

async function modelIdOf(series: readonly TrainingSeries[]): Promise<string> {
  const request = { createdAtNs: 5n, attempt: 1, incumbent: null, alpha: null, testedUntilNs: null, force: true };
  const hooks = { clock: new ManualClock(), onProgress: () => undefined, isCancelled: () => false };
  return decodeBundle((await trainModel({ series, plan: PLAN, ...request }, hooks)).bundle).modelId;
}

function setOf(series: readonly TrainingSeries[]): TrainingSet {
  return buildTrainingSet(series, featureSetOf(PLAN), PLAN.labels, PLAN.vpin);
}

test('a training on what was recorded equals one on the series itself, bit for bit', async () => {
  assert.is(await modelIdOf(await seriesOf()), await modelIdOf([MARKET]));
});

test('where the first bars are no longer kept, every row with a whole history is the one that was seen live', async () => {
  const barsMax = 800;
  const whole = setOf([MARKET]);
  const [series] = await seriesOf({ barsMax });
  const part = setOf([series!]);
  const first = BARS - barsMax;
  const rowsOf = ({ rows, columnCount, bar }: TrainingSet, offset: number): Map<number, Float32Array> =>
    new Map([...bar].map((at, row) => [at + offset, rows.slice(row * columnCount, (row + 1) * columnCount)]));
  const [wanted, found] = [rowsOf(whole, 0), rowsOf(part, first)];
  const bars = [...wanted.keys()].filter((bar) => bar >= first + 99);
  assert.equal([...found.keys()], bars);
  assert.ok(bars.length > 300);
  for (const bar of bars) assert.equal([...found.get(bar)!], [...wanted.get(bar)!], `bar ${bar}`);
});

/** A few bars with signals on them, as a store would give them, a block at a time. */
function sourceOf(
  instruments: Readonly<Record<string, number>>,
  signals: readonly Pick<SignalRecord, 'instrumentId' | 'asOf' | 'side' | 'timestampNs' | 'userValues'>[],
  blockBars = 64,
): SeriesSource {
  const blocks = (count: number, from: number): StoredBars[] => {
    const bars = randomBars(count, 3);
    const found: StoredBars[] = [];
    for (let first = from; first < count; first += blockBars) {
      const size = Math.min(blockBars, count - first);
      const block = viewStoredBars(first, new Uint8Array(size * BAR_BYTES));
      const { columns } = block;
      for (const name of ['tsEventNs', 'open', 'high', 'low', 'close', 'volume'] as const) {
        columns[name].set(bars[name].subarray(first, first + size) as never);
      }
      for (let k = 0; k < size; k++) columns.vpin[k] = (first + k) / 1000;
      found.push(block);
    }
    return found;
  };
  const ids = Object.keys(instruments);
  return {
    instrument: (index) => {
      const instrumentId = ids[index];
      if (instrumentId === undefined) return null;
      return { index, instrumentId, firstSequence: 0, newest: instruments[instrumentId]! - 1 };
    },
    barsOf: ({ instrumentId }, from) => blocks(instruments[instrumentId]!, from),
    signal: (ordinal) => (signals as readonly SignalRecord[])[ordinal] ?? null,
    signals: () => signals as readonly SignalRecord[],
    signalExtent: () => (signals.length === 0 ? null : { first: 0, newest: signals.length - 1 }),
  };
}

const signal = (
  instrumentId: string,
  asOf: number,
  side: -1 | 1,
  hint = 0,
): ReturnType<SeriesSource['signals']> extends Iterable<infer S> ? S : never =>
  ({ instrumentId, asOf, side, timestampNs: 0n, degraded: null, userValues: Float64Array.of(hint) }) as SignalRecord;

test('bars come back as they were, with the toxicity that was stored with them', async () => {
  const bars = randomBars(150, 3);
  const [series] = await storedSeries(sourceOf({ A: 150 }, [signal('A', 20, 1)], 37), OPTIONS);
  for (const name of ['tsEventNs', 'open', 'high', 'low', 'close', 'volume'] as const)
    assert.equal(series!.bars[name], bars[name], name);
  assert.equal(
    series!.toxicity,
    Float64Array.from({ length: 150 }, (_, k) => k / 1000),
  );
  assert.ok(series!.bars.close.buffer instanceof SharedArrayBuffer, 'a training thread takes it without a copy');
});

test('of several signals on a bar the newest counts, with its own features', async () => {
  const signals = [signal('A', 10, 1, 5), signal('A', 11, 1, 6), signal('A', 10, -1, 7)];
  const [series] = await storedSeries(sourceOf({ A: 20 }, signals), OPTIONS);
  assert.equal([series!.sides![10], series!.sides![11]], [-1, 1]);
  assert.equal([...series!.features![HINT]!.subarray(9, 12)], [Number.NaN, 7, 6]);
});

test('a signal that did not see a bar it should have seen is not learned from', async () => {
  const { tsEventNs } = randomBars(20, 3);
  const missing = { ...signal('A', 10, 1), timestampNs: tsEventNs[10]!, degraded: 'bar-missing' as const };
  const late = { ...signal('A', 12, 1), timestampNs: tsEventNs[13]! };
  const between = { ...signal('A', 14, 1), timestampNs: tsEventNs[14]! + 1n };
  const [series] = await storedSeries(sourceOf({ A: 20 }, [missing, late, between]), OPTIONS);
  assert.equal([series!.sides![10], series!.sides![12], series!.sides![14]], [0, 0, 1]);
  assert.is(series!.decidedNs![14], tsEventNs[14]! + 1n);
});

test('signals of many instruments go to their own bars, and those without a signal are left out', async () => {
  const signals = [
    signal('B', 3, -1),
    signal('A', 4, 1),
    signal('gone', 1, 1),
    signal('A', -1, 1),
    signal('B', 900, 1),
  ];
  const series = await storedSeries(sourceOf({ A: 30, B: 50, C: 40 }, signals), OPTIONS);
  assert.equal(
    series.map(({ instrumentId, bars, sides }) => [instrumentId, bars.length, sides!.findIndex((side) => side !== 0)]),
    [
      ['A', 30, 4],
      ['B', 50, 3],
    ],
  );
  assert.is(series[1]!.sides!.filter((side) => side !== 0).length, 1);
});

test('only the newest bars are taken, and signals on older ones left out', async () => {
  const [series] = await storedSeries(sourceOf({ A: 200 }, [signal('A', 5, 1), signal('A', 150, -1)]), {
    ...OPTIONS,
    barsMax: 100,
  });
  assert.equal([series!.bars.length, series!.sides!.findIndex((side) => side !== 0)], [100, 50]);
  assert.is(series!.bars.tsEventNs[0], randomBars(200, 3).tsEventNs[100]);
});

test('a configured primary signal fills in what is missing before the first recorded side, and nothing after it', async () => {
  const options = { ...OPTIONS, primarySignal: 'momentum' as const };
  const source = sourceOf({ A: 400, C: 300 }, [signal('A', 200, 1), signal('A', 250, -1)]);
  const [a, c] = await storedSeries(source, options);
  const wanted = primarySides('momentum', randomBars(400, 3));
  assert.equal(a!.sides!.subarray(0, 200), wanted.subarray(0, 200));
  assert.equal(
    [...a!.sides!.subarray(200)].flatMap((side, k) => (side === 0 ? [] : [[k, side]])),
    [
      [0, 1],
      [50, -1],
    ],
  );
  assert.equal(c!.sides, primarySides('momentum', randomBars(300, 3)));
});

test('with five thousand recorded sides nothing is filled in', async () => {
  const options = { ...OPTIONS, primarySignal: 'momentum' as const };
  const many = (count: number): SignalRecord[] => Array.from({ length: count }, (_, k) => signal('A', 300 + k, 1));
  const filled = (series: TrainingSeries): number => series.sides!.subarray(0, 300).filter((side) => side !== 0).length;
  const [few] = await storedSeries(sourceOf({ A: 5400 }, many(4999)), options);
  const [enough] = await storedSeries(sourceOf({ A: 5400 }, many(5000)), options);
  assert.ok(filled(few!) > 0);
  assert.is(filled(enough!), 0);
});

test('reading gives other events their turn', async () => {
  const clock = new ManualClock();
  // Every look at it finds more than half a slice gone.
  const slow = {
    epochNs: () => clock.epochNs(),
    monotonicNs: () => {
      clock.advanceNs(600_000);
      return clock.monotonicNs();
    },
  };
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  await storedSeries(sourceOf({ A: 2000 }, [signal('A', 20, 1)], 20), { ...OPTIONS, clock: slow });
  clearInterval(timer);
  assert.ok(turns > 0, `${turns} turns`);
});

test('values that were recorded under other names are not taken for those of now', async () => {
  const signals = [signal('A', 20, 1, 0.25), signal('A', 30, 1, 0.75)].map((one, ordinal) => ({ ...one, ordinal }));
  const namesAt = (ordinal: number): readonly string[] => (ordinal === 0 ? ['of old'] : [HINT]);
  const [series] = await storedSeries(sourceOf({ A: 150 }, signals, 37), { ...OPTIONS, namesAt });
  const values = series!.features![HINT]!;
  assert.ok(Number.isNaN(values[20]!));
  assert.is(values[30], 0.75);
});

test.run();
