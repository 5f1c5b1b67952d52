import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RollbackEvidence, type RollbackEvidenceState, type Stake } from '../../src/retrain/rollback-evidence.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const BET_SIZES = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2];

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function staked(evidence: RollbackEvidence, confidenceNew: number, confidenceOld: number): Stake {
  const stake = evidence.stake(confidenceNew, confidenceOld);
  if (stake === null) throw new Error('the models differ');
  return stake;
}

function nearly(value: number, expected: number): boolean {
  return Math.abs(value - expected) < 1e-12 * Math.max(1, Math.abs(expected));
}

test('one signal bets as the formula says: the reserve leaves the cash at the signal, and comes back with what was won', () => {
  // New 0.8, old 0.5. y = 1: the new one loses ln 0.5/0.8 less, b = 0.47. y = 0: it loses ln 0.5/0.2 = 0.916 more.
  const b = Math.log(0.8 / 0.5);
  const worse = Math.log(0.5 / 0.2);
  for (const label of [0, 1] as const) {
    const evidence = new RollbackEvidence(2.3);
    const stake = staked(evidence, 0.8, 0.5);
    const shares = BET_SIZES.map((size) => Math.min(size, 0.5 / b) / 3);
    assert.is(stake.wins, 0);
    assert.ok(stake.reserves.every((reserve, k) => nearly(reserve, shares[k]! * b)));
    assert.ok(nearly(evidence.eValue, mean(shares.map((share) => 1 - share * b))), 'pending counts as lost');
    evidence.settle(stake, label);
    const settled = shares.map((share) => (label === 0 ? 1 + share * worse : 1 - share * b));
    assert.ok(nearly(evidence.eValue, mean(settled)), `${evidence.eValue} after ${label}`);
  }
});

test('later signals bet what cash is left, and what they win is added in whatever order horizons close', () => {
  const evidence = new RollbackEvidence(2);
  const first = staked(evidence, 0.3, 0.6);
  const second = staked(evidence, 0.7, 0.6);
  // Cash of the bet size 1/4: b = ln 0.7/0.4 at first (y = 0 speaks for the new one), ln 0.7/0.6 then.
  const k = BET_SIZES.indexOf(1 / 4);
  const b1 = Math.log(0.7 / 0.4);
  const b2 = Math.log(0.7 / 0.6);
  const afterFirst = 1 - (0.25 / 2) * b1;
  const share2 = (0.25 * afterFirst) / 2;
  assert.ok(nearly(second.reserves[k]!, share2 * b2));
  evidence.settle(second, 0);
  evidence.settle(first, 1);
  const won1 = (0.25 / 2) * (b1 + Math.log(0.6 / 0.3));
  const won2 = share2 * (b2 + Math.log(0.4 / 0.3));
  assert.ok(nearly(evidence.toState().cash[k]!, afterFirst - share2 * b2 + won1 + won2));
});

test('no signal risks more than half of its share of the cash', () => {
  const evidence = new RollbackEvidence(1);
  const stake = staked(evidence, 1, 0);
  // Certainty is taken for 0.9999, so b = ln 9999 and even the smallest bet is cut.
  for (const reserve of stake.reserves) assert.ok(nearly(reserve, 0.5));
  evidence.settle(stake, 1);
  assert.ok(nearly(evidence.eValue, 0.5));
});

test('models that agree are not bet on', () => {
  const evidence = new RollbackEvidence(1);
  for (const [p, q] of [
    [0.5, 0.5],
    [0, 0.00005],
    [1, 0.99995],
    [0.3, 0.3 + 1e-17],
  ] as const) {
    assert.is(evidence.stake(p, q), null, `${p} and ${q}`);
  }
  assert.equal([evidence.eValue, evidence.toState().pending], [1, 0]);
});

test('confidences and concurrencies that cannot be are refused', async () => {
  const evidence = new RollbackEvidence(1);
  for (const [p, q, field] of [
    [Number.NaN, 0.5, 'confidenceNew'],
    [0.5, 1.1, 'confidenceOld'],
  ] as const) {
    const refusal = await refusalOf(() => evidence.stake(p, q));
    assert.equal([refusal.code, refusal.field], ['OUT_OF_RANGE', field]);
  }
  for (const concurrency of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.is((await refusalOf(() => new RollbackEvidence(concurrency))).code, 'OUT_OF_RANGE');
  }
});

test('ten is reached once and for all', () => {
  const evidence = new RollbackEvidence(1);
  for (let k = 0; k < 50 && evidence.eValue < 10; k++) {
    assert.is(evidence.hasRefuted, false);
    evidence.settle(staked(evidence, 0.8, 0.5), 0);
  }
  assert.ok(evidence.hasRefuted && evidence.eValue >= 10);
  for (let k = 0; k < 20; k++) evidence.settle(staked(evidence, 0.8, 0.5), 1);
  assert.ok(evidence.eValue < 10);
  assert.is(evidence.hasRefuted, true);
  assert.is(new RollbackEvidence(1, evidence.toState()).hasRefuted, true, 'and survives a restart');
});

test('a stake is closed once', () => {
  const evidence = new RollbackEvidence(1);
  const stake = staked(evidence, 0.8, 0.5);
  evidence.forfeit(stake);
  assert.throws(() => evidence.settle(stake, 0), /closed once/);
});

const confidence = fc.double({ min: 0, max: 1, noNaN: true });
const signal = fc.record({ newer: confidence, older: confidence, label: fc.constantFrom(0, 1, null), open: fc.nat(9) });

test('state and open stakes that went through storage go on as if nothing had happened, and cash is never negative', () => {
  fc.assert(
    fc.property(fc.array(signal, { maxLength: 80 }), fc.nat({ max: 80 }), (signals, stoppedAt) => {
      const straight = new RollbackEvidence(4);
      let restarted = new RollbackEvidence(4);
      const open: { due: number; label: 0 | 1 | null; stakes: Stake[] }[] = [];
      for (const [k, { newer, older, label, open: bars }] of signals.entries()) {
        if (k === stoppedAt) {
          restarted = new RollbackEvidence(7, JSON.parse(JSON.stringify(restarted.toState())) as RollbackEvidenceState);
          for (const one of open) one.stakes[1] = JSON.parse(JSON.stringify(one.stakes[1])) as Stake;
        }
        const stakes = [straight.stake(newer, older), restarted.stake(newer, older)];
        if (stakes[0] && stakes[1])
          open.push({ due: k + bars, label: label as 0 | 1 | null, stakes: [stakes[0], stakes[1]] });
        for (const one of open.filter(({ due }) => due === k)) {
          for (const [side, evidence] of [straight, restarted].entries()) {
            if (one.label === null) evidence.forfeit(one.stakes[side]!);
            else evidence.settle(one.stakes[side]!, one.label);
          }
        }
        assert.equal(restarted.toState(), straight.toState());
        assert.ok(straight.toState().cash.every((cash) => cash >= 0));
      }
    }),
    { seed: 71, numRuns: PROPERTY_RUNS },
  );
});

const SIGNALS = 9;
const OVERLAP = 3;
/** Of a fair coin; the old model says the opposite, so whatever is known, E[d] = 0. */
const CONFIDENCES_NEW = [0.7, 0.35, 0.9, 0.2];

/**
 * Every path of a fair coin, with a signal at each toss and the label "two of the next three are heads", which its neighbours share: E[d | all tosses so far] = 0 at every signal,
 * so the null just holds. Tells of each path the E after every toss and in the end. `missing` says which labels are never known.
 */
function everyPath(missing: (label: 0 | 1, wins: 0 | 1) => boolean = () => false): number[][] {
  const tosses = SIGNALS + OVERLAP;
  return Array.from({ length: 2 ** tosses }, (_, path) => {
    const evidence = new RollbackEvidence(OVERLAP);
    const open: Stake[] = [];
    const values: number[] = [];
    for (let toss = 0; toss < tosses; toss++) {
      const due = toss - OVERLAP;
      if (due >= 0) {
        const heads = [1, 2, 3].reduce((sum, k) => sum + ((path >> (due + k)) & 1), 0);
        const label = heads >= 2 ? 1 : 0;
        if (missing(label, open[due]!.wins)) evidence.forfeit(open[due]!);
        else evidence.settle(open[due]!, label);
        values.push(evidence.eValue);
      }
      if (toss < SIGNALS) {
        const newer = CONFIDENCES_NEW[toss % CONFIDENCES_NEW.length]!;
        open.push(staked(evidence, newer, 1 - newer));
      }
    }
    return values;
  });
}

test('over every path of overlapping labels a fair bet ends where it began, and E is never more than that on the way', () => {
  const paths = everyPath();
  assert.ok(nearly(mean(paths.map((values) => values.at(-1)!)), 1), 'E in the end, when nothing is pending');
  for (let toss = 0; toss < SIGNALS - 1; toss++) assert.ok(mean(paths.map((values) => values[toss]!)) < 1);
});

test('over every path E ever reaches e with probability 1/e at most', () => {
  const best = everyPath().map((values) => Math.max(...values));
  for (const e of [1.2, 1.5, 2, 3, 5, 10]) {
    const share = best.filter((value) => value >= e).length / best.length;
    assert.ok(share <= 1 / e, `${e} is reached on ${share}`);
  }
  assert.ok(
    best.some((value) => value > 2),
    'though it can be',
  );
});

test('labels that are missing because they speak for the new model do not count against it', () => {
  const paths = everyPath((label, wins) => label !== wins);
  assert.ok(nearly(mean(paths.map((values) => values.at(-1)!)), 1), 'the reserve was lost anyway');
  const others = everyPath((label, wins) => label === wins);
  assert.ok(mean(others.map((values) => values.at(-1)!)) < 1, 'and what is missing on the other side is never won');
});

test.run();
