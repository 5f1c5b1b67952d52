import type { FirstModelVerdict } from './first-verdict.js';
import type { GateVerdict } from './strict-gate.js';

/** The promotion gate's decision on a challenger against the champion, or on a provisional champion against its base rate. */
export interface StrictVerdict {
  readonly kind: 'strict';
  /** 'withdraw': the provisional champion is worse than its base rate, which takes its place. 'forced': installed whatever the gate said. 'overtaken': by the time it could be carried out, another model served. */
  readonly verdict: GateVerdict['verdict'] | 'withdraw' | 'forced' | 'overtaken';
  /** null: the champion stays, and what was trained is kept as a candidate. */
  readonly installs: 'trees' | 'base-rate' | null;
  /** The test and every figure of it; null where there was nothing to test. */
  readonly gate: GateVerdict | null;
  /** The decision in one sentence. */
  readonly sentence: string;
}

/** What was decided about a model, with every figure behind it. */
export type Verdict = FirstModelVerdict | StrictVerdict;
