import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Backoff } from '../../../src/bus/redis/backoff.js';
import { unlessHung } from '../../support/threads.js';

/** Pauses that are over at once, and how long they would have been. */
function backoffWith(uniform: () => number): { backoff: Backoff; pausesMs: number[] } {
  const pausesMs: number[] = [];
  const delay = (ms: number, call: () => void): (() => void) => {
    pausesMs.push(ms);
    queueMicrotask(call);
    return () => undefined;
  };
  return { backoff: new Backoff({ firstMs: 100, pauseMsMax: 1000, uniform, delay }), pausesMs };
}

test('pauses double up to the longest, and begin anew after a success', async () => {
  const { backoff, pausesMs } = backoffWith(() => 1 - 2 ** -53);
  for (let k = 0; k < 6; k++) await backoff.wait();
  backoff.reset();
  await backoff.wait();
  assert.equal(pausesMs.map(Math.round), [100, 200, 400, 800, 1000, 1000, 100]);
});

test('half of every pause is left to chance', async () => {
  const draws = [0, 0.5, 0.25];
  const { backoff, pausesMs } = backoffWith(() => draws.shift()!);
  for (let k = 0; k < 3; k++) await backoff.wait();
  assert.equal(pausesMs, [50, 150, 250]);
});

test('after thousands of attempts a pause is still the longest, and a number', async () => {
  const { backoff, pausesMs } = backoffWith(() => 0);
  for (let k = 0; k < 3000; k++) await backoff.wait();
  assert.is(pausesMs.at(-1), 500);
});

test('the end wakes who waits, takes the timer back and lets nobody wait again', async () => {
  let takenBack = 0;
  const delay = () => () => {
    takenBack++;
  };
  const backoff = new Backoff({ firstMs: 100, pauseMsMax: 1000, uniform: () => 0, delay });
  const waiting = backoff.wait();
  backoff.end();
  await unlessHung(waiting, 'the wait that was ended');
  await unlessHung(backoff.wait(), 'a wait after the end');
  assert.is(takenBack, 1);
});

test.run();
