import { shrinkageFactor } from '../validation/batch-means.js';
import type { SlopeEvidence } from '../validation/slope.js';

/** What a signal earns as a function of its confidence p, in units of the barrier (R-multiples, gross). */
export interface EdgeModel {
  /** E[R | p] = intercept + slope·p. */
  readonly intercept: number;
  readonly slope: number;
  /** E[R²] of winners and of losers. */
  readonly squareWon: number;
  readonly squareLost: number;
}

/** Out-of-sample outcomes of signals. */
export interface EdgeSample {
  readonly metaLabel: Uint8Array;
  readonly grossR: Float64Array;
}

/** From this many independent labels on, the slope is measured; below, it is what winners and losers earned on average. */
const MEASURED_MIN = 300;

/** The line from out-of-sample evidence, its slope shrunk by its own t; from the averages of winners and losers where there are too few labels to measure it. */
export function fitEdge(
  line: SlopeEvidence,
  outOfSample: EdgeSample,
  training: EdgeSample,
  effectiveN: number,
): EdgeModel {
  const [squareLost, squareWon] = ([0, 1] as const).map((label) => {
    const sample = outOfSample.metaLabel.includes(label) ? outOfSample : training;
    return meanOver(sample, label, (r) => r * r);
  }) as [number, number];
  if (effectiveN < MEASURED_MIN) {
    const intercept = meanOver(training, 0, (r) => r);
    return { intercept, slope: meanOver(training, 1, (r) => r) - intercept, squareWon, squareLost };
  }
  const slope = line.slope * shrinkageFactor(line.evidence);
  return { intercept: line.meanY - slope * line.meanX, slope, squareWon, squareLost };
}

/** No edge at any confidence. */
export const NO_EDGE: EdgeModel = { intercept: 0, slope: 0, squareWon: 1, squareLost: 1 };

/** The confidence from which a signal pays its cost; Infinity where confidence says nothing. `unit`: barrier as a fraction of price; `cost`: round trip as a fraction. */
export function breakEvenConfidence(edge: EdgeModel, unit: number, cost: number): number {
  return edge.slope > 0 ? (cost / unit - edge.intercept) / edge.slope : Number.POSITIVE_INFINITY;
}

export interface EdgeSizing {
  /** Share of the Kelly fraction that is taken. */
  readonly kappa: number;
  /** Largest size. */
  readonly maxFraction: number;
}

export type EdgeSize =
  | { readonly size: number; readonly reason: undefined }
  | { readonly size: 0; readonly reason: 'no-edge' | 'below-break-even' };

/**
 * Fractional Kelly (Kelly 1956; Thorp 2006) on the edge after cost: κ·EV/(unit²·E[R²]), with EV = unit·(intercept + slope·p) − cost, unsigned and capped.
 * 0 with the reason where the confidence carries no edge or the edge does not pay its cost.
 */
export function sizeOnEdge(
  edge: EdgeModel,
  confidence: number,
  unit: number,
  cost: number,
  sizing: EdgeSizing,
): EdgeSize {
  const square = confidence * edge.squareWon + (1 - confidence) * edge.squareLost;
  if (!(edge.slope > 0 && square > 0)) return { size: 0, reason: 'no-edge' };
  const value = unit * (edge.intercept + edge.slope * confidence) - cost;
  const size = (sizing.kappa * value) / (unit * unit * square);
  if (!(size > 0)) return { size: 0, reason: 'below-break-even' };
  return { size: Math.min(size, sizing.maxFraction), reason: undefined };
}

function meanOver(sample: EdgeSample, label: 0 | 1, of: (r: number) => number): number {
  let sum = 0;
  let count = 0;
  for (let k = 0; k < sample.grossR.length; k++) {
    if (sample.metaLabel[k] !== label) continue;
    sum += of(sample.grossR[k]!);
    count++;
  }
  return count === 0 ? 0 : sum / count;
}
