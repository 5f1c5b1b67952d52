import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BusStatus } from '../../../src/bus/bus-status.js';
import { Heartbeats } from '../../../src/bus/heartbeats.js';
import { BusCounts } from '../../../src/bus/intake.js';
import type { SignalSight } from '../../../src/bus/message-bus.js';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { type EntryId, entryMs } from '../../../src/bus/redis/entry-id.js';
import { InFlight } from '../../../src/bus/redis/in-flight.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import type { StreamEntry } from '../../../src/bus/redis/stream-entries.js';
import { StreamIntake } from '../../../src/bus/redis/stream-intake.js';
import { StreamProgress } from '../../../src/bus/redis/stream-progress.js';
import { WaitingSignals } from '../../../src/bus/redis/waiting-signals.js';
import { BarSeries } from '../../../src/market/bar.js';
import { silentLogger } from '../../support/captured-log.js';
import { inFlightEntry } from '../../support/in-flight-entry.js';
import { ManualClock } from '../../support/manual-clock.js';
import { redisSettings } from '../../support/redis-server.js';
import { PROPERTY_RUNS } from '../../support/sizes.js';
import { barAt, type Given, HISTORY_BARS, STORE_INSTRUMENTS, StoreTarget } from '../../support/store-target.js';

const AWAIT_MS = 500;
const settings = redisSettings({ url: 'redis://127.0.0.1:1' });
const dialect = openDialect({ redis: settings, userFeatures: [] });

/** One entry of the stream: a bar of a minute, or a signal so many seconds after that minute's close. */
interface Written {
  readonly id: EntryId;
  readonly instrumentId: string;
  readonly minute: number;
  readonly kind: 'bar' | 'signal';
  readonly seconds: number;
  /** Minutes of the bars that a signal brings. */
  readonly brings?: readonly number[];
}

function entryOf({ id, instrumentId, minute, kind, seconds, brings }: Written): StreamEntry {
  const timestamp = barAt(minute).tsEventNs + BigInt(seconds) * 1_000_000_000n;
  const { payload } = dialect.encodeInput(
    kind === 'bar'
      ? { kind, instrumentId, bar: barAt(minute) }
      : {
          kind,
          event: { instrumentId, signal: 1, timestamp, signalId: id, ...(brings && { bars: seriesOf(brings) }) },
        },
  );
  return { id, fields: [Buffer.from('payload'), Buffer.from(payload)] };
}

function seriesOf(minutes: readonly number[]): BarSeries {
  return BarSeries.fromBars(minutes.map(barAt));
}

/** Reads a stream as the owner of a partition does, with processes that die in between. */
class Reader {
  target = new StoreTarget();
  private progress = new StreamProgress(partitionKeys(settings).input, null);
  intake = this.open();
  private next = 0;
  /** Signals that have their reply: they are not pending any more. */
  private readonly replied = new Set<EntryId>();

  constructor(private readonly written: readonly Written[]) {}

  private open(): StreamIntake {
    return new StreamIntake({
      ...{ settings, dialect, target: this.target, progress: this.progress },
      keys: partitionKeys(settings),
      counts: new BusCounts(),
      status: new BusStatus('', new BusCounts(), silentLogger),
      heartbeats: new Heartbeats({ onStopped: () => undefined, onResumed: () => undefined }),
      clock: new ManualClock(),
      awaitBarMs: AWAIT_MS,
      onReply: () => undefined,
    });
  }

  read(count: number): void {
    for (const end = Math.min(this.next + count, this.written.length); this.next < end; this.next++) {
      const one = this.written[this.next]!;
      const isReplied = this.replied.has(one.id);
      const taken = isReplied ? this.intake.retake(entryOf(one)) : this.intake.take(entryOf(one));
      assert.ok(['settled', 'in-flight'].includes(taken));
      this.progress.position = one.id;
    }
  }

  /** The next process, with what was recorded, or with nothing. Every second signal that was let in has its reply. */
  restart(isDurable: boolean): void {
    for (const [k, { signalId }] of this.target.given.entries()) {
      if (k % 2 === 1) continue;
      this.replied.add(signalId);
      this.progress.settle(signalId);
    }
    const state = this.progress.toState();
    const given = [...this.target.given];
    if (!isDurable) this.target = new StoreTarget();
    this.target.given.splice(0, this.target.given.length, ...given);
    this.progress = new StreamProgress(state.stream, isDurable ? state : null);
    this.intake = this.open();
    const read = this.written.slice(0, this.next);
    this.next = isDurable ? this.next : 0;
    const pending = read.filter(({ id, kind }) => kind === 'signal' && !this.replied.has(id));
    if (isDurable) for (const one of pending) this.intake.take(entryOf(one));
    this.read(read.length - this.next);
  }

  finish(): readonly Given[] {
    this.read(this.written.length);
    this.intake.timePassed(Number.MAX_SAFE_INTEGER);
    return this.target.given;
  }
}

/** What each signal must be given, from the whole stream in plain words. */
function expectedOf(written: readonly Written[]): Map<string, SignalSight> {
  const expected = new Map<string, SignalSight>();
  for (const [at, { id, instrumentId, minute, kind, seconds }] of written.entries()) {
    if (kind === 'bar') continue;
    const signalMinute = minute + Math.floor(seconds / 60);
    const bars = (entries: readonly Written[]): number[] =>
      entries.filter((one) => one.kind === 'bar' && one.instrumentId === instrumentId).map((one) => one.minute);
    const history = Array.from({ length: HISTORY_BARS }, (_, k) => k - HISTORY_BARS);
    const stored = [...history, ...bars(written.slice(0, at))];
    const newest = stored.at(-1)!;
    const seen = stored.filter((one) => one <= signalMinute).length;
    const window = written.slice(at).filter((one) => entryMs(one.id) <= entryMs(id) + AWAIT_MS);
    const isDue = signalMinute === newest + 1;
    const comes = isDue && bars(window)[0] === signalMinute;
    const asOf = seen - 1 + (comes ? 1 : 0);
    expected.set(id, { asOf, isBarMissing: isDue && !comes });
  }
  return expected;
}

const streams = fc
  .array(
    fc.record({
      instrument: fc.nat({ max: 1 }),
      kind: fc.constantFrom('bar' as const, 'signal' as const),
      // Bars of a minute may be left out; signals lie around the newest one.
      step: fc.constantFrom(1, 1, 1, 1, 2),
      back: fc.constantFrom(-2, -1, 0, 0, 1, 1, 1, 2),
      seconds: fc.constantFrom(0, 0, 30, 59),
      waitMs: fc.constantFrom(0, 0, 1, 3, 200, 500, 501),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((drafts) => {
    const newest = STORE_INSTRUMENTS.map(() => -1);
    let ms = 1_796_000_000_000;
    return drafts.map(({ instrument, kind, step, back, seconds, waitMs }, k): Written => {
      ms += waitMs;
      if (kind === 'bar') newest[instrument] = newest[instrument]! + step;
      const minute = newest[instrument]! + (kind === 'bar' ? 0 : back);
      return { id: `${ms}-${k}`, instrumentId: STORE_INSTRUMENTS[instrument]!, minute, kind, seconds };
    });
  });

test('a signal sees its due bar if that comes within the window, and is told that it is missing if not, whoever dies when', () => {
  const seen = { missing: 0, awaited: 0 };
  fc.assert(
    fc.property(
      streams,
      fc.array(fc.tuple(fc.nat({ max: 12 }), fc.boolean()), { maxLength: 4 }),
      (written, restarts) => {
        const reader = new Reader(written);
        for (const [count, isDurable] of restarts) {
          reader.read(count);
          reader.restart(isDurable);
        }
        const expected = expectedOf(written);
        const given = reader.finish();
        for (const { signalId, ...sight } of given) assert.equal(sight, expected.get(signalId), signalId);
        assert.equal(new Set(given.map(({ signalId }) => signalId)), new Set(expected.keys()));
        for (const [at, { id, kind }] of written.entries()) {
          if (kind !== 'signal') continue;
          const { asOf, isBarMissing } = expected.get(id)!;
          if (isBarMissing) seen.missing++;
          else if (asOf > expectedOf([...written.slice(0, at + 1)]).get(id)!.asOf) seen.awaited++;
        }
      },
    ),
    { seed: 17, numRuns: 10 * PROPERTY_RUNS },
  );
  assert.ok(seen.missing > PROPERTY_RUNS && seen.awaited > PROPERTY_RUNS, JSON.stringify(seen));
});

function at(k: number, instrumentId: string, minute: number, kind: Written['kind'] = 'signal'): Written {
  return { id: `${1_796_000_000_000 + k}-0`, instrumentId, minute, kind, seconds: 0 };
}

test('a due bar is not missing where a later signal brings it with the next ones', () => {
  // As many as a signal has to bring.
  const brings = Array.from({ length: 100 }, (_, k) => k - HISTORY_BARS);
  const reader = new Reader([at(0, 'X', 0), { ...at(1, 'X', brings.at(-1)!), brings }]);
  reader.read(2);
  assert.equal(
    reader.target.given.map(({ asOf, isBarMissing }) => ({ asOf, isBarMissing })),
    [
      { asOf: HISTORY_BARS, isBarMissing: false },
      { asOf: brings.length - 1, isBarMissing: false },
    ],
  );
});

test('a signal that waits for room alone is brought again, though nothing else comes', () => {
  const reader = new Reader([at(0, 'X', 0)]);
  reader.read(1);
  reader.target.isFull = true;
  const { intake } = reader;
  assert.is(intake.waitsUntilMs, 1_796_000_000_000 + AWAIT_MS + 1);
  assert.is(intake.timePassed(1_796_000_000_000 + AWAIT_MS + 1), 'busy');
  assert.is(intake.waitsUntilMs, 0);
  reader.target.isFull = false;
  assert.is(intake.timePassed(0), 'settled');
  assert.is(intake.waitsUntilMs, null);
  assert.equal(reader.target.given.length, 1);
});

test('what waits costs nothing while its window lasts and no bar of it comes', () => {
  const inFlight = new InFlight();
  const waiting = new WaitingSignals(inFlight, AWAIT_MS);
  let looks = 0;
  for (let k = 0; k < 1000; k++) {
    const id = `${1_796_000_000_000 + k}-0`;
    const entry = inFlightEntry({ id, asOf: null });
    Object.defineProperty(entry, 'dueNs', {
      get: () => {
        looks++;
        return 1n;
      },
    });
    const event = { instrumentId: `I${k}`, signal: 1, timestamp: 1n } as const;
    inFlight.add(entry);
    waiting.add({ id, event, entry });
  }
  looks = 0;
  const none = (): never => {
    throw new Error('nothing is decided, or let in');
  };
  waiting.timePassed(1_796_000_000_000 + AWAIT_MS, null, none);
  waiting.barStored('another', 1n, none);
  assert.ok(waiting.release(none));
  assert.is(waiting.untilMs, 1_796_000_000_000 + AWAIT_MS + 1);
  assert.ok(looks < 10, `${looks} looks at them`);
});

test('signals of an instrument are let in in order, and those of others pass', () => {
  const reader = new Reader([
    at(0, 'X', 0),
    at(1, 'X', -1),
    at(2, 'Y', -1),
    at(3, 'X', 0),
    at(4, 'X', 0, 'bar'),
    at(5, 'X', 0),
  ]);
  assert.equal(
    reader.finish().map(({ signalId }) => signalId.slice(10, 13)),
    ['002', '000', '001', '003', '005'],
  );
});

test.run();
