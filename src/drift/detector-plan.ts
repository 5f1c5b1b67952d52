/** What the detectors of one champion are set to, found when it was trained; part of its bundle. Thresholds belong to one sequence of labels in the order their horizons closed. */
export interface DetectorPlan {
  /** The dial: labels between two false alarms of the union of all detectors. */
  readonly labelsPerFalseAlarm: number;
  /** Threshold of the skill CUSUM, in nats; null for a model whose confidence never differs from its base rate. */
  readonly skillThreshold: number | null;
  /** Threshold of each side of the base-rate CUSUM, in labels. */
  readonly rateThreshold: number;
  /** What each side of the base-rate CUSUM takes off every label: half the smallest shift that matters. */
  readonly rateAllowance: number;
  /** Labels per false alarm of the union in a simulation with another seed, and its 95 % interval. */
  readonly verified: { readonly labels: number; readonly lower: number; readonly upper: number };
}
