/** The part of jstat that is used here; the package ships no declarations. */
declare module 'jstat' {
  export const jStat: {
    readonly chisquare: { inv(probability: number, degreesOfFreedom: number): number };
    readonly studentt: { inv(probability: number, degreesOfFreedom: number): number };
    readonly normal: {
      cdf(x: number, mean: number, standardDeviation: number): number;
      inv(probability: number, mean: number, standardDeviation: number): number;
    };
  };
}
