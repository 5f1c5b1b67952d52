import { uniformStream } from '../simulation/random-streams.js';
import { cusumStep } from './cusum.js';

/** What one label adds to the detectors, as columns, in the order the labels' horizons closed. */
export interface LabelIncrements {
  /** Of the skill CUSUM, in nats. */
  readonly skill: Float64Array;
  /** y − p, before the allowance is taken off. */
  readonly residual: Float64Array;
}

/** The levels at which the two detectors alarm; Infinity for one that is not asked. */
export interface Thresholds {
  readonly skill: number;
  readonly rate: number;
}

export interface StreamOptions {
  readonly streams: number;
  /** Mean length of the resampled blocks, in labels. */
  readonly meanBlock: number;
  readonly allowance: number;
  readonly seed: number;
}

/** The running maxima of one CUSUM, each with the label it was reached at: the first passage of any level can be looked up. */
class Records {
  #levels: number[] = [];
  #labels: number[] = [];
  highest = 0;

  push(level: number, label: number): void {
    this.#levels.push(level);
    this.#labels.push(label);
    this.highest = level;
  }

  /** The label at which the CUSUM first stood at `level` > 0 or above; Infinity if it has not yet. */
  firstAtLeast(level: number): number {
    if (this.highest < level) return Number.POSITIVE_INFINITY;
    let from = 0;
    let to = this.#levels.length - 1;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#levels[middle]! >= level) to = middle;
      else from = middle + 1;
    }
    return this.#labels[from]!;
  }
}

interface Stream {
  readonly uniform: () => number;
  readonly skillRecords: Records;
  readonly rateRecords: Records;
  /** Of the label drawn last, and how many of its block are still to come. */
  position: number;
  blockLeft: number;
  labels: number;
  skill: number;
  up: number;
  down: number;
}

/**
 * Endless streams of labels drawn from a finite history by the stationary bootstrap (Politis & Romano 1994: blocks of geometric length from anywhere, wrapping at the end, all
 * columns together), each with its CUSUMs run from zero. A stream is prolonged only when a threshold is asked that it has not reached, and remembers its records, so that the
 * first passages of every threshold come from one pass. Seeded: the answers do not depend on what was asked before.
 */
export class BootstrapStreams {
  readonly #streams: Stream[];

  constructor(
    private readonly increments: LabelIncrements,
    private readonly options: StreamOptions,
  ) {
    this.#streams = Array.from({ length: options.streams }, (_, k) => ({
      uniform: uniformStream(options.seed, k, options.streams),
      skillRecords: new Records(),
      rateRecords: new Records(),
      position: 0,
      blockLeft: 0,
      labels: 0,
      skill: 0,
      up: 0,
      down: 0,
    }));
  }

  /** Mean labels until the first of the detectors alarms: the average run length. Infinity as soon as it is known to be above `limit`, which bounds the work. */
  meanRun(thresholds: Thresholds, limit: number): number {
    const budget = limit * this.#streams.length;
    let total = 0;
    for (const stream of this.#streams) {
      total += this.#firstPassage(stream, thresholds, budget - total);
      if (total > budget) return Number.POSITIVE_INFINITY;
    }
    return total / this.#streams.length;
  }

  /** Alarms, one per stream at most, and the labels it took to see them, no stream being followed for more than `labelsMax`. */
  alarmsWithin(thresholds: Thresholds, labelsMax: number): { readonly alarms: number; readonly labels: number } {
    let alarms = 0;
    let labels = 0;
    for (const stream of this.#streams) {
      const passage = this.#firstPassage(stream, thresholds, labelsMax);
      if (passage <= labelsMax) alarms++;
      labels += Math.min(passage, labelsMax);
    }
    return { alarms, labels };
  }

  #firstPassage(stream: Stream, thresholds: Thresholds, labelsMax: number): number {
    this.#prolong(stream, thresholds, labelsMax);
    return Math.min(
      stream.skillRecords.firstAtLeast(thresholds.skill),
      stream.rateRecords.firstAtLeast(thresholds.rate),
    );
  }

  /** Works on local copies, because every label of every stream passes here. */
  #prolong(stream: Stream, thresholds: Thresholds, labelsMax: number): void {
    const { skill: skillColumn, residual } = this.increments;
    const { allowance, meanBlock } = this.options;
    const { uniform, skillRecords, rateRecords } = stream;
    const logStay = Math.log(1 - 1 / meanBlock);
    let { position, blockLeft, labels, skill, up, down } = stream;
    let skillHighest = skillRecords.highest;
    let rateHighest = rateRecords.highest;
    while (skillHighest < thresholds.skill && rateHighest < thresholds.rate && labels < labelsMax) {
      if (blockLeft === 0) {
        position = Math.floor(uniform() * residual.length);
        blockLeft = 1 + Math.floor(Math.log(1 - uniform()) / logStay);
      } else {
        position = position + 1 === residual.length ? 0 : position + 1;
      }
      blockLeft--;
      labels++;
      const excess = residual[position]!;
      skill = cusumStep(skill, skillColumn[position]!);
      up = cusumStep(up, excess - allowance);
      down = cusumStep(down, -excess - allowance);
      if (skill > skillHighest) {
        skillHighest = skill;
        skillRecords.push(skill, labels);
      }
      if (up > rateHighest || down > rateHighest) {
        rateHighest = Math.max(up, down);
        rateRecords.push(rateHighest, labels);
      }
    }
    Object.assign(stream, { position, blockLeft, labels, skill, up, down });
  }
}
