/** The logistic function. */
export function probabilityOf(margin: number): number {
  return 1 / (1 + Math.exp(-margin));
}

/** Log-odds of a probability. */
export function marginOf(probability: number): number {
  return Math.log(probability / (1 - probability));
}

/** How far a forest's margin is trusted: logit p = baseMargin + lambda × (margin − baseMargin). */
export interface Calibration {
  /** Log-odds of the unweighted base rate. */
  readonly baseMargin: number;
  /** In [0, 1]; 0 answers the base rate to everything. */
  readonly lambda: number;
}

export function calibratedProbability(margin: number, { baseMargin, lambda }: Calibration): number {
  return probabilityOf(baseMargin + lambda * (margin - baseMargin));
}
