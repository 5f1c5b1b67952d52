import { EVALUATION_US, type OrchestratorConfig } from '../config.js';

/** Least weight of a new measurement; of wake-ups the first ones weigh more, so that they replace what was assumed. */
const SMOOTHING = 1 / 32;
/** Measurements beyond this many times the estimate are pauses of the machine, counted as this. */
const OUTLIER_RATIO = 8;
const NS_PER_US = 1000;
/** The main thread's time over which its inline share is taken. */
const SHARE_WINDOW_NS = 10_000_000;

/** What evaluating here and waking a worker cost on this machine, and how busy main is with evaluating. */
export class DispatchCosts {
  evaluationNs = EVALUATION_US * NS_PER_US;
  wakeUpNs: number;
  private readonly inlineShareMax: number;
  private windowStartNs = Number.NEGATIVE_INFINITY;
  private windowBusyNs = 0;
  private lastShare = 0;
  private wakeUpCount = 0;

  constructor(config: Pick<OrchestratorConfig, 'inlineShareMax' | 'wakeUpUs'>) {
    this.inlineShareMax = config.inlineShareMax;
    this.wakeUpNs = config.wakeUpUs * NS_PER_US;
  }

  /** An evaluation took this long, on whichever thread. */
  measuredEvaluation(durationNs: number): void {
    this.evaluationNs = smoothed(this.evaluationNs, durationNs);
  }

  /** `count` evaluations took main this long, up to `nowNs`. */
  measuredInline(count: number, durationNs: number, nowNs: number): void {
    this.measuredEvaluation(durationNs / count);
    this.rollTo(nowNs);
    this.windowBusyNs += durationNs;
  }

  /**
   * The way to a sleeping worker and back took this long, without the evaluation. What is kept is the median, one step towards each measurement: a scheduler
   * that lets a thread wait for milliseconds now and then would make most of a mean.
   */
  measuredWakeUp(durationNs: number): void {
    this.wakeUpCount++;
    if (this.wakeUpCount === 1) {
      this.wakeUpNs = durationNs;
      return;
    }
    const step = Math.max(SMOOTHING, 1 / this.wakeUpCount);
    this.wakeUpNs *= durationNs > this.wakeUpNs ? 1 + step : 1 - step;
  }

  /** Whether main should evaluate `count` signals itself: sooner done than a worker is woken, and main not too busy with it already. */
  favoursInline(count: number, nowNs: number): boolean {
    return count * this.evaluationNs < this.wakeUpNs && this.inlineShare(nowNs) < this.inlineShareMax;
  }

  /** Share of its time that main has evaluated, over the last 10 ms. */
  inlineShare(nowNs: number): number {
    this.rollTo(nowNs);
    const elapsed = Math.min(1, (nowNs - this.windowStartNs) / SHARE_WINDOW_NS);
    return this.lastShare * (1 - elapsed) + this.windowBusyNs / SHARE_WINDOW_NS;
  }

  private rollTo(nowNs: number): void {
    const windows = Math.floor((nowNs - this.windowStartNs) / SHARE_WINDOW_NS);
    if (windows < 1) return;
    this.lastShare = windows === 1 ? this.windowBusyNs / SHARE_WINDOW_NS : 0;
    this.windowBusyNs = 0;
    this.windowStartNs = Number.isFinite(this.windowStartNs) ? this.windowStartNs + windows * SHARE_WINDOW_NS : nowNs;
  }
}

function smoothed(estimate: number, measured: number): number {
  return estimate + SMOOTHING * (Math.min(measured, OUTLIER_RATIO * estimate) - estimate);
}
