import { OrchestratorError } from '../errors.js';

/** A sum of dependent terms judged by the sums of blocks of time. */
export interface BatchMeans {
  /** Sum over its standard error, Student-distributed with `blocks` − 1 degrees of freedom when the expectation is 0. */
  readonly t: number;
  /** Of the sum. */
  readonly standardError: number;
  readonly blocks: number;
}

/** Where the terms lie in time, in bars. */
export interface TimeSpan {
  /** Bar of every term. */
  readonly position: Int32Array;
  /** The interval the terms were drawn from, half-open. */
  readonly start: number;
  readonly end: number;
  /** Bars over which neighbouring terms hang together: {@link dependenceBars}. */
  readonly dependenceBars: number;
}

export const BLOCKS_MIN = 8;
export const BLOCKS_MAX = 32;
/** A block must be so many times as long as the dependence that its neighbours hardly know of it. */
export const BLOCK_DEPENDENCES = 5;

/**
 * Batch means (Conway 1963; Schmeiser 1982): the interval is cut into equal spans of time, all terms of a span together, and the spans' sums are taken as independent.
 * null when fewer than 8 spans hold a term: insufficient evidence. Throws LENGTH_MISMATCH.
 */
export function batchMeans(terms: Float64Array, span: TimeSpan): BatchMeans | null {
  const { position, start, end } = span;
  if (position.length !== terms.length) {
    throw new OrchestratorError('LENGTH_MISMATCH', `${terms.length} terms at ${position.length} positions`, {
      field: 'position',
    });
  }
  const wanted = Math.floor((end - start) / (BLOCK_DEPENDENCES * span.dependenceBars));
  const blocks = Math.min(Math.max(wanted, BLOCKS_MIN), BLOCKS_MAX);
  const sums = new Float64Array(blocks);
  const occupied = new Uint8Array(blocks);
  for (let k = 0; k < terms.length; k++) {
    const block = Math.min(Math.max(Math.floor(((position[k]! - start) * blocks) / (end - start)), 0), blocks - 1);
    sums[block] = sums[block]! + terms[k]!;
    occupied[block] = 1;
  }
  if (occupied.reduce((count, one) => count + one, 0) < BLOCKS_MIN) return null;
  const total = sums.reduce((sum, value) => sum + value, 0);
  const mean = total / blocks;
  const variance = sums.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (blocks - 1);
  const standardError = Math.sqrt(blocks * variance);
  return { t: total === 0 ? 0 : total / standardError, standardError, blocks };
}

/** How far dependence reaches: the larger of the 90 % quantile of the labels' durations and the mean gap between signals, in bars. */
export function dependenceBars(durations: Int32Array, barCount: number): number {
  if (durations.length === 0) return barCount;
  const sorted = durations.slice().sort();
  const duration = sorted[Math.ceil(0.9 * sorted.length) - 1]!;
  return Math.max(duration, barCount / durations.length, 1);
}

/** Shrinks an estimate by its own t: all of it when the evidence is overwhelming, nothing below one standard error or on the wrong side of 0. */
export function shrinkageFactor(evidence: Pick<BatchMeans, 't'> | null): number {
  return evidence !== null && evidence.t > 0 ? Math.max(0, 1 - 1 / evidence.t ** 2) : 0;
}
