import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AdmittedSignal } from '../../src/inference/admission.js';
import { mainSide } from '../support/main-side.js';

const NO_VALUES = new Float64Array(0);

test('an answer whose bar is missing says so whatever else stood in its way, since nothing may be learned from it', () => {
  const { desk, config } = mainSide();
  for (const degraded of ['deadline', 'worker-failed', 'insufficient-history', 'stale-bars', undefined] as const) {
    const event = { instrumentId: 'I0', signal: 1, timestamp: 1n, signalId: 's' } as const;
    const signal = new AdmittedSignal('s', event, 1n, NO_VALUES, 0, 109, 1n, null, true);
    const answer = desk.answerWithout(signal, null, 0, degraded);
    assert.equal([answer.degraded, answer.sizeReason, answer.size], ['bar-missing', 'bar-missing', 0]);
    assert.is(answer.metaConfidence, config.defaultConfidence);
  }
});

test.run();
