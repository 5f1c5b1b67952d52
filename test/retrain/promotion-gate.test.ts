import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decidePromotion, type IncumbentEvidence, type Verdict } from '../../src/retrain/promotion-gate.js';

const BASE = 0.69;
const NONE: IncumbentEvidence = { kind: 'no-incumbent' };
const SEEN: IncumbentEvidence = { kind: 'incumbent-not-comparable' };
/** On the last fold: trees 0.60, base rate 0.65. */
const against = (incumbentLogLoss: number): IncumbentEvidence => ({
  kind: 'compared',
  incumbentLogLoss,
  treesLogLoss: 0.6,
  baseRateLogLoss: 0.65,
});

type Row = readonly [string, number, number, IncumbentEvidence, Verdict['verdict'], Verdict['installs']];

/** Title, log-loss, rounds, incumbent, and what is decided. */
const TABLE: readonly Row[] = [
  ['trees that beat the base rate are promoted', 0.68, 20, NONE, 'promoted', 'trees'],
  ['trees that beat the base rate by next to nothing are promoted', BASE - 1e-12, 20, NONE, 'promoted', 'trees'],
  ['trees that only equal the base rate are refused', BASE, 20, NONE, 'refused', 'base-rate'],
  ['trees that lose to the base rate are refused', 0.7, 20, NONE, 'refused', 'base-rate'],
  ['a loss that is no number is refused', Number.NaN, 20, NONE, 'refused', 'base-rate'],
  ['a final fit without a round is refused however its folds scored', 0.68, 0, NONE, 'refused', 'base-rate'],
  ['a final fit without a round and with bad folds is refused', 0.7, 0, NONE, 'refused', 'base-rate'],
  ['good trees replace an incumbent that cannot be compared', 0.68, 20, SEEN, 'promoted', 'trees'],
  [
    'bad trees leave the base rate in place of an incumbent that cannot be compared',
    0.7,
    20,
    SEEN,
    'refused',
    'base-rate',
  ],
  [
    'no round leaves the base rate in place of an incumbent that cannot be compared',
    0.68,
    0,
    SEEN,
    'refused',
    'base-rate',
  ],
  ['good trees replace an incumbent they beat on the last fold', 0.68, 20, against(0.61), 'promoted', 'trees'],
  ['good trees replace an incumbent the base rate would not beat', 0.68, 20, against(0.62), 'promoted', 'trees'],
  ['an incumbent that equals good trees stays', 0.68, 20, against(0.6), 'incumbent-kept', null],
  ['an incumbent that beats good trees stays', 0.68, 20, against(0.59), 'incumbent-kept', null],
  ['an incumbent worse than the base rate makes way for it', 0.7, 20, against(0.66), 'refused', 'base-rate'],
  [
    'an incumbent that equals the base rate stays when the trees are bad',
    0.7,
    20,
    against(0.65),
    'incumbent-kept',
    null,
  ],
  ['an incumbent between bad trees and the base rate stays', 0.7, 20, against(0.62), 'incumbent-kept', null],
  [
    'an incumbent worse than the base rate makes way when there is no round',
    0.68,
    0,
    against(0.66),
    'refused',
    'base-rate',
  ],
  [
    'an incumbent better than the base rate stays when there is no round',
    0.68,
    0,
    against(0.64),
    'incumbent-kept',
    null,
  ],
];

for (const [title, logLoss, rounds, incumbent, verdict, installs] of TABLE) {
  test(title, () => {
    const decision = decidePromotion({ nTest: 1234, logLoss, baseRateLogLoss: BASE, rounds, incumbent });
    assert.equal(
      { verdict: decision.verdict, installs: decision.installs, comparison: decision.comparison },
      { verdict, installs, comparison: incumbent.kind },
    );
  });
}

test('the sentence gives both losses and the number of signals', () => {
  const evidence = { nTest: 1234, baseRateLogLoss: BASE, incumbent: NONE };
  for (const [logLoss, rounds, finding] of [
    [0.6789, 20, / beats the base rate .*: promoted\.$/],
    [0.7012, 20, /does not beat the base rate .*refused/],
    [0.6789, 0, /no boosting round improved on the base rate .*refused/],
  ] as const) {
    const { sentence } = decidePromotion({ ...evidence, logLoss, rounds });
    assert.match(sentence, finding);
    for (const figure of [logLoss.toFixed(4), '0.6900', '1,234']) assert.match(sentence, figure);
  }
});

test('the sentence says what the incumbent and its challenger scored', () => {
  const evidence = { nTest: 1234, baseRateLogLoss: BASE, rounds: 20, incumbent: against(0.5) };
  assert.match(decidePromotion({ ...evidence, logLoss: 0.68 }).sentence, 'incumbent scores 0.5000 against 0.6000');
  assert.match(decidePromotion({ ...evidence, logLoss: 0.7 }).sentence, 'incumbent scores 0.5000 against 0.6500');
});

test('the sentence says when an incumbent was not compared, and only then', () => {
  const evidence = { nTest: 1234, baseRateLogLoss: BASE, rounds: 20 };
  for (const logLoss of [0.68, 0.7]) {
    assert.match(decidePromotion({ ...evidence, logLoss, incumbent: SEEN }).sentence, 'was not compared');
    assert.not.match(decidePromotion({ ...evidence, logLoss, incumbent: NONE }).sentence, 'not compared');
  }
});

test.run();
