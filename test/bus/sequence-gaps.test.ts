import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SequenceGaps } from '../../src/bus/sequence-gaps.js';
import { PROPERTY_RUNS } from '../support/sizes.js';

test('of any messages that are lost between two of their sender, all are found missing', () => {
  const step = fc.record({ source: fc.constantFrom('a', 'b', 'c'), isLost: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), fc.bigInt({ min: 0n, max: 2n ** 60n }), (steps, first) => {
      const gaps = new SequenceGaps();
      const [next, lost] = [new Map<string, bigint>(), new Map<string, number>()];
      const heard = new Set<string>();
      for (const { source, isLost } of steps) {
        const sequence = next.get(source) ?? first;
        next.set(source, sequence + 1n);
        if (isLost) {
          lost.set(source, (lost.get(source) ?? 0) + 1);
          continue;
        }
        // What came before the first message that is heard cannot be known.
        const missing = gaps.missingBefore({ source, sequence });
        assert.is(missing, heard.has(source) ? (lost.get(source) ?? 0) : 0);
        heard.add(source);
        lost.set(source, 0);
      }
    }),
    { numRuns: PROPERTY_RUNS },
  );
});

test('a sender that counts anew, or repeats itself, misses nothing', () => {
  const gaps = new SequenceGaps();
  const missing = [100n, 100n, 1n, 2n, 5n].map((sequence) => gaps.missingBefore({ source: 'a', sequence }));
  assert.equal(missing, [0, 0, 0, 0, 2]);
});

test('senders without number are forgotten from the one longest unheard', () => {
  const gaps = new SequenceGaps();
  gaps.missingBefore({ source: 'old', sequence: 1n });
  gaps.missingBefore({ source: 'kept', sequence: 1n });
  for (let k = 0; k < 1023; k++) gaps.missingBefore({ source: `${k}`, sequence: 1n });
  assert.is(gaps.missingBefore({ source: 'kept', sequence: 3n }), 1);
  assert.is(gaps.missingBefore({ source: 'old', sequence: 3n }), 0);
});

test.run();
