import type { FirstModelFinding, FirstModelPolicy } from './first-model.js';

/** What is known out of sample of a trained model when it asks for a place nobody defends. Losses are mean log-losses in nats. */
export interface FirstModelCase {
  /** Pooled test signals of the walk-forward, and the losses on them. */
  readonly nTest: number;
  readonly logLoss: number;
  /** Of the training windows' base rates on the same signals. */
  readonly baseRateLogLoss: number;
  /** How far the final fit's trees are trusted; 0 means it has none. */
  readonly lambda: number;
  readonly policy: FirstModelPolicy;
  /** Somebody asked for the trees, whatever the test says. */
  readonly force: boolean;
  readonly finding: FirstModelFinding;
  readonly comparison: IncumbentKind;
}

/** What the model that serves has to do with the decision. One with trees defends its place at the promotion gate instead. */
export type IncumbentKind =
  | 'no-incumbent'
  /** It has other features or labels, so it answers another question. */
  | 'incumbent-not-comparable'
  /** It answers the base rate to everything, which is what every first model is tested against. */
  | 'incumbent-without-trees';

export interface FirstModelVerdict {
  readonly kind: 'first-model';
  /**
   * 'provisional': the trees serve at half size until the strict test passes them. 'forced': they serve untested, because the policy is 'always' or by request.
   * 'refused': the base-rate bundle is installed in their place. 'overtaken': by the time it could be carried out, another model served.
   */
  readonly verdict: 'provisional' | 'forced' | 'refused' | 'overtaken';
  /** null when it was overtaken. */
  readonly installs: 'trees' | 'base-rate' | null;
  readonly comparison: IncumbentKind;
  readonly finding: FirstModelFinding;
  /** The decision in one sentence. */
  readonly sentence: string;
}

/** A verdict as it was reached, before anything could overtake it. */
export type DecidedFirstModel = FirstModelVerdict & {
  readonly verdict: Exclude<FirstModelVerdict['verdict'], 'overtaken'>;
  readonly installs: 'trees' | 'base-rate';
};

/** Whether the trees of a first model are installed: they must have passed the first-model test, unless the policy waives it. */
export function decideFirstModel(evidence: FirstModelCase): DecidedFirstModel {
  const { finding, policy, force, comparison } = evidence;
  const isWaived = force || policy === 'always';
  const earned = evidence.lambda > 0 && (isWaived || (policy === 'provisional' && finding.passed));
  const found = describeFinding(evidence);
  const aside =
    comparison === 'incumbent-not-comparable'
      ? ' The incumbent answers a different question, so it was not compared.'
      : '';
  const decided = (
    verdict: DecidedFirstModel['verdict'],
    installs: 'trees' | 'base-rate',
    sentence: string,
  ): DecidedFirstModel => ({
    kind: 'first-model',
    verdict,
    installs,
    comparison,
    finding,
    sentence: `${found}${sentence}${aside}`,
  });
  if (!earned) {
    return decided('refused', 'base-rate', `: the base rate is served and every size is 0.${describeNeed(finding)}`);
  }
  if (isWaived) {
    return decided('forced', 'trees', force ? ': served by request.' : `: served because the policy is 'always'.`);
  }
  return decided('provisional', 'trees', `: served provisionally, at half size.${describeNeed(finding)}`);
}

function describeFinding({ lambda, policy, finding, nTest, logLoss, baseRateLogLoss }: FirstModelCase): string {
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
  return ` The strict test will need about ${neededLabels.toLocaleString('en-US')} labels from here on, some ${etaDays.toLocaleString('en-US')} days at this rate.`;
}

function nats(loss: number): string {
  return loss.toFixed(4);
}
