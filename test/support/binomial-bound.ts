/** The most successes of `count` trials that a chance of `rate` exceeds less often than once in a thousand: what a share may come to in a sample. */
export function binomialBound(count: number, rate: number): number {
  let term = (1 - rate) ** count;
  let below = term;
  let successes = 0;
  while (below < 0.999) {
    term *= ((count - successes) / (successes + 1)) * (rate / (1 - rate));
    successes++;
    below += term;
  }
  return successes;
}
