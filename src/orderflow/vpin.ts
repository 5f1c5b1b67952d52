import jstat from 'jstat';
import { OrchestratorError } from '../errors.js';
import type { Bar } from '../market/bar.js';
import { NumberRing } from './ring.js';

export interface BulkVpinOptions {
  method?: 'bulk';
  /** Bucket size in mean bar volumes, default 25. */
  barsPerBucket?: number;
  /** Bars the mean volume is taken over, default 1440. */
  volumeWindow?: number;
  /** Complete buckets averaged, default 50. */
  nBuckets?: number;
  /** Price changes the standard deviation is taken over, default 50. */
  sigmaWindow?: number;
}

export interface FixedBucketVpinOptions {
  method: 'tick-rule' | 'close-vs-open';
  /** Bucket size in units of volume. */
  bucketVolume: number;
  nBuckets?: number;
}

export type VpinOptions = BulkVpinOptions | FixedBucketVpinOptions;

/** Every parameter stated; those a method does not use are 0. */
interface VpinParameters {
  readonly method: 'bulk' | 'tick-rule' | 'close-vs-open';
  readonly barsPerBucket: number;
  readonly volumeWindow: number;
  readonly sigmaWindow: number;
  readonly bucketVolume: number;
  readonly nBuckets: number;
}

export type ToxicityLevel = 'low' | 'medium' | 'high';

const METHODS = ['bulk', 'tick-rule', 'close-vs-open'] as const;
const STATE_VERSION = 1;
/** Words before the rings: version, parameters and the open bucket. */
const STATE_HEAD_WORDS = 13;
/** Longest window, which bounds the memory of an indicator. */
const WINDOW_MAX = 1_000_000;
const LEVEL_MEDIUM_MIN = 0.3;
const LEVEL_HIGH_MIN = 0.7;

/**
 * Volume-synchronised probability of informed trading (Easley, López de Prado & O'Hara 2012), in its causal form: every value depends on the
 * bars up to it alone. 'bulk' splits each bar's volume by the normal CDF of its price change; 'tick-rule' and 'close-vs-open' give a bar one side.
 * Memory and time per bar are bounded by the options, however large one bar's volume is.
 */
export class VpinIndicator {
  private readonly parameters: VpinParameters;
  private readonly changes: NumberRing;
  private readonly volumes: NumberRing;
  private readonly imbalances: NumberRing;
  private closeBefore = Number.NaN;
  private sideBefore = Number.NaN;
  private bucketSize = 0;
  private bucketFilled = 0;
  private bucketBuys = 0;
  private volumeKnown = false;
  private mean: number | null = null;

  constructor(options: VpinOptions = {}) {
    this.parameters = completeParameters(options);
    this.changes = new NumberRing(Math.max(this.parameters.sigmaWindow, 1));
    this.volumes = new NumberRing(Math.max(this.parameters.volumeWindow, 1));
    this.imbalances = new NumberRing(this.parameters.nBuckets);
  }

  /** Takes the next bar. A bar of unknown volume (NaN) pours nothing and makes the value unavailable until the next known one. Throws OUT_OF_RANGE on negative volume. */
  update(bar: Bar): void {
    const { open, close, volume } = bar;
    if (volume < 0) throw new OrchestratorError('OUT_OF_RANGE', `volume ${volume} is negative`, { field: 'volume' });
    const buyFraction = this.buyFraction(open, close);
    this.closeBefore = close;
    this.volumeKnown = Number.isFinite(volume);
    if (!this.volumeKnown) return;
    this.volumes.push(volume);
    if (volume > 0 && !Number.isNaN(buyFraction)) this.pour(volume, buyFraction);
  }

  /** VPIN in [0, 1]; null while fewer than nBuckets buckets are complete, or volume is unknown (unknown is not safe, so never 0). */
  get value(): number | null {
    return this.volumeKnown ? this.mean : null;
  }

  /** 'low' below 0.3, 'medium' below 0.7, else 'high'; null while there is no value. */
  get toxicityLevel(): ToxicityLevel | null {
    const value = this.value;
    if (value === null) return null;
    if (value < LEVEL_MEDIUM_MIN) return 'low';
    return value < LEVEL_HIGH_MIN ? 'medium' : 'high';
  }

  /** Everything needed to go on in another process with the same bits. */
  toState(): Uint8Array {
    const p = this.parameters;
    const rings = [this.changes, this.volumes, this.imbalances].map((ring) => ring.toArray());
    const words = Float64Array.from([
      STATE_VERSION,
      METHODS.indexOf(p.method),
      p.barsPerBucket,
      p.volumeWindow,
      p.sigmaWindow,
      p.bucketVolume,
      p.nBuckets,
      this.closeBefore,
      this.sideBefore,
      this.bucketSize,
      this.bucketFilled,
      this.bucketBuys,
      this.volumeKnown ? 1 : 0,
      ...rings.flatMap((ring) => [ring.length, ...ring]),
    ]);
    return new Uint8Array(words.buffer);
  }

  /** The indicator {@link toState} described. Throws STATE_CORRUPT. */
  static fromState(state: Uint8Array): VpinIndicator {
    if (state.byteLength % Float64Array.BYTES_PER_ELEMENT !== 0) throw corruptState();
    const words = new Float64Array(state.slice().buffer);
    if (words.length < STATE_HEAD_WORDS || words[0] !== STATE_VERSION) throw corruptState();
    const vpin = restoreEmpty(words);
    vpin.closeBefore = words[7]!;
    vpin.sideBefore = words[8]!;
    vpin.bucketSize = words[9]!;
    vpin.bucketFilled = words[10]!;
    vpin.bucketBuys = words[11]!;
    vpin.volumeKnown = words[12] === 1;
    let position = STATE_HEAD_WORDS;
    for (const ring of [vpin.changes, vpin.volumes, vpin.imbalances]) {
      const count = words[position++] ?? -1;
      if (count < 0 || count > ring.capacity || position + count > words.length) throw corruptState();
      for (let k = 0; k < count; k++) ring.push(words[position++]!);
    }
    if (position !== words.length) throw corruptState();
    if (vpin.imbalances.length === vpin.imbalances.capacity) vpin.mean = vpin.imbalances.mean();
    return vpin;
  }

  /** The share of a bar's volume that bought, NaN when its side is unknown. */
  private buyFraction(open: number, close: number): number {
    switch (this.parameters.method) {
      case 'bulk':
        return this.bulkFraction(close - this.closeBefore);
      case 'tick-rule':
        if (close !== this.closeBefore && !Number.isNaN(this.closeBefore))
          this.sideBefore = close > this.closeBefore ? 1 : 0;
        return this.sideBefore;
      case 'close-vs-open':
        return close === open ? Number.NaN : Number(close > open);
    }
  }

  private bulkFraction(change: number): number {
    if (!Number.isNaN(change)) this.changes.push(change);
    if (this.changes.length < 2) return 0.5;
    const sigma = this.changes.standardDeviation();
    if (sigma === 0) return (Math.sign(change) + 1) / 2;
    return jstat.jStat.normal.cdf(change / sigma, 0, 1);
  }

  private pour(volume: number, buyFraction: number): void {
    let left = volume;
    while (left > 0) {
      if (this.bucketSize === 0) {
        this.bucketSize = this.parameters.bucketVolume || this.parameters.barsPerBucket * this.volumes.mean();
        // Buckets this bar fills alone are all alike, and older ones than the last nBuckets leave no trace.
        if (!(this.bucketSize > 0)) {
          // Volumes so small that their mean is 0: there is nothing to measure yet.
          this.bucketSize = 0;
          return;
        }
        const bound = this.bucketSize * this.parameters.nBuckets;
        if (left > bound + this.bucketSize) left = bound + (left % this.bucketSize);
      }
      const space = this.bucketSize - this.bucketFilled;
      const taken = Math.min(left, space);
      this.bucketBuys += buyFraction * taken;
      this.bucketFilled += taken;
      left -= taken;
      if (taken === space) this.closeBucket();
    }
  }

  private closeBucket(): void {
    this.imbalances.push(Math.abs(2 * this.bucketBuys - this.bucketSize) / this.bucketSize);
    this.bucketSize = 0;
    this.bucketFilled = 0;
    this.bucketBuys = 0;
    if (this.imbalances.length === this.imbalances.capacity) this.mean = this.imbalances.mean();
  }
}

function completeParameters(options: VpinOptions): VpinParameters {
  const unused = { barsPerBucket: 0, volumeWindow: 0, sigmaWindow: 0, bucketVolume: 0 };
  const nBuckets = options.nBuckets ?? 50;
  let parameters: VpinParameters;
  if (hasFixedBuckets(options)) {
    parameters = { ...unused, method: options.method, bucketVolume: options.bucketVolume, nBuckets };
  } else {
    const { barsPerBucket = 25, volumeWindow = 1440, sigmaWindow = 50 } = options;
    parameters = { ...unused, method: 'bulk', barsPerBucket, volumeWindow, sigmaWindow, nBuckets };
  }
  const counts =
    parameters.method === 'bulk' ? (['volumeWindow', 'sigmaWindow', 'nBuckets'] as const) : (['nBuckets'] as const);
  for (const name of counts) {
    if (!(Number.isInteger(parameters[name]) && parameters[name] > 0 && parameters[name] <= WINDOW_MAX))
      throw badParameter(name, parameters[name]);
  }
  const size = parameters.method === 'bulk' ? 'barsPerBucket' : 'bucketVolume';
  if (!(Number.isFinite(parameters[size]) && parameters[size] > 0)) throw badParameter(size, parameters[size]);
  return parameters;
}

function hasFixedBuckets(options: VpinOptions): options is FixedBucketVpinOptions {
  return options.method === 'tick-rule' || options.method === 'close-vs-open';
}

function badParameter(name: string, value: number): OrchestratorError {
  return new OrchestratorError(
    'OUT_OF_RANGE',
    `VPIN ${name} ${value} is not a positive ${name.startsWith('b') ? 'number' : 'integer'}`,
    {
      field: name,
    },
  );
}

/** An indicator with the parameters of a state and nothing in it yet. */
function restoreEmpty(words: Float64Array): VpinIndicator {
  const [, methodIndex, barsPerBucket, volumeWindow, sigmaWindow, bucketVolume, nBuckets] = words;
  const method = METHODS[methodIndex!];
  try {
    if (method === undefined) throw corruptState();
    if (method !== 'bulk') return new VpinIndicator({ method, bucketVolume: bucketVolume!, nBuckets: nBuckets! });
    return new VpinIndicator({
      method,
      barsPerBucket: barsPerBucket!,
      volumeWindow: volumeWindow!,
      sigmaWindow: sigmaWindow!,
      nBuckets: nBuckets!,
    });
  } catch (error) {
    if (error instanceof OrchestratorError) throw corruptState();
    throw error;
  }
}

function corruptState(): OrchestratorError {
  return new OrchestratorError('STATE_CORRUPT', 'these bytes are no VPIN state', { field: 'state' });
}
