import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrderedQueue } from '../../src/outcomes/ordered-queue.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

interface Item {
  readonly rank: number;
  readonly arrival: number;
}

test('items leave by rank, those of one rank as they came, whatever is taken, kept and put in between', () => {
  const rank = fc.nat({ max: 9 });
  const operations = fc.array(fc.oneof(rank, rank, rank, fc.constantFrom('shift' as const, 'keep' as const)), {
    maxLength: 400,
    size: 'max',
  });
  fc.assert(
    fc.property(operations, (list) => {
      const queue = new OrderedQueue<Item>((a, b) => a.rank < b.rank);
      let model: Item[] = [];
      for (const [arrival, operation] of list.entries()) {
        if (operation === 'shift') assert.is(queue.shift(), model.shift());
        else if (operation === 'keep') {
          const isWanted = (item: Item): boolean => item.arrival % 7 !== 0;
          queue.keep(isWanted);
          model = model.filter(isWanted);
        } else {
          const item = { rank: operation, arrival };
          queue.insert(item);
          const after = model.findIndex((other) => other.rank > operation);
          model.splice(after < 0 ? model.length : after, 0, item);
        }
        assert.is(queue.length, model.length);
        assert.is(queue.peek(), model[0]);
        assert.is(queue.at(model.length - 1), model.at(-1));
        assert.is(queue.at(model.length), undefined);
      }
    }),
    { seed: 61, numRuns: PROPERTY_RUNS },
  );
});

test('a long queue gives out every item in order', () => {
  const queue = new OrderedQueue<number>((a, b) => a < b);
  for (let k = 0; k < 10_000; k++) queue.insert(k ^ 1);
  for (let k = 0; k < 10_000; k++) assert.is(queue.shift(), k);
  assert.is(queue.shift(), undefined);
  queue.insert(5);
  assert.is(queue.peek(), 5);
});

test.run();
