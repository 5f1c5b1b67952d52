import type { OrchestratorConfig } from '../config.js';

/** Weight of a new measurement. */
const SMOOTHING = 1 / 32;
/** Measurements beyond this many times the estimate are pauses of the machine, counted as this. */
const OUTLIER = 8;
const NS_PER_US = 1000;
/** What an evaluation is taken to cost before any was measured. */
const EVALUATION_NS_PRIOR = 5_000;
/** The main thread's time over which its inline share is taken. */
const SHARE_WINDOW_NS = 10_000_000;

/** What evaluating here and waking a worker cost on this machine, exponentially weighted, and how busy main is with evaluating. */
export class DispatchCosts {
  evaluationNs = EVALUATION_NS_PRIOR;
  wakeUpNs: number;
  private readonly inlineShareMax: number;
  private windowStartNs = Number.NEGATIVE_INFINITY;
  private windowBusyNs = 0;
  private lastShare = 0;

  constructor(config: Pick<OrchestratorConfig, 'inlineShareMax' | 'wakeUpUs'>) {
    this.inlineShareMax = config.inlineShareMax;
    this.wakeUpNs = config.wakeUpUs * NS_PER_US;
  }

  /** `count` evaluations took main this long, up to `nowNs`. */
  measuredInline(count: number, durationNs: number, nowNs: number): void {
    this.evaluationNs = smoothed(this.evaluationNs, durationNs / count);
    this.rollTo(nowNs);
    this.windowBusyNs += durationNs;
  }

  /** The way to a sleeping worker and back took this long, without the evaluation. */
  measuredWakeUp(durationNs: number): void {
    this.wakeUpNs = smoothed(this.wakeUpNs, durationNs);
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
  return estimate + SMOOTHING * (Math.min(measured, OUTLIER * estimate) - estimate);
}
