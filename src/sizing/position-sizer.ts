import { type EdgeModel, sizeOnEdge } from './edge.js';
import { IntegratedSizer, type IntegratedSizerOptions } from './integrated-sizer.js';

export interface PositionSizing extends IntegratedSizerOptions {
  /** 'edge': fractional Kelly on what a signal of this confidence earns after cost. 'linear': the product of {@link IntegratedSizer}. */
  readonly mode: 'edge' | 'linear';
  readonly kappa: number;
  readonly maxFraction: number;
}

/** What a size is made of. */
export interface SizingFactors {
  readonly side: -1 | 1;
  readonly confidence: number;
  readonly regimeWeight: number;
  readonly toxicity: number;
  /** ATR over price. */
  readonly barrierUnit: number;
  /** Round trip, as a fraction. */
  readonly cost: number;
  /** null before any model. */
  readonly model: { readonly edge: EdgeModel; readonly evidence: 'none' | 'provisional' | 'forced' | 'strict' } | null;
}

/** Why a size is 0. In this order they cross threads as numbers. */
export const SIZE_REASONS = ['no-model', 'no-volatility', 'no-edge', 'below-break-even', 'below-minimum-size'] as const;
export type SizeReason = (typeof SIZE_REASONS)[number];

export interface PositionSize {
  /** Signed fraction of the maximum position. */
  readonly size: number;
  /** Why it is 0, where it is. */
  readonly reason: SizeReason | undefined;
}

/** Evidence that is only provisional is worth half. */
const PROVISIONAL_SHARE = 0.5;

/** From the numbers of an answer to its size. On the edge, regime and toxicity do not multiply the size: the model has them as features already. */
export class PositionSizer {
  private readonly linear: IntegratedSizer;

  constructor(private readonly sizing: PositionSizing) {
    this.linear = new IntegratedSizer(sizing);
  }

  size(factors: SizingFactors): PositionSize {
    return this.sizing.mode === 'linear' ? this.sizeLinear(factors) : this.sizeEdge(factors);
  }

  private sizeLinear({ side, confidence, regimeWeight, toxicity }: SizingFactors): PositionSize {
    const { finalSize } = this.linear.calculate({ signal: side, metaConfidence: confidence, regimeWeight, toxicity });
    return { size: finalSize, reason: finalSize === 0 ? 'below-minimum-size' : undefined };
  }

  private sizeEdge({ side, confidence, barrierUnit, cost, model }: SizingFactors): PositionSize {
    if (model === null) return { size: 0, reason: 'no-model' };
    if (!(barrierUnit > 0)) return { size: 0, reason: 'no-volatility' };
    const { size, reason } = sizeOnEdge(model.edge, confidence, barrierUnit, cost, this.sizing);
    const share = model.evidence === 'provisional' ? PROVISIONAL_SHARE : 1;
    return { size: size === 0 ? 0 : side * share * size, reason };
  }
}
