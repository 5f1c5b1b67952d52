import type { FirstModelVerdict } from '../../src/retrain/first-verdict.js';
import type { StrictVerdict, Verdict } from '../../src/retrain/verdict.js';

/** The verdict on a first model; fails the test for any other. */
export function firstVerdict({ verdict }: { readonly verdict: Verdict }): FirstModelVerdict {
  if (verdict.kind !== 'first-model') throw new Error(`a first model's verdict was expected: ${verdict.sentence}`);
  return verdict;
}

/** The promotion gate's verdict; fails the test for any other. */
export function strictVerdict({ verdict }: { readonly verdict: Verdict }): StrictVerdict {
  if (verdict.kind !== 'strict') throw new Error(`the promotion gate's verdict was expected: ${verdict.sentence}`);
  return verdict;
}
