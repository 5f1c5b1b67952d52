/** The logistic function. */
export function probabilityOf(margin: number): number {
  return 1 / (1 + Math.exp(-margin));
}

/** Log-odds of a probability. */
export function marginOf(probability: number): number {
  return Math.log(probability / (1 - probability));
}
