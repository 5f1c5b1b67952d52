import { isDeepStrictEqual } from 'node:util';

/** The user's features by name, in the order of a signal's values, from an ordinal on. */
export interface FeatureEpoch {
  readonly fromOrdinal: number;
  readonly names: readonly string[];
}

/** What the recorded values of the user's features are called: they are stored without names, and the configuration may change from one process to the next. */
export class FeatureEpochs {
  private readonly epochs: readonly FeatureEpoch[];

  /** `names` are those configured now, for signals from `nextOrdinal` on. */
  constructor(names: readonly string[], nextOrdinal: number, state: readonly FeatureEpoch[] = []) {
    const isKnown = isDeepStrictEqual(state.at(-1)?.names, names);
    this.epochs = isKnown ? state : [...state, { fromOrdinal: nextOrdinal, names }];
  }

  namesAt(ordinal: number): readonly string[] {
    return this.epochs.findLast(({ fromOrdinal }) => fromOrdinal <= ordinal)?.names ?? [];
  }

  toState(): readonly FeatureEpoch[] {
    return this.epochs;
  }
}
