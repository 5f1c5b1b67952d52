import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareEntryIds, entryIdBefore, STREAM_START } from '../../../src/bus/redis/entry-id.js';
import { PROPERTY_RUNS } from '../../support/sizes.js';

const LAST = 2n ** 64n - 1n;
const part = fc.oneof(fc.bigInt(0n, 20n), fc.bigInt(0n, LAST));
const id = fc.tuple(part, part).map(([ms, sequence]) => `${ms}-${sequence}`);

function place(text: string): bigint {
  const [ms, sequence] = text.split('-').map(BigInt) as [bigint, bigint];
  return ms * (LAST + 1n) + sequence;
}

test('entries are ordered as numbers of 128 bits, not as text', () => {
  fc.assert(
    fc.property(id, id, (a, b) => {
      const wanted = place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0;
      assert.is(Math.sign(compareEntryIds(a, b)), wanted);
    }),
    { numRuns: PROPERTY_RUNS },
  );
  assert.ok(compareEntryIds('9-0', '10-0') < 0);
});

test('before an entry lies the place with the next smaller number', () => {
  fc.assert(
    fc.property(id, (entry) => {
      fc.pre(entry !== STREAM_START);
      assert.is(place(entryIdBefore(entry)), place(entry) - 1n);
    }),
    { numRuns: PROPERTY_RUNS },
  );
});

test.run();
