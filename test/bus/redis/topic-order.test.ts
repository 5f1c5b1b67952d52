import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inOrder, type ReadStream, type TopicEntry } from '../../../src/bus/redis/topic-order.js';
import { PROPERTY_RUNS } from '../../support/sizes.js';

const entryOf = (id: string, rank: number): TopicEntry => ({ entry: { id, fields: [] }, rank });
const LATER = '999';

function ordered(streams: readonly ReadStream[], nowMs = LATER): string[] {
  return inOrder(streams, nowMs).map(({ stream, entry }) => `${stream} ${entry.id}`);
}

test('within a millisecond bars come first, whatever the second part of their id', () => {
  const signals = { stream: 'a', entries: [entryOf('5-0', 1), entryOf('6-0', 1)], mayHaveMore: false };
  const bars = { stream: 'b', entries: [entryOf('5-7', 0), entryOf('6-9', 0)], mayHaveMore: false };
  assert.equal(ordered([signals, bars]), ['b 5-7', 'a 5-0', 'b 6-9', 'a 6-0']);
});

test('entries of one stream stay as they stand in it, a bar behind a signal too', () => {
  const mixed = { stream: 'a', entries: [entryOf('5-0', 1), entryOf('5-1', 0), entryOf('5-2', 1)], mayHaveMore: false };
  const bars = { stream: 'b', entries: [entryOf('5-3', 0)], mayHaveMore: false };
  assert.equal(ordered([mixed, bars]), ['b 5-3', 'a 5-0', 'a 5-1', 'a 5-2']);
});

test('a signal waits for bars of its millisecond that may still come', () => {
  const signals = { stream: 'a', entries: [entryOf('4-0', 1), entryOf('5-0', 1)], mayHaveMore: false };
  const bars = { stream: 'b', entries: [entryOf('5-1', 0)], mayHaveMore: true };
  assert.equal(ordered([signals, bars]), ['a 4-0', 'b 5-1']);
  assert.equal(ordered([signals, { ...bars, mayHaveMore: false }], '5'), ['a 4-0'], 'the millisecond is not over');
});

test('whatever was read, in whatever pages, all comes out once, in the one order, and something each time', () => {
  const entry = fc.record({ ms: fc.integer({ min: 1, max: 6 }), rank: fc.nat(1) });
  const stream = fc
    .array(entry, { maxLength: 8 })
    .map((entries) => [...entries].sort((a, b) => a.ms - b.ms).map(({ ms, rank }, k) => entryOf(`${ms}-${k}`, rank)));
  fc.assert(
    fc.property(fc.array(stream, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 4 }), (streams, count) => {
      const whole = streams.map((entries, k) => ({ stream: `s${k}`, entries, mayHaveMore: false }));
      const places = streams.map(() => 0);
      const paged: string[] = [];
      while (places.some((place, k) => place < streams[k]!.length)) {
        const pages = whole.flatMap(({ stream, entries }, k) => {
          const page = entries.slice(places[k]!, places[k]! + count);
          return page.length === 0 ? [] : [{ stream, entries: page, mayHaveMore: page.length === count }];
        });
        const read = inOrder(pages, LATER);
        assert.ok(read.length > 0, 'something');
        for (const one of read) {
          places[Number(one.stream.slice(1))]!++;
          paged.push(`${one.stream} ${one.entry.id}`);
        }
      }
      const rankOf = (text: string): [ms: number, stream: string, sequence: number] => {
        const [name, id] = text.split(' ') as [string, string];
        const [ms, sequence] = id.split('-').map(Number) as [number, number];
        return [ms, name, sequence];
      };
      assert.is(paged.length, new Set(paged).size);
      assert.equal([...paged].sort(), ordered(whole).sort(), 'all of it');
      for (let k = 1; k < paged.length; k++) {
        const [before, after] = [rankOf(paged[k - 1]!), rankOf(paged[k]!)];
        assert.ok(before[0] <= after[0], 'by the millisecond');
      }
      for (const name of whole.map(({ stream }) => stream)) {
        const own = paged
          .map(rankOf)
          .filter(([, stream]) => stream === name)
          .map(([, , sequence]) => sequence);
        assert.equal(
          own,
          [...own].sort((a, b) => a - b),
          'as in the stream',
        );
      }
      // Where every stream holds one kind of message, all bars of a millisecond are before all else.
      const kinds = streams.map((entries) => new Set(entries.map(({ rank }) => rank)).size);
      if (kinds.every((size) => size <= 1)) assert.equal(paged, ordered(whole));
    }),
    { numRuns: PROPERTY_RUNS },
  );
});

test.run();
