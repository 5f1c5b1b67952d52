import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InlineEvaluation } from '../../src/inference/inline-evaluation.js';
import { capturedLog } from '../support/captured-log.js';
import { mainSide } from '../support/main-side.js';
import { admitted } from '../support/pending.js';

test('an evaluation that fails on the main thread is answered as one a worker died on, logged without the signal’s data, and the next is answered', () => {
  const { desk, models, evaluator, featureSet } = mainSide();
  const { logger, lines } = capturedLog();
  let fails = true;
  const failing = Object.assign(Object.create(evaluator) as typeof evaluator, {
    evaluate(...parameters: Parameters<typeof evaluator.evaluate>) {
      if (fails) throw new Error('a rule was broken');
      evaluator.evaluate(...parameters);
    },
  });
  const inline = new InlineEvaluation(models, failing, desk, logger, featureSet.columnCount);
  const broken = inline.answer(admitted(0), 0);
  assert.equal([broken.degraded, broken.size, broken.metaConfidence], ['worker-failed', 0, 0.5]);
  assert.equal(
    lines.map(({ reason }) => reason),
    ['a rule was broken'],
  );
  fails = false;
  assert.is(inline.answer(admitted(0), 0).degraded, undefined);
});

test.run();
