import { OrchestratorError } from '../errors.js';

export interface IntegratedSizerOptions {
  /** Power the signal's magnitude is raised to, default 0.5 (Giller). */
  exponent?: number;
  /** Constant fraction of the product, default 0.5. */
  fractionalKelly?: number;
  /** A smaller product becomes 0, default 0.01. */
  minSize?: number;
  /** A larger product becomes this, default 1. */
  maxSize?: number;
  defaultMetaConfidence?: number;
  defaultRegimeWeight?: number;
  defaultToxicity?: number;
}

export interface SizingInput {
  signal: number;
  metaConfidence?: number;
  regimeWeight?: number;
  toxicity?: number;
}

export interface SizingResult {
  /** Signed. */
  finalSize: number;
  direction: -1 | 0 | 1;
  /** What the size is the product of; all 0 for a flat signal. */
  factors: Record<string, number>;
}

/** The linear rule |signal|^exponent × confidence × regime weight × (1 − toxicity) × fraction, between a floor and a cap. */
export class IntegratedSizer {
  private readonly options: Required<IntegratedSizerOptions>;

  constructor(options: IntegratedSizerOptions = {}) {
    this.options = {
      exponent: options.exponent ?? 0.5,
      fractionalKelly: options.fractionalKelly ?? 0.5,
      minSize: options.minSize ?? 0.01,
      maxSize: options.maxSize ?? 1,
      defaultMetaConfidence: options.defaultMetaConfidence ?? 0.5,
      defaultRegimeWeight: options.defaultRegimeWeight ?? 0.8,
      defaultToxicity: options.defaultToxicity ?? 0,
    };
    for (const [field, value] of Object.entries(this.options)) {
      if (!(value >= 0 && Number.isFinite(value))) throw outOfRange(field, value, 'a number from 0 up');
    }
    for (const field of ['defaultMetaConfidence', 'defaultRegimeWeight', 'defaultToxicity'] as const)
      fraction(field, this.options[field]);
  }

  /** A product of 0 or below minSize gives size 0 and direction 0. metaConfidence, regimeWeight, toxicity outside [0, 1] or NaN, or a non-finite signal: throws OUT_OF_RANGE. */
  calculate(input: SizingInput): SizingResult {
    const { exponent, fractionalKelly, minSize, maxSize } = this.options;
    if (!Number.isFinite(input.signal)) throw outOfRange('signal', input.signal, 'a finite number');
    const metaConfidence = fraction('metaConfidence', input.metaConfidence ?? this.options.defaultMetaConfidence);
    const regimeWeight = fraction('regimeWeight', input.regimeWeight ?? this.options.defaultRegimeWeight);
    const toxicity = fraction('toxicity', input.toxicity ?? this.options.defaultToxicity);
    if (input.signal === 0) {
      return {
        finalSize: 0,
        direction: 0,
        factors: { signal: 0, metaConfidence: 0, regimeWeight: 0, toxicityPenalty: 0, kellyFraction: 0 },
      };
    }
    const magnitude = Math.abs(input.signal) ** exponent;
    const toxicityPenalty = 1 - toxicity;
    const share = metaConfidence * regimeWeight * toxicityPenalty * fractionalKelly;
    // A share of 0 stays 0 even of a magnitude that overflows.
    const product = share === 0 ? 0 : magnitude * metaConfidence * regimeWeight * toxicityPenalty * fractionalKelly;
    const size = product < minSize ? 0 : Math.min(product, maxSize);
    const direction = size === 0 ? 0 : input.signal > 0 ? 1 : -1;
    return {
      finalSize: direction === 0 ? 0 : direction * size,
      direction,
      factors: { signal: magnitude, metaConfidence, regimeWeight, toxicityPenalty, kellyFraction: fractionalKelly },
    };
  }
}

function fraction(field: string, value: number): number {
  if (!(value >= 0 && value <= 1)) throw outOfRange(field, value, 'in [0, 1]');
  return value;
}

function outOfRange(field: string, value: number, rule: string): OrchestratorError {
  return new OrchestratorError('OUT_OF_RANGE', `${field} ${value} is not ${rule}`, { field });
}
