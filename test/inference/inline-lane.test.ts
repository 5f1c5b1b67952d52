import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InlineLane } from '../../src/inference/inline-lane.js';
import type { PendingSignal } from '../../src/inference/pending-signal.js';
import { mainSide } from '../support/main-side.js';
import { ManualClock } from '../support/manual-clock.js';
import { admitted, pendingOf } from '../support/pending.js';

/** Two of these fill the 2 ms a turn may take. */
const ANSWER_NS = 1_000_000;

function openLane(answerNs = ANSWER_NS, manual = new ManualClock()) {
  const { clock, inline, costs, answers } = mainSide({}, answerNs, manual);
  const lane = new InlineLane(inline, costs, clock, (pending, answer) => pending.settle(answer));
  const add = (count: number): PendingSignal[] =>
    Array.from({ length: count }, (_, k) => {
      const pending = pendingOf(admitted(k % 3, { side: k % 2 === 0 ? 1 : -1 }));
      lane.add(pending);
      return pending;
    });
  const idsAnswered = (): string[] => answers.map(({ signalId }) => signalId);
  const commit = (): void => lane.commit(clock.monotonicNs());
  return { lane, add, commit, idsAnswered, costs, clock };
}

const idsOf = (all: readonly PendingSignal[]): string[] => all.map(({ signal }) => signal.signalId);

test('signals wait for the commit and are then evaluated at once', () => {
  const { lane, add, commit, idsAnswered } = openLane(0);
  const all = add(5);
  assert.equal([lane.heldCount, idsAnswered().length], [5, 0]);
  commit();
  assert.equal(idsAnswered(), idsOf(all));
  assert.equal([lane.heldCount, lane.evaluatedCount], [0, 5]);
});

test('what is too much for one turn is evaluated in later turns, in order', async () => {
  const { lane, add, commit, idsAnswered } = openLane();
  const all = add(7);
  commit();
  const seen = [idsAnswered().length];
  while (lane.heldCount > 0) {
    await nextTurn();
    seen.push(idsAnswered().length);
  }
  assert.equal(seen, [2, 4, 6, 7]);
  assert.equal(idsAnswered(), idsOf(all));
});

test('signals that come in the same turn count against the same 2 ms, and wait behind those before them', async () => {
  const { lane, add, commit, idsAnswered } = openLane();
  const first = add(1);
  commit();
  const second = add(2);
  commit();
  assert.is(idsAnswered().length, 2);
  const third = add(1);
  commit();
  assert.is(idsAnswered().length, 2, 'the turn is over');
  assert.equal(idsOf([...lane]), idsOf([second[1]!, third[0]!]));
  while (lane.heldCount > 0) await nextTurn();
  assert.equal(idsAnswered(), idsOf([...first, ...second, ...third]));
});

test('a signal that was answered otherwise is passed over and costs nothing', async () => {
  const { lane, add, commit, idsAnswered } = openLane();
  const all = add(6);
  const other = mainSide().inline;
  for (const k of [0, 3]) {
    all[k]!.settle(other.answer(all[k]!.signal, 0));
    lane.pass(all[k]!);
  }
  commit();
  assert.equal(idsAnswered(), idsOf([all[1]!, all[2]!]));
  while (lane.heldCount > 0) await nextTurn();
  assert.equal(idsAnswered(), idsOf([1, 2, 4, 5].map((k) => all[k]!)));
  assert.is(lane.evaluatedCount, 4);
});

/** Every look at it takes a microsecond. */
class TickingClock extends ManualClock {
  override monotonicNs(): number {
    this.advanceNs(1000);
    return super.monotonicNs();
  }
}

test('what an evaluation takes is measured, without the answer around it', async () => {
  const { lane, add, commit, costs } = openLane(500_000, new TickingClock());
  for (let k = 0; k < 300; k++) {
    add(1);
    commit();
    await nextTurn();
  }
  while (lane.heldCount > 0) await nextTurn();
  // The clock is read at both ends of an evaluation and three times inside.
  assert.ok(Math.abs(costs.evaluationNs - 4000) < 10, `${costs.evaluationNs} ns`);
});

test.run();
