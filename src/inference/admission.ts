import { randomBytes } from 'node:crypto';
import { OrchestratorError } from '../errors.js';
import type { FeatureSet } from '../features/feature-set.js';
import type { SignalEvent } from '../market/events.js';
import type { BarStore } from '../store/bar-store.js';

/** A signal that was let in: checked, its bars merged, its user features copied and its as-of bar fixed. */
export interface AdmittedSignal {
  readonly signalId: string;
  /** The caller's event as it was, with its id. */
  readonly event: SignalEvent;
  readonly userValues: Float64Array;
  readonly asOf: number;
}

const NO_VALUES = new Float64Array(0);

/** Lets signals in. A refused one throws and leaves nothing behind; its bars are all merged or none. */
export class Admission {
  private readonly idPrefix = randomBytes(6).toString('hex');
  private idCount = 0;

  constructor(
    private readonly store: BarStore,
    private readonly featureSet: FeatureSet,
  ) {}

  /** Throws INVALID_SIGNAL or MISSING_FEATURE with the field, or what {@link BarStore.merge} throws. */
  admit(event: SignalEvent): AdmittedSignal {
    checkEvent(event);
    const userCount = this.featureSet.user.length;
    const userValues = userCount === 0 ? NO_VALUES : new Float64Array(userCount);
    if (event.signal !== 0) this.featureSet.readUserFeatures(event.features, userValues);
    if (event.bars !== undefined) this.store.merge(event.instrumentId, event.bars);
    const signalId = event.signalId ?? `${this.idPrefix}-${++this.idCount}`;
    return {
      signalId,
      event: new AdmittedEvent(event, signalId),
      userValues,
      asOf: this.store.asOf(event.instrumentId, event.timestamp),
    };
  }
}

/** A copy that the caller can no longer change. Built field by field: spreading and freezing cost more than the whole inference. */
class AdmittedEvent implements SignalEvent {
  readonly instrumentId: string;
  readonly signal: SignalEvent['signal'];
  readonly timestamp: bigint;
  readonly signalId: string;
  declare readonly bars?: NonNullable<SignalEvent['bars']>;
  declare readonly features?: NonNullable<SignalEvent['features']>;

  constructor(event: SignalEvent, signalId: string) {
    this.instrumentId = event.instrumentId;
    this.signal = event.signal;
    this.timestamp = event.timestamp;
    this.signalId = signalId;
    if (event.bars !== undefined) this.bars = event.bars;
    if (event.features !== undefined) this.features = Object.freeze({ ...event.features });
  }
}

function checkEvent(event: SignalEvent): void {
  const refuse = (field: string, rule: string): never => {
    throw new OrchestratorError('INVALID_SIGNAL', `${field} must be ${rule}`, { field });
  };
  if (typeof event.instrumentId !== 'string' || event.instrumentId === '') refuse('instrumentId', 'a non-empty string');
  if (event.signal !== 0 && event.signal !== 1 && event.signal !== -1) refuse('signal', '-1, 0 or 1');
  if (typeof event.timestamp !== 'bigint' || event.timestamp < 0n)
    refuse('timestamp', 'nanoseconds since the epoch, as a bigint');
  if (event.signalId !== undefined && (typeof event.signalId !== 'string' || event.signalId === '')) {
    refuse('signalId', 'a non-empty string when given');
  }
}
