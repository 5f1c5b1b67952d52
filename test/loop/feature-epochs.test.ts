import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FeatureEpochs } from '../../src/loop/feature-epochs.js';

test('recorded values go by the names that were configured when they were recorded', () => {
  const first = new FeatureEpochs(['spread', 'news'], 0);
  const second = new FeatureEpochs(['news', 'spread'], 40, first.toState());
  assert.equal(
    [0, 39, 40, 1000].map((ordinal) => second.namesAt(ordinal)[0]),
    ['spread', 'spread', 'news', 'news'],
  );
});

test('a process with the same names goes on in the same epoch', () => {
  const first = new FeatureEpochs(['spread'], 0);
  assert.equal(new FeatureEpochs(['spread'], 17, first.toState()).toState(), first.toState());
});

test.run();
