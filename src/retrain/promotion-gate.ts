import type { FirstModelFinding, FirstModelPolicy } from './first-model.js';

/** What is known out of sample of a trained model when it asks for its place. Losses are mean log-losses in nats. */
export interface PromotionEvidence {
  /** Pooled test signals of the walk-forward, and the losses on them. */
  readonly nTest: number;
  readonly logLoss: number;
  /** Of the training windows' base rates on the same signals. */
  readonly baseRateLogLoss: number;
  /** How far the final fit's trees are trusted; 0 means it has none. */
  readonly lambda: number;
  readonly policy: FirstModelPolicy;
  readonly finding: FirstModelFinding;
  readonly incumbent: IncumbentEvidence;
}

export type IncumbentEvidence =
  | { readonly kind: 'no-incumbent' }
  /** It has seen the signals it would be compared on, or answers another question. */
  | { readonly kind: 'incumbent-not-comparable' }
  /** Losses of all three on the last purged fold. */
  | {
      readonly kind: 'compared';
      readonly incumbentLogLoss: number;
      readonly treesLogLoss: number;
      readonly baseRateLogLoss: number;
    };

export interface Verdict {
  /**
   * 'provisional': the trees serve at half size until the strict test passes them. 'forced': they serve because the policy is 'always'. 'refused': the base-rate bundle is
   * installed in their place. 'incumbent-kept': nothing is installed.
   */
  readonly verdict: 'provisional' | 'forced' | 'refused' | 'incumbent-kept';
  readonly installs: 'trees' | 'base-rate' | null;
  readonly comparison: IncumbentEvidence['kind'];
  readonly finding: FirstModelFinding;
  /** The decision in one sentence. */
  readonly sentence: string;
}

/** Whether a trained model is installed: its trees must have passed the first-model test (or the policy waives it), and what is left must beat a comparable incumbent. */
export function decidePromotion(evidence: PromotionEvidence): Verdict {
  const { incumbent, finding, policy } = evidence;
  const earned = evidence.lambda > 0 && (policy === 'always' || (policy === 'provisional' && finding.passed));
  const comparison = incumbent.kind;
  const found = describeFinding(evidence);
  if (incumbent.kind === 'compared') {
    const challenger = earned ? incumbent.treesLogLoss : incumbent.baseRateLogLoss;
    if (!(challenger < incumbent.incumbentLogLoss)) {
      const sentence = `${found}; on the last fold the incumbent scores ${nats(incumbent.incumbentLogLoss)} nats against ${nats(challenger)}, so it stays.`;
      return { verdict: 'incumbent-kept', installs: null, comparison, finding, sentence };
    }
  }
  const aside =
    comparison === 'incumbent-not-comparable'
      ? ' The incumbent has seen the test signals or answers another question, so it was not compared.'
      : '';
  if (!earned) {
    const needed = describeNeed(finding);
    return {
      verdict: 'refused',
      installs: 'base-rate',
      comparison,
      finding,
      sentence: `${found}: the base rate is served and every size is 0.${needed}${aside}`,
    };
  }
  if (policy === 'always') {
    return {
      verdict: 'forced',
      installs: 'trees',
      comparison,
      finding,
      sentence: `${found}: served because the policy is 'always'.${aside}`,
    };
  }
  const sentence = `${found}: served provisionally, at half size.${describeNeed(finding)}${aside}`;
  return { verdict: 'provisional', installs: 'trees', comparison, finding, sentence };
}

function describeFinding({ lambda, policy, finding, nTest, logLoss, baseRateLogLoss }: PromotionEvidence): string {
  const signals = `${nTest.toLocaleString('en-US')} signals out of sample`;
  const losses = `log-loss ${nats(logLoss)} against the base rate's ${nats(baseRateLogLoss)}`;
  if (lambda === 0) return `The newest training window gives no reason to trust any trees (${signals}, ${losses})`;
  const slope = Number.isNaN(finding.t)
    ? 'too little data to tell whether returns rise with the confidence'
    : `returns ${finding.t > finding.quantile ? 'rise' : 'do not rise'} with the confidence (t ${finding.t.toFixed(2)}, needed ${finding.quantile.toFixed(2)})`;
  const costly = finding.t > finding.quantile && !finding.passed ? ', which is too much worse' : '';
  const strict = policy === 'strict' ? ', and the policy asks for the strict test' : '';
  return `Over ${signals} ${slope}, ${losses}${costly}${strict}`;
}

function describeNeed({ neededLabels, etaDays }: FirstModelFinding): string {
  if (neededLabels === null || etaDays === null) return '';
  if (neededLabels === 0) return ' There are labels enough for the strict test.';
  return ` The strict test needs about ${neededLabels.toLocaleString('en-US')} more labels, some ${etaDays.toLocaleString('en-US')} days at this rate.`;
}

function nats(loss: number): string {
  return loss.toFixed(4);
}
