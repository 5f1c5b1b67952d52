import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Deadlines } from '../../src/inference/deadlines.js';
import type { PendingSignal } from '../../src/inference/pending-signal.js';
import type { EnrichedSignalEvent } from '../../src/market/events.js';
import { eventually } from '../support/eventually.js';
import { ManualClock } from '../support/manual-clock.js';
import { admitted, pendingOf } from '../support/pending.js';

const MS = 1_000_000;
const LATER_NS = 3_600_000 * MS;
/** Nothing here looks into an answer. */
const ANSWER = Object.freeze({}) as EnrichedSignalEvent;

interface Opened {
  readonly clock: ManualClock;
  readonly deadlines: Deadlines;
  readonly expired: PendingSignal[];
  /** Answered in time, and not looked at yet. */
  readonly ready: PendingSignal[];
}

function openDeadlines(): Opened {
  const clock = new ManualClock();
  const expired: PendingSignal[] = [];
  const ready: PendingSignal[] = [];
  const deadlines = new Deadlines({
    now: () => clock.monotonicNs(),
    beforeExpiry: () => {
      for (const pending of ready.splice(0)) pending.settle(ANSWER);
    },
    onExpired: (pending) => {
      expired.push(pending);
      pending.settle(ANSWER);
    },
  });
  return { clock, deadlines, expired, ready };
}

const due = (ns: number): PendingSignal => pendingOf(admitted(0), ns);

test('signals expire in the order they came in, each not before its deadline', () => {
  const { clock, deadlines, expired } = openDeadlines();
  const all = [1, 2, 2, 3].map((ms) => due(LATER_NS + ms * MS));
  for (const pending of all) deadlines.add(pending);
  deadlines.expire();
  assert.equal(expired, []);
  clock.advanceNs(LATER_NS + MS - 1);
  deadlines.expire();
  assert.equal(expired, []);
  clock.advanceNs(1);
  deadlines.expire();
  assert.is(expired.length, 1);
  clock.advanceNs(5 * MS);
  deadlines.expire();
  deadlines.expire();
  assert.is(expired.length, 4);
  assert.ok(expired.every((pending, k) => pending === all[k]));
  deadlines.clear();
});

test('what was answered in time and not looked at yet, as after a long pause, does not expire', () => {
  const { clock, deadlines, expired, ready } = openDeadlines();
  const all = [1, 2, 3].map((ms) => due(LATER_NS + ms * MS));
  for (const pending of all) deadlines.add(pending);
  ready.push(all[0]!, all[2]!);
  clock.advanceNs(2 * LATER_NS);
  deadlines.expire();
  assert.equal(expired.length, 1);
  assert.is(expired[0], all[1]);
  deadlines.clear();
});

test('a signal that has its answer does not expire', () => {
  const { clock, deadlines, expired } = openDeadlines();
  const all = Array.from({ length: 6 }, () => due(LATER_NS));
  for (const pending of all) deadlines.add(pending);
  for (const k of [0, 1, 3, 5]) all[k]!.settle(ANSWER);
  clock.advanceNs(LATER_NS);
  deadlines.expire();
  assert.equal(
    expired.map((pending) => all.indexOf(pending)),
    [2, 4],
  );
  deadlines.clear();
});

test('what was cleared never expires', () => {
  const { clock, deadlines, expired } = openDeadlines();
  deadlines.add(due(LATER_NS));
  deadlines.clear();
  const after = due(2 * LATER_NS);
  deadlines.add(after);
  clock.advanceNs(3 * LATER_NS);
  deadlines.expire();
  assert.is(expired.length, 1);
  assert.is(expired[0], after);
  deadlines.clear();
});

test('the timer expires what is due without being asked, and goes on to the next', async () => {
  const { clock, deadlines, expired } = openDeadlines();
  for (const ms of [1, 2]) deadlines.add(due(ms * MS));
  clock.advanceNs(MS);
  await eventually(() => expired.length >= 1, 'a deadline to be kept');
  assert.is(expired.length, 1);
  clock.advanceNs(MS);
  await eventually(() => expired.length >= 2, 'a deadline to be kept');
  deadlines.clear();
});

/** The queue itself: what it holds on to can be seen nowhere else. */
function queued(deadlines: Deadlines): number {
  return (Reflect.get(deadlines, 'queue') as unknown[]).length;
}

test('answered signals are let go of: the queue does not grow with the number of signals', () => {
  const { clock, deadlines } = openDeadlines();
  for (let round = 0; round < 50; round++) {
    for (let k = 0; k < 500; k++) {
      const pending = due(clock.monotonicNs() + LATER_NS);
      deadlines.add(pending);
      pending.settle(ANSWER);
    }
    clock.advanceNs(MS);
    deadlines.expire();
  }
  assert.ok(queued(deadlines) < 5000, `${queued(deadlines)} of 25000 are still held`);
  deadlines.clear();
  assert.is(queued(deadlines), 0);
});

test.run();
