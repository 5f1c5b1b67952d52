import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Heartbeats } from '../../src/bus/heartbeats.js';

const NS = 1e6;

function listened(): { heartbeats: Heartbeats; told: string[] } {
  const told: string[] = [];
  const heartbeats = new Heartbeats({
    onStopped: (intervalMs) => told.push(`stopped ${intervalMs}`),
    onResumed: (silentMs) => told.push(`resumed ${silentMs}`),
  });
  return { heartbeats, told };
}

test('heartbeats that stop are told once after three were missed, and told again when they come back', () => {
  const { heartbeats, told } = listened();
  for (const ms of [0, 5000, 10_000]) heartbeats.heard(ms, ms * NS);
  heartbeats.check(25_000 * NS);
  heartbeats.check(27_500 * NS);
  assert.equal(told, [], 'the third may be on its way');
  heartbeats.check(27_501 * NS);
  heartbeats.check(90_000 * NS);
  assert.equal(told, ['stopped 5000']);
  heartbeats.heard(100_000, 100_000 * NS);
  assert.equal(told, ['stopped 5000', 'resumed 90000']);
  heartbeats.check(117_501 * NS);
  assert.equal(told.slice(2), ['stopped 5000'], 'the silence is no interval');
});

test('one heartbeat says nothing of the next', () => {
  const { heartbeats, told } = listened();
  heartbeats.check(1e9 * NS);
  heartbeats.heard(0, 0);
  heartbeats.check(1e9 * NS);
  assert.equal(told, []);
});

test('what came late together is no quick heart, and two senders that take turns are no slow one', () => {
  const { heartbeats, told } = listened();
  // A backlog of three, read at once.
  for (const ms of [0, 5000, 10_000]) heartbeats.heard(ms, 60_000 * NS);
  heartbeats.check(77_000 * NS);
  assert.equal(told, []);
  for (const ms of [15_000, 16_000, 20_000, 21_000, 25_000, 26_000]) heartbeats.heard(ms, (70_000 + ms) * NS);
  heartbeats.check((96_000 + 13_999) * NS);
  assert.equal(told, []);
  heartbeats.check((96_000 + 14_001) * NS);
  assert.equal(told, ['stopped 4000']);
});

test('while the server is away nobody is silent', () => {
  const { heartbeats, told } = listened();
  for (const ms of [0, 1000]) heartbeats.heard(ms, ms * NS);
  heartbeats.restart(60_000 * NS);
  heartbeats.check(63_000 * NS);
  assert.equal(told, []);
  heartbeats.heard(63_500, 63_500 * NS);
  heartbeats.check(67_001 * NS);
  assert.equal(told, ['stopped 1000'], 'the outage is no interval');
});

test.run();
