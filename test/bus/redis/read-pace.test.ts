import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ReadPace } from '../../../src/bus/redis/read-pace.js';

const MIB = 2 ** 20;

/** What is asked for after replies with so many entries of so many bytes. */
function countsAfter(replies: readonly (readonly [entries: number, bytes: number])[]): number[] {
  const pace = new ReadPace(10);
  return replies.map(([entries, bytes]) => {
    const entry = { id: '1-0', fields: [Buffer.from('payload'), Buffer.alloc(bytes)] };
    pace.took(Array.from({ length: entries }, () => entry));
    return pace.count;
  });
}

test('twice as many entries are asked for each time, up to the most, while there are so many', () => {
  assert.is(new ReadPace(10).count, 1);
  const replies = [1, 2, 4, 8, 10].map((entries) => [entries, 8] as const);
  assert.equal(countsAfter(replies), [2, 4, 8, 10, 10]);
  assert.equal(
    countsAfter([
      [1, 8],
      [1, 8],
      [0, 0],
    ]),
    [2, 2, 2],
  );
});

test('while they are large, half as many, and one at least', () => {
  assert.equal(
    countsAfter([
      [1, 8],
      [2, 8],
      [4, 3 * MIB],
      [2, 5 * MIB],
      [1, 9 * MIB],
      [1, MIB],
    ]),
    [2, 4, 2, 1, 1, 2],
  );
});

test.run();
