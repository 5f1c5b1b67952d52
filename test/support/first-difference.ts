import { isDeepStrictEqual } from 'node:util';

/** Index of the first element that differs in a bit (NaN equals NaN, 0 does not equal −0); −1 where all are the same. */
export function firstDifference(found: Iterable<unknown>, expected: Iterable<unknown>): number {
  const [left, right] = [[...found], [...expected]];
  const length = Math.max(left.length, right.length);
  for (let k = 0; k < length; k++) {
    if (k >= left.length || k >= right.length || !isDeepStrictEqual(left[k], right[k])) return k;
  }
  return -1;
}
