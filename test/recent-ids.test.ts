import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KNOWN, RecentIds } from '../src/recent-ids.js';
import { PROPERTY_RUNS } from './support/sizes.js';

test('an id is new once, and has a place of its own', () => {
  const ids = new RecentIds(3);
  assert.equal(
    ['a', 'b', 'a', 'c', 'c', 'b'].map((id) => ids.add(id)),
    [0, 1, KNOWN, 2, KNOWN, KNOWN],
  );
  assert.equal(
    ['a', 'b', 'c', 'd'].map((id) => ids.placeOf(id)),
    [0, 1, 2, -1],
  );
});

test('the newest ids are known, each in its place, and no other, whatever came before', () => {
  const capacity = fc.nat({ max: 20 }).map((more) => more + 1);
  const ids = fc.array(fc.nat({ max: 60 }), { maxLength: 400, size: 'max' });
  fc.assert(
    fc.property(capacity, fc.nat(), ids, (count, seed, list) => {
      const recent = new RecentIds(count, seed);
      const places = new Map<string, number>();
      let added = 0;
      for (const id of list.map(String)) {
        if (places.has(id)) {
          assert.is(recent.add(id), KNOWN);
          continue;
        }
        const place = added++ % count;
        for (const [other, its] of places) if (its === place) places.delete(other);
        places.set(id, place);
        assert.is(recent.add(id), place);
        for (let other = 0; other <= 60; other++) {
          assert.is(recent.placeOf(`${other}`), places.get(`${other}`) ?? -1);
          assert.is(recent.has(`${other}`), places.has(`${other}`));
        }
      }
    }),
    { numRuns: PROPERTY_RUNS },
  );
});

test.run();
