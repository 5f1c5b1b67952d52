import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RECORDED_IDS_MAX, RecordedIds } from '../../src/loop/recorded-ids.js';

test('an id is new once', () => {
  const ids = new RecordedIds();
  assert.equal([ids.add('a'), ids.add('b'), ids.add('a'), ids.add('b')], [true, true, false, false]);
});

test('the newest ids are remembered, and the oldest one goes first', () => {
  const ids = new RecordedIds();
  for (let k = 0; k < RECORDED_IDS_MAX; k++) ids.add(`${k}`);
  assert.is(ids.add('0'), false, 'as many as fit are known');
  ids.add('one more');
  assert.is(ids.add('1'), false);
  assert.is(ids.add('0'), true, 'the oldest is forgotten, though it was asked for lately');
});

test.run();
