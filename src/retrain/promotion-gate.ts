/** What is known out of sample of a trained model when it asks for its place. Losses are mean log-losses in nats. */
export interface PromotionEvidence {
  /** Pooled test signals of the walk-forward, and the losses on them. */
  readonly nTest: number;
  readonly logLoss: number;
  /** Of the training windows' base rates on the same signals. */
  readonly baseRateLogLoss: number;
  /** Rounds the final fit ended with; 0 means it found nothing to split on. */
  readonly rounds: number;
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
  /** 'refused': the trees are, and the base-rate bundle is installed in their place. 'incumbent-kept': nothing is installed. */
  readonly verdict: 'promoted' | 'refused' | 'incumbent-kept';
  readonly installs: 'trees' | 'base-rate' | null;
  readonly comparison: IncumbentEvidence['kind'];
  /** The decision in one sentence. */
  readonly sentence: string;
}

/** Whether a trained model is installed: its trees must beat the base rate out of sample, and what is left must beat a comparable incumbent. */
export function decidePromotion(evidence: PromotionEvidence): Verdict {
  const { incumbent } = evidence;
  const treesEarned = evidence.rounds > 0 && evidence.logLoss < evidence.baseRateLogLoss;
  const finding = describeFinding(evidence, treesEarned);
  if (incumbent.kind === 'compared') {
    const challenger = treesEarned ? incumbent.treesLogLoss : incumbent.baseRateLogLoss;
    if (!(challenger < incumbent.incumbentLogLoss)) {
      return {
        verdict: 'incumbent-kept',
        installs: null,
        comparison: incumbent.kind,
        sentence: `${finding}; on the last fold the incumbent scores ${nats(incumbent.incumbentLogLoss)} against ${nats(challenger)}, so it stays.`,
      };
    }
  }
  const comparison = incumbent.kind;
  const aside =
    comparison === 'incumbent-not-comparable'
      ? ' The incumbent has seen the test signals or answers another question, so it was not compared.'
      : '';
  return treesEarned
    ? { verdict: 'promoted', installs: 'trees', comparison, sentence: `${finding}: promoted.${aside}` }
    : {
        verdict: 'refused',
        installs: 'base-rate',
        comparison,
        sentence: `${finding}: the trees are refused and the base rate is served instead.${aside}`,
      };
}

function describeFinding(evidence: PromotionEvidence, treesEarned: boolean): string {
  const count = evidence.nTest.toLocaleString('en-US');
  if (!treesEarned && evidence.rounds === 0) {
    return `On its newest training window no boosting round improved on the base rate (out of sample ${nats(evidence.logLoss)} against ${nats(evidence.baseRateLogLoss)} nats over ${count} signals)`;
  }
  const verb = treesEarned ? 'beats' : 'does not beat';
  return `Out of sample the model ${verb} the base rate (log-loss ${nats(evidence.logLoss)} against ${nats(evidence.baseRateLogLoss)} nats over ${count} signals)`;
}

function nats(loss: number): string {
  return loss.toFixed(4);
}
