import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Silence } from '../../../src/bus/redis/silence.js';
import { NS_PER_MS } from '../../../src/clock.js';
import { ManualClock } from '../../support/manual-clock.js';

function withClock(): { silence: Silence; after: (ms: number) => boolean; clock: ManualClock } {
  const clock = new ManualClock();
  const silence = new Silence({ clock, longestMs: 500, readWaitMs: 1000 });
  const after = (ms: number): boolean => {
    clock.advanceNs(ms * NS_PER_MS);
    return silence.isTooLong;
  };
  return { silence, after, clock };
}

test('a reply is owed from when its command was given', () => {
  const { silence, after, clock } = withClock();
  assert.not(after(500));
  assert.ok(after(1));
  const askedNs = clock.monotonicNs();
  assert.ok(after(400), 'until it comes');
  silence.heard(askedNs);
  assert.not(after(100));
  assert.ok(after(1));
});

test('a read may take as long as the server may wait besides, and owes nothing when it is over', async () => {
  const { silence, after, clock } = withClock();
  const heardAfter = (ms: number): boolean => {
    after(ms);
    silence.heard(clock.monotonicNs());
    return silence.isTooLong;
  };
  let reply = (): void => undefined;
  const read = silence.during(async () => new Promise<void>((resolve) => (reply = resolve)));
  assert.not(heardAfter(1500));
  assert.ok(heardAfter(1));
  reply();
  await read;
  assert.not(silence.isTooLong);
  await silence.during(async () => Promise.reject(new Error('refused'))).catch(() => undefined);
  assert.not(heardAfter(2000), 'nor when it has failed');
});

test.run();
