import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InFlight } from '../../../src/bus/redis/in-flight.js';
import { InputTrimmer } from '../../../src/bus/redis/input-trimmer.js';
import { eventually } from '../../support/eventually.js';
import { inFlightEntry } from '../../support/in-flight-entry.js';

const never = (): never => {
  throw new Error('nothing is cut yet');
};

/** Takes in entries 1 to `count`, in batches as they are read; where the stream was cut. */
function trimmed(
  keep: number | null,
  count: number,
  inFlight: InFlight,
  durable = async (): Promise<void> => {},
): string[] {
  const cuts: string[] = [];
  const trimmer = new InputTrimmer(keep, { durable }, inFlight);
  for (let last = 256; last <= count; last += 256) trimmer.taken(256, `${last}-0`, (before) => cuts.push(before));
  return cuts;
}

test('the newest entries are kept, as many as were asked for', async () => {
  const cuts = trimmed(10_240, 20_480, new InFlight());
  await eventually(() => cuts.length > 0, 'a cut');
  assert.equal(cuts, ['10240-0']);
});

test('a restart goes on counting where the process before was', async () => {
  const before = new InputTrimmer(10_240, { durable: async () => {} }, new InFlight());
  for (let last = 1024; last <= 10_240; last += 1024) before.taken(1024, `${last}-0`, never);
  const cuts: string[] = [];
  const after = new InputTrimmer(10_240, { durable: async () => {} }, new InFlight(), before.toState());
  after.taken(1024, '11264-0', (cut) => cuts.push(cut));
  await eventually(() => cuts.length > 0, 'a cut');
  assert.equal(cuts, ['1024-0']);
});

test('nothing is forgotten that has no reply yet', async () => {
  const inFlight = new InFlight();
  inFlight.add(inFlightEntry({ id: '700-0', asOf: 3 }));
  const cuts = trimmed(10_240, 20_480, inFlight);
  await eventually(() => cuts.length > 0, 'a cut');
  assert.equal(cuts, ['700-0']);
});

test('nothing is forgotten that the disk does not have', async () => {
  let asked = 0;
  const cuts = trimmed(10_240, 30_720, new InFlight(), async () => {
    asked++;
    throw new Error('the disk is full');
  });
  await eventually(() => asked > 0, 'the question');
  assert.equal(cuts, []);
});

test('nothing at all is forgotten where that was asked for', async () => {
  let asked = 0;
  trimmed(null, 2_000_000, new InFlight(), async () => {
    asked++;
  });
  assert.is(asked, 0);
});

test.run();
