import { type Clock, NS_PER_MS } from '../clock.js';
import { AccuracyWindow, binomialDrop } from '../drift/accuracy-window.js';
import type { DetectorPlan } from '../drift/detector-plan.js';
import { type DetectorState, DriftDetectors } from '../drift/drift-detectors.js';
import { OrchestratorError } from '../errors.js';
import type { RetrainReason, RetrainTrigger } from '../market/events.js';

/** When a retrain is due. null switches a schedule off. */
export interface RetrainMonitorOptions {
  /** Accuracy a window must lose at least, as a share of labels. */
  readonly accuracyDropThreshold: number;
  /** Labels of the rolling window. */
  readonly minSamples: number;
  readonly intervalBars: number | null;
  readonly intervalMs: number | null;
  /** Labels since the last training. */
  readonly sampleCount: number | null;
  /** Bars after a retrain in which only a manual request counts. */
  readonly cooldownBars: number;
  readonly clock: Clock;
}

/** What the monitor must know of the model that serves. */
export interface MonitoredChampion {
  /** null: the champion had too few labels to calibrate detectors on. */
  readonly detectors: DetectorPlan | null;
  readonly baseRate: number;
  /** Out of sample; NaN for unknown, then its own first full window is the baseline. */
  readonly accuracy: number;
}

/** A horizon-closed label of an answer the present champion gave. */
export interface LabelledPrediction {
  readonly actual: 0 | 1;
  readonly predicted: 0 | 1;
  /** P(actual = 1) as answered; without it the drift detectors do not see the label. */
  readonly confidence?: number;
}

/** What a status page shows. Accuracies are NaN while unknown. */
export interface RetrainMonitorStatus {
  readonly windowAccuracy: number;
  readonly baselineAccuracy: number;
  readonly labelsSinceTraining: number;
  readonly barsSinceTraining: number;
  readonly cooldownBarsLeft: number;
  /** CUSUMs and their thresholds; null without detectors. */
  readonly detectors: (DetectorState & Pick<DetectorPlan, 'skillThreshold' | 'rateThreshold'>) | null;
}

/** Plain JSON. A monitor made from it goes on with the same results. */
export interface RetrainMonitorState {
  readonly champion: (Omit<MonitoredChampion, 'accuracy'> & { readonly accuracy: number | null }) | null;
  readonly detectors: DetectorState | null;
  /** Of the window, '1' and '0', oldest first. */
  readonly hits: string;
  /** Of the champion's first full window, when it is the baseline. */
  readonly firstWindowAccuracy: number | null;
  readonly isDegraded: boolean;
  readonly isRequested: boolean;
  readonly labelsSinceTraining: number;
  readonly barsSinceTraining: number;
  /** Nanoseconds since the epoch, as digits. */
  readonly trainedAtNs: string;
  readonly cooldownBarsLeft: number;
  readonly pending: { readonly reasons: readonly RetrainReason[]; readonly timestampNs: string } | null;
}

/** Most urgent first. */
const PRIORITIES: readonly (readonly [RetrainReason, RetrainTrigger['priority']])[] = [
  ['skill_loss', 1],
  ['manual', 1],
  ['base_rate_shift', 2],
  ['accuracy_degradation', 2],
  ['sample_count', 3],
  ['time_interval', 3],
];
/** 0.6 − 0.5 is a drop of 0.1, whatever binary fractions make of it. */
const ROUNDING = 1e-12;

/**
 * Decides when a retrain is due; it never trains and never touches inference. Reasons stay until the retrain they led to is done: one retrain is pending at a time, and what comes up
 * meanwhile is merged into it. The drift detectors are what is relied on; the accuracy window exists beside them and fires only beyond what chance and overlap explain.
 */
export class RetrainMonitor {
  #champion: MonitoredChampion | null = null;
  #detectors: DriftDetectors | null = null;
  #window: AccuracyWindow;
  #firstWindowAccuracy = Number.NaN;
  /** Drop that chance explains in a window of independent labels at the present baseline; NaN until asked. */
  #chanceDrop = Number.NaN;
  #isDegraded = false;
  #isRequested = false;
  #labels = 0;
  #bars = 0;
  #trainedAtNs: bigint;
  #cooldownBarsLeft = 0;
  #pending: { readonly reasons: readonly RetrainReason[]; readonly timestampNs: bigint } | null = null;

  /** Without a state the schedules start now and no champion serves. Throws OUT_OF_RANGE for a window of no labels. */
  constructor(
    private readonly options: RetrainMonitorOptions,
    state?: RetrainMonitorState,
  ) {
    if (!(Number.isInteger(options.minSamples) && options.minSamples > 0)) {
      throw outOfRange('minSamples', options.minSamples, 'a positive whole number');
    }
    this.#window = new AccuracyWindow(options.minSamples, state?.hits);
    this.#trainedAtNs = state === undefined ? options.clock.epochNs() : BigInt(state.trainedAtNs);
    if (state !== undefined) this.#restore(state);
  }

  /** Takes the next label, in the order the horizons closed. Throws OUT_OF_RANGE and stays as it was. */
  recordPrediction({ actual, predicted, confidence }: LabelledPrediction): void {
    if (actual !== 0 && actual !== 1) throw outOfRange('actual', actual, '0 or 1');
    if (predicted !== 0 && predicted !== 1) throw outOfRange('predicted', predicted, '0 or 1');
    if (confidence !== undefined) {
      if (!(confidence >= 0 && confidence <= 1)) throw outOfRange('confidence', confidence, 'in [0, 1]');
      this.#detectors?.record(actual, confidence);
    }
    this.#labels++;
    this.#window.push(actual === predicted);
    if (!this.#window.isFull) return;
    if (Number.isNaN(this.#baseline)) this.#firstWindowAccuracy = this.#window.accuracy;
    this.#isDegraded ||= this.#hasDegraded();
  }

  /** One new instant on the common calendar of bars. */
  recordBar(): void {
    this.#bars++;
    if (this.#cooldownBarsLeft > 0) this.#cooldownBarsLeft--;
  }

  /** A person wants a retrain; the cooldown does not matter to them. */
  request(): void {
    this.#isRequested = true;
  }

  /** The retrain that has become due, once; null while there is none, during the cooldown, and until {@link retrainDone} has ended the pending one. */
  checkRetrain(): RetrainTrigger | null {
    if (this.#pending !== null) return null;
    if (this.#cooldownBarsLeft > 0 && !this.#isRequested) return null;
    const reasons = this.#reasons();
    if (reasons.length === 0) return null;
    this.#pending = { reasons, timestampNs: this.options.clock.epochNs() };
    return this.pending;
  }

  /** The pending retrain with all reasons that have come up until now and the accuracies as they stand now; null for none. */
  get pending(): RetrainTrigger | null {
    if (this.#pending === null) return null;
    const reasons = this.#mergedReasons();
    const [reason, priority] = PRIORITIES.find(([name]) => name === reasons[0])!;
    const baselineAccuracy = this.#baseline;
    const currentAccuracy = this.#window.accuracy;
    return {
      reason,
      reasons,
      baselineAccuracy,
      currentAccuracy,
      accuracyDrop: baselineAccuracy - currentAccuracy,
      timestamp: this.#pending.timestampNs,
      priority,
    };
  }

  /** The pending retrain has ended, whatever came of it: schedules, and what had been alarmed, start anew and the cooldown begins. */
  retrainDone(): void {
    this.#pending = null;
    this.#isRequested = false;
    // A window that has been heard is filled again before it speaks again.
    if (this.#isDegraded) this.#window = new AccuracyWindow(this.options.minSamples);
    this.#isDegraded = false;
    this.#detectors?.reset();
    this.#restartSchedules();
    this.#cooldownBarsLeft = this.options.cooldownBars;
  }

  /** The pending retrain came to no verdict: schedules start anew and the cooldown begins, and what was alarmed stays so. */
  retrainFailed(): void {
    this.#pending = null;
    this.#isRequested = false;
    this.#restartSchedules();
    this.#cooldownBarsLeft = this.options.cooldownBars;
  }

  /** A new champion serves: window, detectors and schedules start anew. A pending retrain stays pending, with the reasons it had. */
  adopt(champion: MonitoredChampion | null): void {
    if (this.#pending !== null) this.#pending = { ...this.#pending, reasons: this.#mergedReasons() };
    this.#champion = champion;
    this.#detectors = detectorsOf(champion, undefined);
    this.#window = new AccuracyWindow(this.options.minSamples);
    this.#firstWindowAccuracy = Number.NaN;
    this.#chanceDrop = Number.NaN;
    this.#isDegraded = false;
    this.#restartSchedules();
  }

  /** Never: a retrain runs beside inference. */
  shouldInterruptInference(): false {
    return false;
  }

  get status(): RetrainMonitorStatus {
    const { plan } = this.#detectors ?? {};
    return {
      windowAccuracy: this.#window.accuracy,
      baselineAccuracy: this.#baseline,
      labelsSinceTraining: this.#labels,
      barsSinceTraining: this.#bars,
      cooldownBarsLeft: this.#cooldownBarsLeft,
      detectors:
        this.#detectors === null || plan === undefined
          ? null
          : { ...this.#detectors.toState(), skillThreshold: plan.skillThreshold, rateThreshold: plan.rateThreshold },
    };
  }

  toState(): RetrainMonitorState {
    const champion = this.#champion;
    return {
      champion: champion === null ? null : { ...champion, accuracy: numberOrNull(champion.accuracy) },
      detectors: this.#detectors?.toState() ?? null,
      hits: this.#window.toText(),
      firstWindowAccuracy: numberOrNull(this.#firstWindowAccuracy),
      isDegraded: this.#isDegraded,
      isRequested: this.#isRequested,
      labelsSinceTraining: this.#labels,
      barsSinceTraining: this.#bars,
      trainedAtNs: String(this.#trainedAtNs),
      cooldownBarsLeft: this.#cooldownBarsLeft,
      pending:
        this.#pending === null
          ? null
          : { reasons: this.#pending.reasons, timestampNs: String(this.#pending.timestampNs) },
    };
  }

  #restore(state: RetrainMonitorState): void {
    const { champion, pending } = state;
    this.#champion = champion === null ? null : { ...champion, accuracy: champion.accuracy ?? Number.NaN };
    this.#detectors = detectorsOf(this.#champion, state.detectors ?? undefined);
    this.#firstWindowAccuracy = state.firstWindowAccuracy ?? Number.NaN;
    this.#isDegraded = state.isDegraded;
    this.#isRequested = state.isRequested;
    this.#labels = state.labelsSinceTraining;
    this.#bars = state.barsSinceTraining;
    this.#cooldownBarsLeft = state.cooldownBarsLeft;
    this.#pending = pending === null ? null : { reasons: pending.reasons, timestampNs: BigInt(pending.timestampNs) };
  }

  #restartSchedules(): void {
    this.#labels = 0;
    this.#bars = 0;
    this.#trainedAtNs = this.options.clock.epochNs();
  }

  /** Accuracy the window is held to; NaN while unknown. */
  get #baseline(): number {
    const known = this.#champion?.accuracy ?? Number.NaN;
    return Number.isNaN(known) ? this.#firstWindowAccuracy : known;
  }

  /** Whether the full window lost at least the threshold and more than the binomial bound, inflated because labels that overlap make runs of hits and misses. */
  #hasDegraded(): boolean {
    const drop = this.#baseline - this.#window.accuracy;
    if (drop < this.options.accuracyDropThreshold - ROUNDING) return false;
    if (Number.isNaN(this.#chanceDrop)) this.#chanceDrop = binomialDrop(this.#window.size, this.#baseline);
    // A baseline that is itself a window of this size errs as much as the window does.
    const windows = Number.isNaN(this.#firstWindowAccuracy) ? 1 : 2;
    return drop >= this.#chanceDrop * Math.sqrt(windows * this.#window.varianceRatio) - ROUNDING;
  }

  #mergedReasons(): RetrainReason[] {
    const present = this.#reasons();
    return PRIORITIES.map(([reason]) => reason).filter(
      (reason) => present.includes(reason) || this.#pending?.reasons.includes(reason) === true,
    );
  }

  /** What asks for a retrain now, most urgent first. */
  #reasons(): RetrainReason[] {
    const { sampleCount, intervalBars, intervalMs, clock } = this.options;
    const alarms = this.#detectors?.alarms ?? [];
    const elapsedNs = Number(clock.epochNs() - this.#trainedAtNs);
    const present: Record<RetrainReason, boolean> = {
      skill_loss: alarms.includes('skill_loss'),
      manual: this.#isRequested,
      base_rate_shift: alarms.includes('base_rate_shift'),
      accuracy_degradation: this.#isDegraded,
      sample_count: sampleCount !== null && this.#labels >= sampleCount,
      time_interval:
        (intervalBars !== null && this.#bars >= intervalBars) ||
        (intervalMs !== null && elapsedNs >= intervalMs * NS_PER_MS),
    };
    return PRIORITIES.map(([reason]) => reason).filter((reason) => present[reason]);
  }
}

function detectorsOf(champion: MonitoredChampion | null, state: DetectorState | undefined): DriftDetectors | null {
  if (champion === null || champion.detectors === null) return null;
  return new DriftDetectors(champion.detectors, champion.baseRate, state);
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

function outOfRange(field: string, value: number, range: string): OrchestratorError {
  return new OrchestratorError('OUT_OF_RANGE', `${field} is ${value}, not ${range}`, { field });
}
