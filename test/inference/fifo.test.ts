import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Fifo } from '../../src/inference/fifo.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

test('items come out in the order they went in, whatever happens in between', () => {
  const steps = fc.array(fc.oneof(fc.constant('shift' as const), fc.constant('clear' as const), fc.integer()), {
    maxLength: 400,
  });
  fc.assert(
    fc.property(steps, (all) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      for (const step of all) {
        if (step === 'shift') assert.is(fifo.shift(), model.shift());
        else if (step === 'clear') {
          fifo.clear();
          model = [];
        } else {
          fifo.push(step);
          model.push(step);
        }
        assert.equal([fifo.length, fifo.peek()], [model.length, model[0]]);
        assert.equal([...fifo], model);
      }
    }),
    { seed: 6, numRuns: PROPERTY_RUNS },
  );
});

test('a queue that is never empty keeps no more than twice what is in it, and a thousand items', () => {
  const fifo = new Fifo<number>();
  for (let k = 0; k < 100; k++) fifo.push(k);
  for (let k = 0; k < 100_000; k++) {
    fifo.push(100 + k);
    assert.is(fifo.shift(), k);
  }
  const { items } = fifo as unknown as { items: number[] };
  assert.ok(items.length <= 2 * (fifo.length + 1024), `${items.length} kept for ${fifo.length}`);
});

test.run();
