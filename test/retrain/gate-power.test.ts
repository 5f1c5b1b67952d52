import fc from 'fast-check';
import jstat from 'jstat';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  criticalT,
  holdsEightBlocks,
  labelsForPower,
  smallestDetectableGain,
  type TestedGain,
} from '../../src/retrain/gate-power.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

const ALPHA = 0.05 / 24;

/** One label a bar, `dependenceBars` of which hang together; the deviation is that of one independent gain. */
function tested(n: number, dependenceBars: number, deviation: number): TestedGain {
  const blocks = Math.min(Math.max(Math.floor(n / (5 * dependenceBars)), 8), 32);
  return {
    n,
    means: { t: 0, standardError: deviation * Math.sqrt(n * dependenceBars), blocks },
    span: { position: new Int32Array(0), start: 0, end: n, dependenceBars },
    alpha: ALPHA,
  };
}

const DEVIATION = 0.1;

test('the smallest detectable gain is quantile and power away from 0', () => {
  const { inv } = jstat.jStat.studentt;
  // Standard error of the mean: 0.1/√400, and a little for 32 blocks of 12.5 labels that reach one bar.
  const expected = ((inv(1 - ALPHA, 31) + inv(0.8, 31)) * 0.005) / Math.sqrt(1 - 1 / 37.5);
  assert.ok(Math.abs(smallestDetectableGain(tested(400, 1, DEVIATION)) - expected) < 1e-12);
});

test('on as many labels as are asked for, the gain is the smallest detectable one', () => {
  const count = fc.integer({ min: 400, max: 20_000 });
  const gain = fc.double({ min: 0.001, max: 0.05, noNaN: true });
  fc.assert(
    fc.property(count, fc.integer({ min: 1, max: 30 }), gain, (n, dependenceBars, wanted) => {
      const labels = labelsForPower(wanted, tested(n, dependenceBars, DEVIATION));
      assert.ok(labels >= 40 * dependenceBars, 'never fewer than fill eight blocks');
      const enough = smallestDetectableGain(tested(labels, dependenceBars, DEVIATION));
      assert.ok(enough <= wanted * (1 + 1e-9), `${enough} on ${labels}`);
      const fewer = Math.floor(0.99 * labels);
      // Below eight blocks there is no test at all.
      if (fewer < 40 * dependenceBars) return;
      assert.ok(smallestDetectableGain(tested(fewer, dependenceBars, DEVIATION)) > wanted, `fewer than ${labels} do`);
    }),
    { seed: 51, numRuns: PROPERTY_RUNS },
  );
});

test('half the gain needs four times the labels, once the blocks are as many as can be', () => {
  const plan = tested(5000, 6, DEVIATION);
  const ratio = labelsForPower(0.001, plan) / labelsForPower(0.002, plan);
  assert.ok(Math.abs(ratio - 4) < 0.01, `${ratio}`);
});

test('few blocks ask for a larger t', () => {
  assert.ok(criticalT(ALPHA, 8) > criticalT(ALPHA, 16) && criticalT(ALPHA, 16) > criticalT(ALPHA, 32));
  // Tables of Student's t: 3.365 leaves 1 % above it at five degrees of freedom, 1.895 leaves 5 % at seven.
  assert.ok(Math.abs(criticalT(0.01, 6) - 3.365) < 0.001 && Math.abs(criticalT(0.05, 8) - 1.895) < 0.001);
});

test('eight blocks of five dependences are forty dependences', () => {
  const span = { position: new Int32Array(0), start: 100, end: 500, dependenceBars: 10 };
  assert.is(holdsEightBlocks(span), true);
  assert.is(holdsEightBlocks({ ...span, start: 101 }), false);
  assert.is(holdsEightBlocks({ ...span, dependenceBars: 10.1 }), false);
});

test.run();
