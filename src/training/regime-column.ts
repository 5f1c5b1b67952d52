import { type FeatureSet, toModelValue } from '../features/feature-set.js';
import { RegimeFilter } from '../regime/regime-filter.js';
import { fitRegimeModel, type RegimeModel } from '../regime/regime-model.js';
import type { SeriesSource, TrainingSet } from './training-set.js';

/** Part of the calendar, half-open. */
export interface CalendarWindow {
  readonly start: number;
  readonly end: number;
}

/** From the first signal's bar to the last horizon's end of the given rows. */
export function windowOf(set: TrainingSet, rows: Int32Array): CalendarWindow {
  return { start: set.start[rows[0]!]!, end: rows.reduce((last, row) => Math.max(last, set.end[row]!), 0) + 1 };
}

/** The bars of a series inside a window of the calendar, half-open. */
export function barsInside(source: SeriesSource, window: CalendarWindow): CalendarWindow {
  const first = (position: number): number => {
    const index = source.position.findIndex((at) => at >= position);
    return index < 0 ? source.position.length : index;
  };
  return { start: first(window.start), end: first(window.end) };
}

/** Regimes of the bars inside a training window, and of no other. */
export function fitRegime(set: TrainingSet, window: CalendarWindow, seed: number): RegimeModel | null {
  const series = set.sources.map((source) => {
    const { start, end } = barsInside(source, window);
    const { logReturn, volatility } = source.columns;
    return { instrumentId: source.instrumentId, tsEventNs: source.tsEventNs, logReturn, volatility, start, end };
  });
  return fitRegimeModel(series, seed);
}

/** The same training set with the regime column of the given rows filled in by a model; without one, or without the feature, the set itself. */
export function withRegime(
  set: TrainingSet,
  features: FeatureSet,
  model: RegimeModel | null,
  rows: Iterable<number>,
): TrainingSet {
  const column = features.names.indexOf('regime');
  if (model === null || column < 0) return set;
  const filters = set.sources.map((source) => RegimeFilter.of(model, source.instrumentId));
  const filled = set.rows.slice();
  for (const row of rows) {
    const source = set.series[row]!;
    const weight = filters[source]?.weightAt(set.sources[source]!.columns, set.bar[row]!) ?? Number.NaN;
    filled[row * set.columnCount + column] = toModelValue(weight);
  }
  return { ...set, rows: filled };
}
