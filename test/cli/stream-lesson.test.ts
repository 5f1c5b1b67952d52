import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { StreamLesson } from '../../src/cli/stream-lesson.js';
import { FeatureSet } from '../../src/features/feature-set.js';
import type { Bar } from '../../src/market/bar.js';
import type { SignalEvent } from '../../src/market/events.js';
import { MINUTE_NS, randomBars, seededRandom } from '../support/market.js';
import { refusalOf } from '../support/refusal.js';

const series = randomBars(200, 3);
const barAt = (index: number): Bar => series.at(index);
const LATEST_NS = series.tsEventNs[199]! + 365n * 1440n * MINUTE_NS;

function lessonOf(userFeatures: readonly string[] = []): StreamLesson {
  return new StreamLesson(new FeatureSet(undefined, userFeatures), LATEST_NS);
}

function hearBars(lesson: StreamLesson, indices: Iterable<number>, instrumentId = 'X'): void {
  for (const index of indices) lesson.hear({ kind: 'bar', instrumentId, bar: barAt(index) });
}

function hearSignal(lesson: StreamLesson, atNs: bigint, fields: Partial<SignalEvent> = {}): void {
  lesson.hear({ kind: 'signal', event: { instrumentId: 'X', signal: 1, timestamp: atNs, ...fields } });
}

const closeOf = (index: number): bigint => series.tsEventNs[index]!;

test('bars have their place by their close, in whatever order they came', () => {
  const random = seededRandom(4);
  const shuffled = Array.from({ length: 200 }, (_, index) => [random(), index] as const).sort(([a], [b]) => a - b);
  const lesson = lessonOf();
  hearBars(
    lesson,
    shuffled.map(([, index]) => index),
  );
  hearSignal(lesson, closeOf(150));
  const { bars } = lesson.toSeries().series[0]!;
  assert.equal([bars.tsEventNs, bars.close], [series.tsEventNs, series.close]);
});

test('history that came behind live bars goes before them and fills their holes', () => {
  const lesson = lessonOf();
  hearBars(lesson, [120, 121, 125]);
  hearBars(lesson, Array.from({ length: 124 }).keys());
  hearSignal(lesson, closeOf(121));
  const { series: taught, counts } = lesson.toSeries();
  assert.equal([taught[0]!.bars.length, taught[0]!.sides![121]], [125, 1]);
  assert.equal([counts.repeated, counts.refused], [2, {}]);
});

test('a signal sees the newest bar that closed at or before its time, and says when it was decided', () => {
  const lesson = lessonOf();
  // Before the bar that closes at its time, as a node's signals come.
  hearSignal(lesson, closeOf(120), { signal: -1 });
  hearBars(lesson, series.tsEventNs.keys());
  hearSignal(lesson, closeOf(130) + 1n);
  hearSignal(lesson, closeOf(0) - MINUTE_NS);
  const { series: taught, counts } = lesson.toSeries();
  const { sides, decidedNs } = taught[0]!;
  assert.equal([sides![120], sides![130], sides![119], sides![131]], [-1, 1, 0, 0]);
  assert.equal([decidedNs![120], decidedNs![130], decidedNs![131]], [closeOf(120), closeOf(130) + 1n, 0n]);
  assert.equal([counts.signals, counts.withoutBar, counts.replaced], [3, 1, 0]);
});

test('of signals that see one bar the last by its time counts, and of equal times the last that came', () => {
  const lesson = lessonOf(['mood']);
  hearBars(lesson, series.tsEventNs.keys());
  hearSignal(lesson, closeOf(150) + 9n, { signal: -1, features: { mood: 1 } });
  hearSignal(lesson, closeOf(150) + 5n, { signal: 1, features: { mood: 2 } });
  hearSignal(lesson, closeOf(160), { signal: 1, features: { mood: 3 } });
  hearSignal(lesson, closeOf(160), { signal: -1, features: { mood: 4 } });
  const { series: taught, counts } = lesson.toSeries();
  const { sides, features } = taught[0]!;
  assert.equal([sides![150], features!.mood![150], sides![160], features!.mood![160]], [-1, 1, -1, 4]);
  assert.ok(Number.isNaN(features!.mood![151]));
  assert.is(counts.replaced, 2);
});

test('messages that came before are counted and teach once; an id of another signal is refused', () => {
  const lesson = lessonOf();
  hearBars(lesson, series.tsEventNs.keys());
  hearBars(lesson, [5, 6]);
  for (const signal of [1, 1, -1] as const) hearSignal(lesson, closeOf(150), { signal, signalId: 'a' });
  const { series: taught, counts } = lesson.toSeries();
  assert.is(taught[0]!.sides![150], 1);
  assert.equal([counts.repeated, counts.refused, counts.signals], [3, { SIGNAL_ID_REUSED: 1 }, 1]);
});

test('what a live message would be refused for is refused and counted, and changes nothing', () => {
  const lesson = lessonOf(['mood']);
  hearBars(lesson, series.tsEventNs.keys());
  const bar = (fields: Partial<Bar>, instrumentId = 'X'): void =>
    lesson.hear({ kind: 'bar', instrumentId, bar: { ...barAt(100), ...fields } });
  bar({ volume: 12_345 });
  bar({ low: -1 });
  bar({ tsEventNs: LATEST_NS + 1n });
  bar({}, '__proto__');
  hearSignal(lesson, closeOf(150));
  hearSignal(lesson, -1n, { features: { mood: 1 } });
  hearSignal(lesson, closeOf(150), { features: { mood: 1 }, bars: [barAt(1)] });
  const others = Array.from({ length: 100 }, (_, k) => ({ ...barAt(k), ...(k === 99 && { volume: 12_345 }) }));
  hearSignal(lesson, closeOf(150), { features: { mood: 1 }, bars: others });
  lesson.refuse('PAYLOAD_MALFORMED');
  lesson.passOver();
  hearSignal(lesson, closeOf(140), { features: { mood: 1 } });
  const { series: taught, counts } = lesson.toSeries();
  assert.equal(counts.refused, {
    BAR_CONFLICT: 2,
    PRICE_NOT_POSITIVE: 1,
    BAD_TIMESTAMP: 1,
    INVALID_INSTRUMENT: 1,
    MISSING_FEATURE: 1,
    INVALID_SIGNAL: 1,
    TOO_FEW_BARS: 1,
    PAYLOAD_MALFORMED: 1,
  });
  assert.equal([counts.bars, counts.signals, counts.ignored, counts.messages], [200, 1, 1, 211]);
  assert.equal(taught[0]!.bars.volume, series.volume);
});

test('bars within a signal are learned from, and 59.999 is the whole minute in all of it', () => {
  const lesson = lessonOf();
  const early = Array.from({ length: 200 }, (_, k) => ({ ...barAt(k), tsEventNs: closeOf(k) - 1_000_000n }));
  hearSignal(lesson, closeOf(199) - 1n, { bars: early });
  hearBars(lesson, series.tsEventNs.keys());
  const { series: taught, counts } = lesson.toSeries();
  assert.equal([taught[0]!.bars.tsEventNs, taught[0]!.sides![199]], [series.tsEventNs, 1]);
  assert.equal([counts.repeated, counts.roundedCount, taught[0]!.decidedNs![199]], [200, 201, closeOf(199)]);
});

test('instruments are taught by name, those with bars and signals only', async () => {
  const lesson = lessonOf();
  for (const name of ['B', 'A', 'C']) hearBars(lesson, series.tsEventNs.keys(), name);
  for (const instrumentId of ['B', 'A', 'D']) hearSignal(lesson, closeOf(150), { instrumentId });
  const { series: taught, counts } = lesson.toSeries();
  assert.equal(
    taught.map(({ instrumentId }) => instrumentId),
    ['A', 'B'],
  );
  assert.equal([counts.instruments, counts.withoutBar, counts.bars], [2, 1, 600]);

  const barsOnly = lessonOf();
  hearBars(barsOnly, [0, 1]);
  assert.is((await refusalOf(() => barsOnly.toSeries())).code, 'INSUFFICIENT_DATA');
  const signalsOnly = lessonOf();
  hearSignal(signalsOnly, closeOf(3));
  assert.is((await refusalOf(() => signalsOnly.toSeries())).code, 'NO_ROWS');
});

test.run();
