import { OrchestratorError } from '../errors.js';
import type { BarSeries } from '../market/bar.js';
import { isInstrumentId } from '../market/instrument-id.js';
import { roundCloses } from '../market/rounded-times.js';
import { wholeSecondNs } from '../market/timestamp.js';
import { VpinIndicator, type VpinOptions } from '../orderflow/vpin.js';
import { type PrimarySignalName, primarySides } from '../primary/primary-signal.js';

/** One instrument's bars with the sides a strategy took on them. */
export interface TrainingSeries {
  readonly instrumentId: string;
  readonly bars: BarSeries;
  /** −1, 0, +1 by bar; or else `primarySignal` makes them. */
  readonly sides?: Int8Array;
  readonly primarySignal?: PrimarySignalName;
  /**
   * When each side was decided, nanoseconds since the epoch, by bar; 0, or the column absent: at
   * its bar's close. Its outcome begins with the first bar that opens then or later.
   */
  readonly decidedNs?: BigInt64Array;
  /** The user's declared features, by name, one value a bar; NaN is missing. */
  readonly features?: Readonly<Record<string, Float64Array>>;
  /** VPIN as it was stored with each bar, NaN for unavailable; computed from the first bar on where it is absent. */
  readonly toxicity?: Float64Array;
}

/** The series as it was before the instant: nothing of a bar that closed at it or later. */
export function seriesBefore(series: TrainingSeries, endNs: bigint): TrainingSeries {
  const { bars, sides, decidedNs, features, toxicity } = series;
  const count = bars.tsEventNs.findIndex((closeNs) => closeNs >= endNs);
  if (count < 0) return series;
  return {
    ...series,
    bars: bars.slice(0, count),
    ...(sides && { sides: sides.subarray(0, count) }),
    ...(decidedNs && { decidedNs: decidedNs.subarray(0, count) }),
    ...(toxicity && { toxicity: toxicity.subarray(0, count) }),
    ...(features && {
      features: Object.fromEntries(Object.entries(features).map(([name, values]) => [name, values.subarray(0, count)])),
    }),
  };
}

/**
 * The series with closes and decisions as live ones are taken; the series itself where nothing
 * changes.
 */
export function atWholeSeconds(series: TrainingSeries): TrainingSeries {
  const bars = roundCloses(series.bars);
  const { decidedNs } = series;
  if (decidedNs?.some((ns) => wholeSecondNs(ns) !== ns)) {
    return { ...series, bars, decidedNs: decidedNs.map(wholeSecondNs) };
  }
  return bars === series.bars ? series : { ...series, bars };
}

/** Scales and quantiles are kept by instrument, under its name as a key: each may come but once, and not under a name no record can hold. */
export function checkInstruments(series: readonly TrainingSeries[]): void {
  for (const [index, { instrumentId }] of series.entries()) {
    const field = `series[${index}].instrumentId`;
    if (typeof instrumentId !== 'string' || !isInstrumentId(instrumentId) || instrumentId === '__proto__') {
      throw new OrchestratorError('INVALID_INSTRUMENT', `${field} is no name for an instrument`, { field });
    }
    if (series.findIndex((other) => other.instrumentId === instrumentId) !== index) {
      throw new OrchestratorError('DUPLICATE_INSTRUMENT', `${field} came before`, { field });
    }
  }
}

/** Throws INVALID_SIGNAL, LENGTH_MISMATCH or OUT_OF_RANGE, naming the field. */
export function sidesOf(series: TrainingSeries, field: string): Int8Array {
  if (series.sides === undefined) {
    if (series.primarySignal !== undefined) return primarySides(series.primarySignal, series.bars);
    throw new OrchestratorError('INVALID_SIGNAL', `${field} has neither sides nor a primarySignal`, {
      field: `${field}.sides`,
    });
  }
  if (series.sides.length !== series.bars.length) {
    throw new OrchestratorError(
      'LENGTH_MISMATCH',
      `${field} has ${series.sides.length} sides for ${series.bars.length} bars`,
      {
        field: `${field}.sides`,
      },
    );
  }
  const wrong = series.sides.findIndex((side) => side < -1 || side > 1);
  if (wrong >= 0) {
    throw new OrchestratorError('OUT_OF_RANGE', `${field} has side ${series.sides[wrong]} at bar ${wrong}`, {
      field: `${field}.sides`,
    });
  }
  return series.sides;
}

/**
 * null where every side was decided at its bar's close. Throws LENGTH_MISMATCH, naming the field.
 */
export function decidedNsOf({ bars, decidedNs }: TrainingSeries, field: string): BigInt64Array | null {
  if (decidedNs === undefined || decidedNs.length === bars.length) return decidedNs ?? null;
  throw new OrchestratorError(
    'LENGTH_MISMATCH',
    `${field} has ${decidedNs.length} times of decision for ${bars.length} bars`,
    { field: `${field}.decidedNs` },
  );
}

/** Throws MISSING_FEATURE or LENGTH_MISMATCH, naming the field. */
export function userColumn(series: TrainingSeries, name: string, field: string): Float64Array {
  const column =
    series.features !== undefined && Object.hasOwn(series.features, name) ? series.features[name] : undefined;
  if (column === undefined) {
    throw new OrchestratorError('MISSING_FEATURE', `${field} lacks its declared feature ${name}`, {
      field: `${field}.features.${name}`,
    });
  }
  if (column.length !== series.bars.length) {
    throw new OrchestratorError(
      'LENGTH_MISMATCH',
      `feature ${name} has ${column.length} values for ${series.bars.length} bars`,
      {
        field: `${field}.features.${name}`,
      },
    );
  }
  return column;
}

/** What live rows had, where it was kept; else what they would have had if these bars had been the first. */
export function toxicityOf(
  { bars, toxicity: stored }: TrainingSeries,
  field: string,
  options: VpinOptions,
): Float64Array {
  if (stored !== undefined) {
    if (stored.length === bars.length) return stored;
    throw new OrchestratorError(
      'LENGTH_MISMATCH',
      `${field} has ${stored.length} values of toxicity for ${bars.length} bars`,
      { field: `${field}.toxicity` },
    );
  }
  const vpin = new VpinIndicator(options);
  const toxicity = new Float64Array(bars.length);
  for (let i = 0; i < bars.length; i++) {
    vpin.update(bars.at(i));
    toxicity[i] = vpin.value ?? Number.NaN;
  }
  return toxicity;
}
