import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RECORDED_SIGNALS, RecordedSignals } from '../../src/loop/recorded-signals.js';

const signal = { instrumentId: 'A', timestamp: 5n };

test('a signal is known by its id, its instrument and its time together', () => {
  const recorded = new RecordedSignals();
  const later = { ...signal, timestamp: 6n };
  const elsewhere = { ...signal, instrumentId: 'B' };
  for (const one of [signal, later, elsewhere]) assert.ok(recorded.add('s', one), 'not the same signal');
  for (const one of [signal, later, elsewhere]) assert.not.ok(recorded.add('s', one), 'sent again');
  assert.ok(recorded.add('t', signal));
});

test('what was recorded long ago is forgotten, and its id begins anew', () => {
  const recorded = new RecordedSignals();
  recorded.add('s', signal);
  for (let k = 1; k < RECORDED_SIGNALS; k++) recorded.add(`${k}`, signal);
  assert.not.ok(recorded.add('s', signal));
  recorded.add('one more', signal);
  assert.ok(recorded.add('s', { ...signal, timestamp: 7n }));
  assert.ok(recorded.add('1', signal), 'what came second went next');
});

test('a signal is known for as long, though the one that had its id first is forgotten', () => {
  const recorded = new RecordedSignals();
  const later = { ...signal, timestamp: 6n };
  recorded.add('s', signal);
  recorded.add('s', later);
  for (let k = 0; k < RECORDED_SIGNALS - 1; k++) recorded.add(`${k}`, signal);
  recorded.add('one more', signal);
  assert.not.ok(recorded.add('s', later));
});

test.run();
