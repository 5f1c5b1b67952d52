/** Inputs observed per bar. */
export const INPUT_COUNT = 2;

/** A hidden Markov model of two inputs with Gaussian states of diagonal covariance. All probabilities are positive, all variances too. */
export interface GaussianHmm {
  readonly stateCount: number;
  /** P(state at the start of a sequence), [state]. */
  readonly initial: Float64Array;
  /** [from][to], row-major; every row sums to 1. */
  readonly transition: Float64Array;
  /** [state][input], row-major. */
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

/** Densities of one observation in every state, divided by the largest of them so that they neither under- nor overflow. */
export class ScaledDensities {
  private readonly stateCount: number;
  private readonly mean: Float64Array;
  /** −1 / (2 variance), [state][input]. */
  private readonly steepness: Float64Array;
  /** Log density at the mean, [state]. */
  private readonly peak: Float64Array;

  constructor(mean: ArrayLike<number>, variance: ArrayLike<number>) {
    this.stateCount = mean.length / INPUT_COUNT;
    this.mean = Float64Array.from(mean);
    this.steepness = Float64Array.from(variance, (value) => -0.5 / value);
    this.peak = new Float64Array(this.stateCount);
    for (let k = 0; k < this.stateCount; k++) {
      this.peak[k] = -0.5 * Math.log(4 * Math.PI * Math.PI * variance[2 * k]! * variance[2 * k + 1]!);
    }
  }

  /** Writes one value in [0, 1] a state from `out[at]` on, 1 for the likeliest; returns the log density that 1 stands for. */
  write(first: number, second: number, out: Float64Array, at: number): number {
    const { stateCount, mean, steepness, peak } = this;
    let largest = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < stateCount; k++) {
      const a = first - mean[2 * k]!;
      const b = second - mean[2 * k + 1]!;
      const logDensity = peak[k]! + steepness[2 * k]! * a * a + steepness[2 * k + 1]! * b * b;
      out[at + k] = logDensity;
      if (logDensity > largest) largest = logDensity;
    }
    for (let k = 0; k < stateCount; k++) out[at + k] = Math.exp(out[at + k]! - largest);
    return largest;
  }
}

/**
 * The stationary distribution of a positive transition matrix ([from][to], row-major) by state reduction, which subtracts nothing and so
 * keeps full relative precision (Grassmann, Taksar & Heyman 1985).
 */
export function stationaryDistribution(transition: Float64Array, stateCount: number): Float64Array {
  const reduced = transition.slice();
  for (let last = stateCount - 1; last > 0; last--) {
    let leaving = 0;
    for (let j = 0; j < last; j++) leaving += reduced[last * stateCount + j]!;
    for (let i = 0; i < last; i++) {
      const share = reduced[i * stateCount + last]! / leaving;
      reduced[i * stateCount + last] = share;
      for (let j = 0; j < last; j++) reduced[i * stateCount + j]! += share * reduced[last * stateCount + j]!;
    }
  }
  const stationary = new Float64Array(stateCount);
  stationary[0] = 1;
  let total = 1;
  for (let j = 1; j < stateCount; j++) {
    for (let i = 0; i < j; i++) stationary[j]! += stationary[i]! * reduced[i * stateCount + j]!;
    total += stationary[j]!;
  }
  return stationary.map((value) => value / total);
}
