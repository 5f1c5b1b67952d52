import { type GaussianHmm, INPUT_COUNT, ScaledDensities } from './gaussian-hmm.js';

/** Standardised inputs of consecutive bars in one or more sequences that know nothing of each other. */
export interface Observations {
  /** [bar][input], row-major. */
  readonly inputs: Float64Array;
  /** First bar of every sequence, ascending from 0; a sequence ends where the next begins. Empty without bars. */
  readonly sequenceStarts: readonly number[];
}

/** A fitted model with what it says about the bars it was fitted to. */
export interface HmmFit {
  readonly model: GaussianHmm;
  readonly logLikelihood: number;
  /** P(state of the bar | all bars), [bar][state]. */
  readonly posterior: Float64Array;
  /** Sum of the posteriors by state: the bars it rests on. */
  readonly occupancy: Float64Array;
}

const ITERATIONS_MAX = 30;
const RELATIVE_GAIN_MIN = 1e-5;
const VARIANCE_MIN = 1e-4;
/** No state is ever out of reach, so that a bar one state alone explains leaves a likelihood above 0. */
const PROBABILITY_MIN = 1e-6;
/** A start expects states to last 20 bars on average. */
const STAY_AT_START = 0.95;

/**
 * Expectation-maximisation of a Gaussian HMM by the scaled forward-backward recursions (Baum et al. 1970; Rabiner 1989, sections III and V).
 * One step never lowers the likelihood, except in the last digits: {@link maximise} is exact under the floors on variances and probabilities.
 */
export class BaumWelch {
  /** P(state of the bar | all bars) under the model of the last {@link expect}, [bar][state]. */
  readonly posterior: Float64Array;
  /** Its sum by state. */
  readonly occupancy: Float64Array;
  private readonly forward: Float64Array;
  private readonly density: Float64Array;
  private readonly normaliser: Float64Array;
  private readonly starts: Float64Array;
  private readonly moves: Float64Array;
  private readonly sums: Float64Array;
  private readonly squares: Float64Array;

  constructor(
    private readonly observations: Observations,
    private readonly stateCount: number,
  ) {
    const barCount = observations.inputs.length / INPUT_COUNT;
    this.posterior = new Float64Array(barCount * stateCount);
    this.forward = new Float64Array(barCount * stateCount);
    this.density = new Float64Array(barCount * stateCount);
    this.normaliser = new Float64Array(barCount);
    this.occupancy = new Float64Array(stateCount);
    this.starts = new Float64Array(stateCount);
    this.moves = new Float64Array(stateCount * stateCount);
    this.sums = new Float64Array(stateCount * INPUT_COUNT);
    this.squares = new Float64Array(stateCount * INPUT_COUNT);
  }

  /** Fills the posteriors under the model; returns its log likelihood, natural, summed over the sequences. */
  expect(model: GaussianHmm): number {
    const { sequenceStarts, inputs } = this.observations;
    const densities = new ScaledDensities(model.mean, model.variance);
    for (const statistic of [this.occupancy, this.starts, this.moves, this.sums, this.squares]) statistic.fill(0);
    let logLikelihood = 0;
    for (const [index, begin] of sequenceStarts.entries()) {
      const end = sequenceStarts[index + 1] ?? inputs.length / INPUT_COUNT;
      logLikelihood += this.sweepForward(model, densities, begin, end);
      this.sweepBackward(model, begin, end);
    }
    return logLikelihood;
  }

  /** The likeliest model given the posteriors of the last {@link expect}. */
  maximise(): GaussianHmm {
    const { stateCount, occupancy, sums, squares, moves } = this;
    const mean = sums.map((sum, p) => sum / Math.max(occupancy[Math.floor(p / INPUT_COUNT)]!, Number.MIN_VALUE));
    const variance = squares.map((square, p) => {
      const bars = Math.max(occupancy[Math.floor(p / INPUT_COUNT)]!, Number.MIN_VALUE);
      return Math.max(square / bars - mean[p]! * mean[p]!, VARIANCE_MIN);
    });
    const transition = new Float64Array(stateCount * stateCount);
    for (let i = 0; i < stateCount; i++) {
      transition.set(sharesOf(moves.subarray(i * stateCount, (i + 1) * stateCount)), i * stateCount);
    }
    return { stateCount, initial: sharesOf(this.starts), transition, mean, variance };
  }

  private sweepForward(model: GaussianHmm, densities: ScaledDensities, begin: number, end: number): number {
    const { stateCount, forward, density, normaliser } = this;
    const { inputs } = this.observations;
    const { initial, transition } = model;
    let logLikelihood = 0;
    for (let t = begin; t < end; t++) {
      const row = t * stateCount;
      const peak = densities.write(inputs[2 * t]!, inputs[2 * t + 1]!, density, row);
      let sum = 0;
      for (let j = 0; j < stateCount; j++) {
        let predicted = 0;
        if (t === begin) predicted = initial[j]!;
        else
          for (let i = 0; i < stateCount; i++)
            predicted += forward[row - stateCount + i]! * transition[i * stateCount + j]!;
        const joint = predicted * density[row + j]!;
        forward[row + j] = joint;
        sum += joint;
      }
      const inverse = 1 / sum;
      for (let j = 0; j < stateCount; j++) forward[row + j]! *= inverse;
      normaliser[t] = inverse;
      logLikelihood += Math.log(sum) + peak;
    }
    return logLikelihood;
  }

  private sweepBackward(model: GaussianHmm, begin: number, end: number): void {
    const { stateCount, forward, density, normaliser, posterior, occupancy, sums, squares, moves, starts } = this;
    const { inputs } = this.observations;
    const { transition } = model;
    const backward = new Float64Array(stateCount).fill(1);
    const ahead = new Float64Array(stateCount);
    for (let t = end - 1; t >= begin; t--) {
      const row = t * stateCount;
      const first = inputs[2 * t]!;
      const second = inputs[2 * t + 1]!;
      for (let j = 0; j < stateCount; j++) {
        const probability = forward[row + j]! * backward[j]!;
        posterior[row + j] = probability;
        occupancy[j]! += probability;
        sums[2 * j]! += probability * first;
        sums[2 * j + 1]! += probability * second;
        squares[2 * j]! += probability * first * first;
        squares[2 * j + 1]! += probability * second * second;
        ahead[j] = density[row + j]! * backward[j]! * normaliser[t]!;
        if (t === begin) starts[j]! += probability;
      }
      if (t === begin) break;
      for (let i = 0; i < stateCount; i++) {
        const before = forward[row - stateCount + i]!;
        let sum = 0;
        for (let j = 0; j < stateCount; j++) {
          const step = transition[i * stateCount + j]! * ahead[j]!;
          moves[i * stateCount + j]! += before * step;
          sum += step;
        }
        backward[i] = sum;
      }
    }
  }
}

/** Runs EM from one start until the likelihood gains less than 1e-5 of itself, at most 30 steps. The posteriors are the returned model's own. */
export function fitFrom(start: GaussianHmm, observations: Observations): HmmFit {
  const em = new BaumWelch(observations, start.stateCount);
  let model = start;
  let logLikelihood = em.expect(model);
  for (let iteration = 0; iteration < ITERATIONS_MAX; iteration++) {
    const before = logLikelihood;
    model = em.maximise();
    logLikelihood = em.expect(model);
    if (logLikelihood - before < RELATIVE_GAIN_MIN * Math.abs(before)) break;
  }
  return { model, logLikelihood, posterior: em.posterior, occupancy: em.occupancy };
}

/**
 * A start with one bar drawn from each part of the bars as its means, the parts being of equal size and rising in the second input, with unit variances
 * and lasting states. Parts of one input keep the starts far apart without favouring outliers, which would take a state each.
 */
export function randomStart(observations: Observations, stateCount: number, random: () => number): GaussianHmm {
  const { inputs } = observations;
  const barCount = inputs.length / INPUT_COUNT;
  const rising = Uint32Array.from({ length: barCount }, (_, t) => t).sort(
    (a, b) => inputs[2 * a + 1]! - inputs[2 * b + 1]!,
  );
  const mean = new Float64Array(stateCount * INPUT_COUNT);
  for (let k = 0; k < stateCount; k++) {
    const bar = rising[Math.floor(((k + random()) / stateCount) * barCount)]!;
    mean.set(inputs.subarray(bar * INPUT_COUNT, (bar + 1) * INPUT_COUNT), k * INPUT_COUNT);
  }
  const leave = stateCount === 1 ? 0 : (1 - STAY_AT_START) / (stateCount - 1);
  const transition = new Float64Array(stateCount * stateCount).fill(leave);
  for (let k = 0; k < stateCount; k++) transition[k * stateCount + k] = stateCount === 1 ? 1 : STAY_AT_START;
  const initial = new Float64Array(stateCount).fill(1 / stateCount);
  return { stateCount, initial, transition, mean, variance: new Float64Array(mean.length).fill(1) };
}

/** Counts as shares that sum to 1, none below the floor: the likeliest such shares. Equal ones when nothing was counted. */
function sharesOf(counts: Float64Array): Float64Array {
  const floored = counts.map(() => 0);
  for (;;) {
    let total = 0;
    let room = 1;
    for (let k = 0; k < counts.length; k++) {
      if (floored[k] === 1) room -= PROBABILITY_MIN;
      else total += counts[k]!;
    }
    if (!(total > 0)) return counts.map(() => 1 / counts.length);
    const shares = counts.map((count, k) => (floored[k] === 1 ? PROBABILITY_MIN : (count / total) * room));
    if (shares.every((share) => share >= PROBABILITY_MIN)) return shares;
    for (let k = 0; k < counts.length; k++) if (shares[k]! < PROBABILITY_MIN) floored[k] = 1;
  }
}
