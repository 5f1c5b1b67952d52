import { randomBytes } from 'node:crypto';
import { OrchestratorError } from '../errors.js';
import type { FeatureSet } from '../features/feature-set.js';
import { TIMESTAMP_NS_MAX } from '../market/bar.js';
import type { SignalEvent } from '../market/events.js';
import type { RoundedTimes } from '../market/rounded-times.js';
import type { SignalRequest } from '../shared-memory/evaluation.js';
import type { FeatureStoreWriter, WindowObstacle } from '../shared-memory/feature-store-writer.js';

/** A signal that was let in: checked, its bars merged, its user features copied and its as-of bar fixed. */
export class AdmittedSignal implements SignalRequest {
  constructor(
    readonly signalId: string,
    /** The caller's event as it was, with its id. */
    readonly event: SignalEvent,
    /**
     * When it was decided, as {@link wholeSecondNs} takes its timestamp: what it may see depends on
     * this.
     */
    readonly instantNs: bigint,
    readonly userValues: Float64Array,
    /** Its index in the feature store; −1 for one without bars. */
    readonly instrument: number,
    readonly asOf: number,
    readonly asOfNs: bigint,
    /** Why there is nothing to evaluate; null where there is. */
    readonly obstacle: WindowObstacle | null,
    /**
     * The bar that closed at its time did not come: it is answered from the bars before, with size
     * 0.
     */
    readonly isBarMissing = false,
  ) {}

  get side(): -1 | 0 | 1 {
    return this.event.signal;
  }

  /** Whether there is anything to compute: not for a flat signal, nor without a window. */
  get isOpen(): boolean {
    return this.event.signal !== 0 && this.obstacle === null;
  }
}

const NO_VALUES = new Float64Array(0);

/** Lets signals in. A refused one throws and leaves nothing behind; its bars are all merged or none. */
export class Admission {
  private readonly idPrefix = randomBytes(6).toString('hex');
  private idCount = 0;

  constructor(
    private readonly store: FeatureStoreWriter,
    private readonly featureSet: FeatureSet,
    private readonly barAgeMaxNs: bigint | null,
    private readonly times: RoundedTimes,
  ) {}

  /**
   * `asOfBefore`: what was fixed when the same signal was let in by an earlier process; bars that
   * came later are then not seen, whenever they closed. `isBarMissing`: whoever brings the signal
   * has waited for its due bar in vain. Throws INVALID_SIGNAL or MISSING_FEATURE with the field, or
   * what {@link FeatureStoreWriter.merge} throws.
   */
  admit(event: SignalEvent, asOfBefore = Number.POSITIVE_INFINITY, isBarMissing = false): AdmittedSignal {
    const { store } = this;
    const userValues = this.merge(event);
    const signalId = event.signalId ?? `${this.idPrefix}-${++this.idCount}`;
    const instrument = store.indexOf(event.instrumentId);
    const instantNs = this.times.round('signals', event.timestamp);
    const asOf = Math.min(store.asOf(instrument, instantNs), asOfBefore);
    const asOfNs = store.tsEventNs(instrument, asOf);
    return new AdmittedSignal(
      signalId,
      new AdmittedEvent(event, signalId),
      instantNs,
      userValues,
      instrument,
      asOf,
      asOfNs,
      store.obstacle(instrument, asOf, instantNs - asOfNs, this.barAgeMaxNs),
      isBarMissing,
    );
  }

  /** Only what {@link admit} leaves in the store: the bars of a signal that would be let in. Its user values. Throws as {@link admit}. */
  merge(event: SignalEvent): Float64Array {
    checkSignal(event);
    const userCount = this.featureSet.user.length;
    const userValues = userCount === 0 ? NO_VALUES : new Float64Array(userCount);
    if (event.signal !== 0) this.featureSet.readUserFeatures(event.features, userValues);
    if (event.bars !== undefined) this.store.merge(event.instrumentId, event.bars);
    return userValues;
  }
}

/** A copy that the caller can no longer change, its bars excepted, which were merged already. Built field by field: spreading and freezing cost more than the whole inference. */
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

/** Ids are kept with every signal. */
const ID_LENGTH_MAX = 256;

function isShortText(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= ID_LENGTH_MAX;
}

/** Throws INVALID_SIGNAL with the field that is wrong. */
export function checkSignal(event: SignalEvent): void {
  const refuse = (field: string, rule: string): never => {
    throw new OrchestratorError('INVALID_SIGNAL', `${field} must be ${rule}`, { field });
  };
  if (typeof event !== 'object' || event === null) refuse('event', 'an object');
  if (!isShortText(event.instrumentId)) refuse('instrumentId', `a string of 1 to ${ID_LENGTH_MAX} characters`);
  if (event.signal !== 0 && event.signal !== 1 && event.signal !== -1) refuse('signal', '-1, 0 or 1');
  if (typeof event.timestamp !== 'bigint' || event.timestamp < 0n || event.timestamp > TIMESTAMP_NS_MAX)
    refuse('timestamp', 'nanoseconds since the epoch, as a bigint of 63 bits');
  if (event.signalId !== undefined && !isShortText(event.signalId)) {
    refuse('signalId', `a string of 1 to ${ID_LENGTH_MAX} characters when given`);
  }
}
