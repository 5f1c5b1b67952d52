import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorError } from '../../src/errors.js';
import { IntegratedSizer } from '../../src/sizing/integrated-sizer.js';
import { type AlphaOutput, type Portfolio, type RiskDecision, RiskStage } from '../../src/sizing/risk-stage.js';
import { PROPERTY_RUNS } from '../support/sizes.js';
import { assertAbsolute, assertRelative } from '../support/vectors.js';

const SEED = 20_240_111;
const TOLERANCE = 1e-14;

const CALM: Portfolio = { equity: 1000, grossExposure: 0, positionFraction: 0, dayPnl: 0, peakEquity: 1000 };
/** A sizer that asks for the signal itself, so that requests are easy to state. */
const PLAIN = new IntegratedSizer({ exponent: 1, fractionalKelly: 1, minSize: 0, maxSize: 10 });
const CERTAIN = { confidence: 1, regimeWeight: 1, toxicity: 0 };

function decide(signal: number, portfolio: Partial<Portfolio> = {}, stage = new RiskStage({}, PLAIN)): RiskDecision {
  return stage.decide({ signal, metaOutput: CERTAIN }, { ...CALM, ...portfolio });
}

function failedChecks(decision: RiskDecision): string[] {
  return decision.checks.filter((check) => !check.passed).map((check) => check.name);
}

function refused(field: string): (error: unknown) => boolean {
  return (error) => error instanceof OrchestratorError && error.code === 'OUT_OF_RANGE' && error.field === field;
}

test('in a calm book the position is the size asked for, in units of the largest position', () => {
  const decision = decide(-0.5);
  assertRelative(decision.position, -0.05, TOLERANCE, 'position');
  assert.is(decision.requested, decision.position);
  assert.equal(
    decision.checks.map((check) => check.name),
    ['max-position', 'gross-exposure', 'kill-switch'],
  );
  assert.equal(failedChecks(decision), []);
});

test('a request beyond the largest position is cut to it and the check says so', () => {
  for (const sign of [1, -1]) {
    const decision = decide(3 * sign);
    assertRelative(decision.requested, 0.3 * sign, TOLERANCE, 'requested');
    assert.is(decision.position, 0.1 * sign);
    assert.equal(failedChecks(decision), ['max-position']);
    assert.match(decision.checks[0]!.reason, 'cut to 0.1');
  }
});

test('a position only takes the gross exposure that the other instruments leave', () => {
  const stage = new RiskStage({ grossExposureMax: 0.5, positionFractionMax: 0.25 }, PLAIN);
  const room = decide(-1, { grossExposure: 0.375 }, stage);
  assert.is(room.position, -0.125);
  assert.equal(failedChecks(room), ['gross-exposure']);
  const exact = decide(1, { grossExposure: 0.25 }, stage);
  assert.is(exact.position, 0.25);
  assert.equal(failedChecks(exact), []);
  for (const grossExposure of [0.5, 0.75]) {
    const none = decide(-1, { grossExposure }, stage);
    assert.ok(Object.is(none.position, 0));
    assert.equal(failedChecks(none), ['gross-exposure']);
  }
});

test("the instrument's own position does not take room from its next one, whatever its side", () => {
  const stage = new RiskStage({ grossExposureMax: 0.5, positionFractionMax: 0.25 }, PLAIN);
  for (const positionFraction of [0.25, -0.25]) {
    const decision = decide(1, { grossExposure: 0.5, positionFraction }, stage);
    assert.is(decision.position, 0.25);
    assert.equal(failedChecks(decision), []);
  }
});

test('from the daily loss limit on nothing is held', () => {
  assert.equal(failedChecks(decide(0.5, { dayPnl: -19.99 })), []);
  for (const dayPnl of [-20, -500]) {
    const decision = decide(0.5, { dayPnl });
    assert.ok(Object.is(decision.position, 0));
    assertRelative(decision.requested, 0.05, TOLERANCE, 'requested');
    assert.equal(failedChecks(decision), ['kill-switch']);
    assert.match(decision.checks[2]!.reason, 'the day has lost');
  }
});

test('from the drawdown limit on nothing is held', () => {
  const stage = new RiskStage({ drawdownMax: 0.25 }, PLAIN);
  assert.equal(failedChecks(decide(0.5, { equity: 751 }, stage)), []);
  for (const equity of [750, 10]) {
    const decision = decide(-0.5, { equity }, stage);
    assert.ok(Object.is(decision.position, 0));
    assert.equal(failedChecks(decision), ['kill-switch']);
    assert.match(decision.checks[2]!.reason, 'below its peak');
  }
});

test('a gain and a new peak stop nothing', () => {
  assert.equal(failedChecks(decide(0.5, { dayPnl: 500, equity: 1500, peakEquity: 1000 })), []);
});

test('a flat signal asks for nothing and passes every check of a calm book', () => {
  const decision = decide(0);
  assert.ok(Object.is(decision.position, 0));
  assert.is(decision.requested, 0);
  assert.equal(failedChecks(decision), []);
});

test("the naming of either side of the wire gives the same decision, and nothing stated gives the sizer's defaults", () => {
  const stage = new RiskStage();
  const camel = stage.decide({ signal: 0.8, metaOutput: { confidence: 0.75, regimeWeight: 0.6, toxicity: 0.2 } }, CALM);
  const snake = stage.decide(
    { signal: 0.8, meta_output: { confidence: 0.75, regime_weight: 0.6, toxicity: 0.2 } },
    CALM,
  );
  assert.equal(snake, camel);
  assertRelative(camel.position, Math.sqrt(0.8) * 0.75 * 0.6 * 0.8 * 0.5 * 0.1, TOLERANCE, 'position');
  const silent = stage.decide({ signal: 1 }, CALM);
  assertRelative(silent.position, 0.5 * 0.8 * 0.5 * 0.1, TOLERANCE, 'defaults');
  const partial = stage.decide({ signal: 1, metaOutput: { confidence: 1 }, meta_output: { toxicity: 0.5 } }, CALM);
  assertRelative(partial.position, 1 * 0.8 * 0.5 * 0.5 * 0.1, TOLERANCE, 'one of each');
});

test('the same inputs give the same decision, and deciding changes none of them', () => {
  const stage = new RiskStage();
  const alpha: AlphaOutput = Object.freeze({ signal: -0.3, metaOutput: Object.freeze({ ...CERTAIN }) });
  const book = Object.freeze({ ...CALM, grossExposure: 0.9 });
  assert.equal(stage.decide(alpha, book), stage.decide(alpha, book));
});

test('no book and no answer, however odd, gives a position beyond a limit', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const property = fc.property(
    fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    fc.record({ confidence: share, regimeWeight: share, toxicity: share }),
    fc.record({
      equity: fc.double({ min: 1e-3, max: 1e9, noNaN: true }),
      grossExposure: fc.double({ min: 0, max: 5, noNaN: true }),
      positionFraction: fc.double({ min: -2, max: 2, noNaN: true }),
      dayPnl: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
      peakEquity: fc.double({ min: 1e-3, max: 1e9, noNaN: true }),
    }),
    fc.record({
      positionFractionMax: fc.double({ min: 0.01, max: 1, noNaN: true }),
      grossExposureMax: fc.double({ min: 0.01, max: 3, noNaN: true }),
      dailyLossMax: fc.double({ min: 0.001, max: 0.5, noNaN: true }),
      drawdownMax: fc.double({ min: 0.001, max: 0.9, noNaN: true }),
    }),
    (signal, metaOutput, portfolio, limits) => {
      const stage = new RiskStage(limits, PLAIN);
      const { position, requested, checks } = stage.decide({ signal, metaOutput }, portfolio);
      const magnitude = Math.abs(position);
      assert.ok(magnitude <= limits.positionFractionMax && magnitude <= Math.abs(requested));
      const others = Math.max(portfolio.grossExposure - Math.abs(portfolio.positionFraction), 0);
      assert.ok(magnitude === 0 || magnitude + others <= limits.grossExposureMax * (1 + 1e-12));
      const lost = -portfolio.dayPnl / portfolio.equity >= limits.dailyLossMax;
      const down = 1 - portfolio.equity / portfolio.peakEquity >= limits.drawdownMax;
      if (lost || down) assert.is(position, 0);
      assert.is(checks[2]!.passed, !(lost || down));
      assert.ok(position === 0 || Math.sign(position) === Math.sign(signal));
      if (checks.every((check) => check.passed)) assertAbsolute(position, requested, 0, 'an unhindered position');
    },
  );
  fc.assert(property, { seed: SEED, numRuns: PROPERTY_RUNS });
});

test('a limit that is not a positive number is refused by name, and the limits of a stage cannot be changed', () => {
  for (const name of ['positionFractionMax', 'grossExposureMax', 'dailyLossMax', 'drawdownMax']) {
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => new RiskStage({ [name]: value }), refused(name), `${name} ${value}`);
  }
  const stage = new RiskStage({ dailyLossMax: 0.5 });
  assert.equal(stage.limits, { positionFractionMax: 0.1, grossExposureMax: 1, dailyLossMax: 0.5, drawdownMax: 0.1 });
  assert.ok(Object.isFrozen(stage.limits));
});

test('a book that cannot be is refused by the field at fault', () => {
  for (const field of Object.keys(CALM)) {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => decide(1, { [field]: value }), refused(`portfolio.${field}`), `${field} ${value}`);
  }
  for (const field of ['equity', 'peakEquity']) {
    for (const value of [0, -5])
      assert.throws(() => decide(1, { [field]: value }), refused(`portfolio.${field}`), `${field} ${value}`);
  }
  assert.throws(() => decide(1, { grossExposure: -0.1 }), refused('portfolio.grossExposure'));
});

test('a book that leaves a field out is refused, so that an unknown loss cannot pass the kill switch', () => {
  for (const field of Object.keys(CALM)) {
    const book = JSON.parse(JSON.stringify({ ...CALM, [field]: undefined })) as Portfolio;
    const act = (): RiskDecision => new RiskStage().decide({ signal: 1 }, book);
    assert.throws(act, refused(`portfolio.${field}`), field);
  }
});

test('an answer the sizer refuses is refused here too', () => {
  const act = (): RiskDecision => new RiskStage().decide({ signal: 1, metaOutput: { confidence: 2 } }, CALM);
  assert.throws(act, refused('metaConfidence'));
});

test.run();
