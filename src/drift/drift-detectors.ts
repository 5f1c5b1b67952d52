import { OrchestratorError } from '../errors.js';
import { cusumStep, skillIncrement } from './cusum.js';
import type { DetectorPlan } from './detector-plan.js';

/** 'skill_loss': the confidence knows no more than the base rate. 'base_rate_shift': profits have become more or less frequent than the confidence says. */
export type DriftAlarm = 'skill_loss' | 'base_rate_shift';

/** Where the detectors stand: plain JSON, whose round trip keeps every bit. */
export interface DetectorState {
  /** Skill CUSUM, in nats. */
  readonly skill: number;
  /** The two sides of the base-rate CUSUM, in labels: profits more and less frequent than predicted. */
  readonly up: number;
  readonly down: number;
  /** In the order they were raised. */
  readonly alarms: readonly DriftAlarm[];
}

const AT_REST: DetectorState = { skill: 0, up: 0, down: 0, alarms: [] };

/**
 * The CUSUMs (Page 1954) of one champion. Feed horizon-closed labels in the order their horizons closed, each with the confidence this champion gave: the thresholds were found
 * on such a sequence. A detector that reached its threshold stays alarmed until {@link reset}, however its CUSUM goes on.
 */
export class DriftDetectors {
  #skill: number;
  #up: number;
  #down: number;
  #alarms: DriftAlarm[];

  /** `baseRate`: the bundle's, in [0, 1]. A detector made from the state of another goes on with the same bits. */
  constructor(
    readonly plan: DetectorPlan,
    readonly baseRate: number,
    state: DetectorState = AT_REST,
  ) {
    this.#skill = state.skill;
    this.#up = state.up;
    this.#down = state.down;
    this.#alarms = [...state.alarms];
  }

  /** Those at or above their threshold since the last reset, in the order they were raised. */
  get alarms(): readonly DriftAlarm[] {
    return this.#alarms;
  }

  /** Takes the next label. Throws OUT_OF_RANGE and stays as it was. */
  record(metaLabel: number, confidence: number): void {
    if (metaLabel !== 0 && metaLabel !== 1) throw outOfRange('metaLabel', metaLabel, '0 or 1');
    if (!(confidence >= 0 && confidence <= 1)) throw outOfRange('confidence', confidence, 'in [0, 1]');
    const { skillThreshold, rateThreshold, rateAllowance } = this.plan;
    const residual = metaLabel - confidence;
    this.#skill = cusumStep(this.#skill, skillIncrement(this.baseRate, metaLabel, confidence));
    this.#up = cusumStep(this.#up, residual - rateAllowance);
    this.#down = cusumStep(this.#down, -residual - rateAllowance);
    if (skillThreshold !== null && this.#skill >= skillThreshold) this.#raise('skill_loss');
    if (Math.max(this.#up, this.#down) >= rateThreshold) this.#raise('base_rate_shift');
  }

  /** Acknowledges the alarms: detectors that alarmed start from zero. The others keep the evidence they have, or a frequent alarm of one would keep the other from ever being raised. */
  reset(): void {
    if (this.#alarms.includes('skill_loss')) this.#skill = 0;
    if (this.#alarms.includes('base_rate_shift')) {
      this.#up = 0;
      this.#down = 0;
    }
    this.#alarms = [];
  }

  toState(): DetectorState {
    return { skill: this.#skill, up: this.#up, down: this.#down, alarms: [...this.#alarms] };
  }

  #raise(alarm: DriftAlarm): void {
    if (!this.#alarms.includes(alarm)) this.#alarms.push(alarm);
  }
}

function outOfRange(field: string, value: number, range: string): OrchestratorError {
  return new OrchestratorError('OUT_OF_RANGE', `${field} is ${value}, not ${range}`, { field });
}
