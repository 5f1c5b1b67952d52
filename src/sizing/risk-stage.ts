import { OrchestratorError } from '../errors.js';
import type { MetaOutput } from '../market/events.js';
import { IntegratedSizer } from './integrated-sizer.js';

/** Limits fixed for the life of a stage; fractions of equity. */
export interface RiskLimits {
  /** Largest position in one instrument, default 0.1: the position a size of 1 asks for. */
  readonly positionFractionMax: number;
  /** Largest sum of absolute positions, default 1. */
  readonly grossExposureMax: number;
  /** A day's loss from which nothing is held, default 0.02. */
  readonly dailyLossMax: number;
  /** A fall from the peak of equity from which nothing is held, default 0.1. */
  readonly drawdownMax: number;
}

/** The book as the caller states it. */
export interface Portfolio {
  /** In currency, positive. */
  readonly equity: number;
  /** Sum of absolute positions as a fraction of equity, this instrument's included. */
  readonly grossExposure: number;
  /** Signed position in this instrument as a fraction of equity. */
  readonly positionFraction: number;
  /** Profit and loss of the day in currency. */
  readonly dayPnl: number;
  /** Highest equity so far, in currency. */
  readonly peakEquity: number;
}

interface SnakeCaseMetaOutput {
  confidence?: number;
  regime_weight?: number;
  toxicity?: number;
}

/** A signal with the meta-model's output, in the naming of either side of the wire; what is left out takes the sizer's default. */
export interface AlphaOutput {
  readonly signal: number;
  readonly metaOutput?: Partial<MetaOutput>;
  readonly meta_output?: SnakeCaseMetaOutput;
}

export interface RiskCheck {
  readonly name: 'max-position' | 'gross-exposure' | 'kill-switch';
  readonly passed: boolean;
  readonly reason: string;
}

export interface RiskDecision {
  /** Signed target position as a fraction of equity, after every check. */
  readonly position: number;
  /** What the sizer alone asked for. */
  readonly requested: number;
  readonly checks: readonly RiskCheck[];
}

/** Named one by one: a field that is left out must be refused, not passed over. */
const PORTFOLIO_FIELDS = ['equity', 'grossExposure', 'positionFraction', 'dayPnl', 'peakEquity'] as const;

const DEFAULT_LIMITS: RiskLimits = {
  positionFractionMax: 0.1,
  grossExposureMax: 1,
  dailyLossMax: 0.02,
  drawdownMax: 0.1,
};

/** From a signal and its meta-output to a position inside the limits. Keeps no state: the same inputs give the same decision. */
export class RiskStage {
  readonly limits: RiskLimits;

  /** Throws OUT_OF_RANGE for a limit that is not a positive number. */
  constructor(
    limits: Partial<RiskLimits> = {},
    private readonly sizer: IntegratedSizer = new IntegratedSizer(),
  ) {
    this.limits = Object.freeze({ ...DEFAULT_LIMITS, ...limits });
    for (const [field, value] of Object.entries(this.limits)) {
      if (!(value > 0 && Number.isFinite(value)))
        throw new OrchestratorError('OUT_OF_RANGE', `${field} ${value} is not positive`, { field });
    }
  }

  /** Throws OUT_OF_RANGE for inputs the sizer refuses and for a portfolio that cannot be. */
  decide(alphaOutput: AlphaOutput, portfolio: Portfolio): RiskDecision {
    checkPortfolio(portfolio);
    const sized = this.sizer.calculate({ signal: alphaOutput.signal, ...sizingOf(alphaOutput) });
    const requested = sized.finalSize * this.limits.positionFractionMax;
    const limited = this.limitPosition(requested);
    const fitted = this.limitGross(limited.magnitude, portfolio);
    const kill = this.killSwitch(portfolio);
    const magnitude = kill.passed ? fitted.magnitude : 0;
    return {
      position: magnitude === 0 ? 0 : Math.sign(requested) * magnitude,
      requested,
      checks: [limited.check, fitted.check, kill],
    };
  }

  private limitPosition(requested: number): { magnitude: number; check: RiskCheck } {
    const { positionFractionMax } = this.limits;
    const magnitude = Math.min(Math.abs(requested), positionFractionMax);
    const passed = magnitude === Math.abs(requested);
    const reason = passed ? `within ${positionFractionMax} of equity` : `cut to ${positionFractionMax} of equity`;
    return { magnitude, check: { name: 'max-position', passed, reason } };
  }

  private limitGross(asked: number, portfolio: Portfolio): { magnitude: number; check: RiskCheck } {
    const { grossExposureMax } = this.limits;
    const others = Math.max(portfolio.grossExposure - Math.abs(portfolio.positionFraction), 0);
    const room = Math.max(grossExposureMax - others, 0);
    const passed = asked <= room;
    const reason = passed
      ? `gross exposure stays within ${grossExposureMax}`
      : `only ${room} of gross exposure is left of ${grossExposureMax}`;
    return { magnitude: Math.min(asked, room), check: { name: 'gross-exposure', passed, reason } };
  }

  private killSwitch(portfolio: Portfolio): RiskCheck {
    const { dailyLossMax, drawdownMax } = this.limits;
    const dailyLoss = -portfolio.dayPnl / portfolio.equity;
    const drawdown = 1 - portfolio.equity / portfolio.peakEquity;
    const name = 'kill-switch';
    if (dailyLoss >= dailyLossMax)
      return { name, passed: false, reason: `the day has lost ${dailyLoss} of equity, the limit is ${dailyLossMax}` };
    if (drawdown >= drawdownMax)
      return { name, passed: false, reason: `equity is ${drawdown} below its peak, the limit is ${drawdownMax}` };
    return { name, passed: true, reason: 'daily loss and drawdown are within their limits' };
  }
}

function sizingOf(alphaOutput: AlphaOutput): { metaConfidence?: number; regimeWeight?: number; toxicity?: number } {
  const camel = alphaOutput.metaOutput;
  const snake = alphaOutput.meta_output;
  const metaConfidence = camel?.confidence ?? snake?.confidence;
  const regimeWeight = camel?.regimeWeight ?? snake?.regime_weight;
  const toxicity = camel?.toxicity ?? snake?.toxicity;
  return {
    ...(metaConfidence === undefined ? {} : { metaConfidence }),
    ...(regimeWeight === undefined ? {} : { regimeWeight }),
    ...(toxicity === undefined ? {} : { toxicity }),
  };
}

function checkPortfolio(portfolio: Portfolio): void {
  for (const field of PORTFOLIO_FIELDS) {
    if (!Number.isFinite(portfolio[field]))
      throw new OrchestratorError('OUT_OF_RANGE', `${field} is not a finite number`, { field: `portfolio.${field}` });
  }
  for (const field of ['equity', 'peakEquity'] as const) {
    if (!(portfolio[field] > 0))
      throw new OrchestratorError('OUT_OF_RANGE', `${field} is not positive`, { field: `portfolio.${field}` });
  }
  if (portfolio.grossExposure < 0) {
    throw new OrchestratorError('OUT_OF_RANGE', 'grossExposure is negative', { field: 'portfolio.grossExposure' });
  }
}
