import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FirstModelFinding, FirstModelPolicy } from '../../src/retrain/first-model.js';
import { decideFirstModel, type FirstModelCase, type IncumbentKind } from '../../src/retrain/first-verdict.js';

const PASSED: FirstModelFinding = {
  passed: true,
  alpha: 0.0608,
  quantile: 1.61,
  t: 2.97,
  gain: 0.0111,
  neededLabels: 4321,
  etaDays: 1234,
};
/** The slope is there, the log-loss has suffered. */
const COSTLY: FirstModelFinding = { ...PASSED, passed: false, gain: -0.0012, neededLabels: null, etaDays: null };
/** No slope to speak of. */
const FLAT: FirstModelFinding = { ...PASSED, passed: false, t: 0.45, gain: 0.0004 };
/** Too few blocks of time hold a signal. */
const UNTOLD: FirstModelFinding = { ...PASSED, passed: false, t: Number.NaN, quantile: Number.NaN };

const INCUMBENTS: readonly IncumbentKind[] = ['no-incumbent', 'incumbent-not-comparable', 'incumbent-without-trees'];

function evidence(overrides: Partial<FirstModelCase> = {}): FirstModelCase {
  return {
    nTest: 1234,
    logLoss: 0.6789,
    baseRateLogLoss: 0.69,
    lambda: 0.4,
    policy: 'provisional',
    force: false,
    finding: PASSED,
    comparison: 'no-incumbent',
    ...overrides,
  };
}

/** What the trees have earned under a policy, by trust and finding: the whole table of what is decided without an incumbent. */
const EARNED: readonly (readonly [
  FirstModelPolicy,
  number,
  FirstModelFinding,
  'provisional' | 'forced' | 'refused',
])[] = [
  ['provisional', 0.4, PASSED, 'provisional'],
  ['provisional', 1e-12, PASSED, 'provisional'],
  ['provisional', 1, PASSED, 'provisional'],
  ['provisional', 0.4, FLAT, 'refused'],
  ['provisional', 0.4, COSTLY, 'refused'],
  ['provisional', 0.4, UNTOLD, 'refused'],
  ['provisional', 0, PASSED, 'refused'],
  ['provisional', 0, FLAT, 'refused'],
  ['provisional', 0, UNTOLD, 'refused'],
  ['provisional', Number.NaN, PASSED, 'refused'],
  ['strict', 0.4, PASSED, 'refused'],
  ['strict', 1, PASSED, 'refused'],
  ['strict', 0.4, FLAT, 'refused'],
  ['strict', 0.4, UNTOLD, 'refused'],
  ['strict', 0, PASSED, 'refused'],
  ['always', 0.4, PASSED, 'forced'],
  ['always', 0.4, FLAT, 'forced'],
  ['always', 0.4, COSTLY, 'forced'],
  ['always', 0.4, UNTOLD, 'forced'],
  ['always', 1e-12, UNTOLD, 'forced'],
  ['always', 0, PASSED, 'refused'],
  ['always', 0, FLAT, 'refused'],
  ['always', Number.NaN, PASSED, 'refused'],
];

const FINDINGS = new Map([
  [PASSED, 'a passed test'],
  [FLAT, 'no slope'],
  [COSTLY, 'a slope that costs log-loss'],
  [UNTOLD, 'insufficient evidence'],
]);

for (const [policy, lambda, finding, wanted] of EARNED) {
  const installs = wanted === 'refused' ? 'base-rate' : 'trees';
  const title = `under '${policy}' trees trusted by ${lambda} with ${FINDINGS.get(finding)} are ${wanted}`;
  for (const comparison of INCUMBENTS) {
    test(`${title} (${comparison})`, () => {
      const decision = decideFirstModel(evidence({ policy, lambda, finding, comparison }));
      assert.equal([decision.verdict, decision.installs, decision.comparison], [wanted, installs, comparison]);
      assert.is(decision.finding, finding, 'the finding is passed on');
    });
  }
}

test('the losses of the walk-forward are told and not decided on: the finding is', () => {
  for (const logLoss of [0.1, 0.69, 5, Number.NaN]) {
    assert.is(decideFirstModel(evidence({ logLoss })).verdict, 'provisional');
    assert.is(decideFirstModel(evidence({ logLoss, finding: FLAT })).verdict, 'refused');
  }
});

function sentenceOf(overrides: Partial<FirstModelCase>): string {
  return decideFirstModel(evidence(overrides)).sentence;
}

test('every sentence gives both losses and the number of signals', () => {
  for (const [policy, lambda, finding] of EARNED) {
    const sentence = sentenceOf({ policy, lambda, finding });
    for (const figure of ['0.6789', '0.6900', '1,234']) assert.match(sentence, figure);
  }
});

test('the sentence says whether returns rise with the confidence, with t and what it had to exceed', () => {
  assert.match(sentenceOf({}), 'returns rise with the confidence (t 2.97, needed 1.61)');
  assert.match(sentenceOf({ finding: COSTLY }), 'returns rise with the confidence (t 2.97, needed 1.61)');
  assert.match(sentenceOf({ finding: FLAT }), 'returns do not rise with the confidence (t 0.45, needed 1.61)');
  const untold = sentenceOf({ finding: UNTOLD });
  assert.match(untold, 'too little data to tell whether returns rise with the confidence');
  assert.not.match(untold, 'NaN');
});

test('the sentence says how the trees serve, or that the base rate does', () => {
  assert.match(sentenceOf({}), /: served provisionally, at half size\./);
  assert.match(sentenceOf({ policy: 'always', finding: FLAT }), /: served because the policy is 'always'\.$/);
  for (const refused of [{ finding: FLAT }, { policy: 'strict' }, { lambda: 0 }] as const) {
    assert.match(sentenceOf(refused), /: the base rate is served and every size is 0\./);
  }
});

test('the sentence says when there was no reason to trust any trees, instead of what they found', () => {
  for (const policy of ['provisional', 'strict', 'always'] as const) {
    const sentence = sentenceOf({ lambda: 0, policy });
    assert.match(sentence, 'gives no reason to trust any trees');
    assert.not.match(sentence, 'returns');
  }
  assert.not.match(sentenceOf({}), 'no reason to trust');
});

test('the sentence says that the policy asks for the strict test, and only then', () => {
  assert.match(sentenceOf({ policy: 'strict' }), 'the policy asks for the strict test');
  for (const policy of ['provisional', 'always'] as const) {
    assert.not.match(sentenceOf({ policy }), 'the policy asks for the strict test');
  }
});

test('the sentence says how many labels and days the strict test will need', () => {
  const missing = 'The strict test will need about 4,321 labels from here on, some 1,234 days at this rate.';
  assert.match(sentenceOf({}), missing);
  assert.match(sentenceOf({ finding: FLAT }), missing);
  assert.match(sentenceOf({ policy: 'strict' }), missing);
  assert.not.match(sentenceOf({ finding: COSTLY }), /labels|days/, 'without a gain no number of labels would do');
});

test('the sentence says when an incumbent was not compared, and only then', () => {
  for (const [policy, lambda, finding] of EARNED) {
    for (const comparison of INCUMBENTS) {
      const says = sentenceOf({ policy, lambda, finding, comparison }).includes('was not compared');
      assert.is(says, comparison === 'incumbent-not-comparable');
    }
  }
});

test('every sentence is one line that ends', () => {
  for (const [policy, lambda, finding] of EARNED) {
    for (const comparison of INCUMBENTS) {
      assert.match(sentenceOf({ policy, lambda, finding, comparison }), /^[A-Z].*\.$/);
    }
  }
});

test('trees that somebody asks for are served whatever the test says, if there are any, and the sentence says why', () => {
  const forced = decideFirstModel(evidence({ force: true, finding: FLAT }));
  assert.equal([forced.verdict, forced.installs], ['forced', 'trees']);
  assert.match(forced.sentence, /: served by request\.$/);
  assert.is(decideFirstModel(evidence({ force: true, lambda: 0 })).verdict, 'refused');
});

test.run();
