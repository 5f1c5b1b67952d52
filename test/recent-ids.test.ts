import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RecentIds } from '../src/recent-ids.js';

test('an id is new once', () => {
  const ids = new RecentIds(3);
  assert.equal(
    ['a', 'b', 'a', 'c', 'c', 'b'].map((id) => ids.add(id)),
    [true, true, false, true, false, false],
  );
});

test('the newest ids are remembered, the oldest forgotten, and one that comes again is among the newest', () => {
  const ids = new RecentIds(3);
  for (const id of ['a', 'b', 'c', 'c', 'b']) ids.add(id);
  assert.ok(['a', 'b', 'c'].every((id) => ids.has(id)));
  for (const id of ['d', 'e']) ids.add(id);
  assert.not.ok(ids.has('a'), 'b and c came again');
  assert.ok(['b', 'c', 'd', 'e'].every((id) => ids.has(id)));
});

test('as many as promised are remembered and never twice as many, however many came', () => {
  const ids = new RecentIds(100);
  for (let k = 0; k < 1050; k++) {
    ids.add(`${k}`);
    const known = Array.from({ length: k + 1 }, (_, id) => id).filter((id) => ids.has(`${id}`));
    const first = known[0]!;
    assert.equal(known.length, k + 1 - first, 'the newest without a hole');
    assert.ok(known.length >= Math.min(100, k + 1) && known.length < 200, `${known.length}`);
  }
});

test.run();
