import { createHash } from 'node:crypto';
import { OrchestratorError } from '../errors.js';
import { LOOKBACK } from './feature-columns.js';
import { FEATURE_NAMES, type FeatureName } from './feature-row.js';

/** Raised whenever a built-in feature changes its meaning, so that an older model is refused instead of misread. */
const DEFINITION_VERSION = 1;
const FLOAT32_MAX = 3.4028234663852886e38;
/** ml-xgboost takes exactly −1 for "missing", so a real −1 moves to the next float below it. */
const MINUS_ONE = Math.fround(-1.0000001);

/** What a feature row means: the chosen built-in features, then the user's, and the parameters they are computed with. */
export class FeatureSet {
  /** Column names of a model row. */
  readonly names: readonly string[];
  /** Two sets with the same fingerprint give the same rows for the same bars. */
  readonly fingerprint: string;
  private readonly builtInColumns: Int32Array;

  constructor(
    readonly builtIn: readonly FeatureName[] = FEATURE_NAMES,
    readonly user: readonly string[] = [],
    /** Parameters of the inputs, such as VPIN's, that a feature's value depends on. */
    parameters: Readonly<Record<string, unknown>> = {},
  ) {
    const names = [...builtIn, ...user];
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined)
      throw new OrchestratorError('CONFIG_INVALID', `feature ${twice} is named twice`, { field: 'featureNames' });
    this.names = names;
    this.builtInColumns = Int32Array.from(builtIn, (name) => FEATURE_NAMES.indexOf(name));
    this.fingerprint = createHash('sha256')
      .update(JSON.stringify([DEFINITION_VERSION, LOOKBACK, builtIn, user, parameters]))
      .digest('hex')
      .slice(0, 16);
  }

  get columnCount(): number {
    return this.names.length;
  }

  /** The user's values of one signal in column order. Throws MISSING_FEATURE when one is absent, NaN being allowed and meaning missing. */
  readUserFeatures(features: Readonly<Record<string, number>> | undefined, out: Float64Array): void {
    for (let k = 0; k < this.user.length; k++) {
      const name = this.user[k]!;
      const value = features !== undefined && Object.hasOwn(features, name) ? features[name] : undefined;
      if (typeof value !== 'number') {
        throw new OrchestratorError('MISSING_FEATURE', `the signal has no number for its declared feature ${name}`, {
          field: `features.${name}`,
        });
      }
      out[k] = value;
    }
  }

  /** Selects and encodes one row for the model: float32, NaN for missing. */
  encodeRow(row: Float64Array, userValues: Float64Array, out: Float32Array, offset: number): void {
    const builtInCount = this.builtInColumns.length;
    for (let k = 0; k < builtInCount; k++) out[offset + k] = toModelValue(row[this.builtInColumns[k]!]!);
    for (let k = 0; k < userValues.length; k++) out[offset + builtInCount + k] = toModelValue(userValues[k]!);
  }
}

/** A feature as the model sees it, in training and in scoring: float32, finite or NaN, never exactly −1. */
export function toModelValue(value: number): number {
  const rounded = Math.fround(Math.min(Math.max(value, -FLOAT32_MAX), FLOAT32_MAX));
  return rounded === -1 ? MINUS_ONE : rounded;
}
