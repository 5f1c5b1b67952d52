import { populationStability } from '../drift/population-stability.js';
import type { ModelBundle } from '../model/bundle.js';
import type { SignalRecord } from '../state/records.js';
import type { StoredState } from '../state/stored-state.js';

/** Newest rows that are compared with the training rows. */
const ROWS_MAX = 5000;
/** Newest signals over which labels are counted. */
const RATE_SIGNALS_MAX = 20_000;
const DAY_NS = 86_400_000_000_000;
const DAYS_PER_MONTH = 30;

/** How often the detectors of a bundle are expected to raise a false alarm. */
export interface FalseAlarms {
  /** Labels between two of them, in a simulation, and its 95 % interval. */
  readonly labels: number;
  readonly lower: number;
  readonly upper: number;
  /** Labels a day among the newest recorded signals; null where fewer than two have one. */
  readonly labelsPerDay: number | null;
  /** In 30 days at that rate: of the interval's upper and lower end. */
  readonly perMonth: readonly [number, number] | null;
}

/** How far a feature has moved from what the model was trained on. Shown; nothing is triggered by it. */
export interface FeatureStability {
  readonly feature: string;
  /** Population stability index; NaN where too few values are known. */
  readonly psi: number;
}

/** null for a bundle without detectors. */
export function falseAlarmsOf({ detectors }: ModelBundle, labelsPerDay: number | null): FalseAlarms | null {
  if (detectors === null) return null;
  const { labels, lower, upper } = detectors.verified;
  const month = labelsPerDay === null ? null : labelsPerDay * DAYS_PER_MONTH;
  return { labels, lower, upper, labelsPerDay, perMonth: month === null ? null : [month / upper, month / lower] };
}

/** Labels a day among the newest 20,000 recorded signals: those that ended with one, over the time between the first and the last of them. null for fewer than two. */
export function recordedLabelsPerDay(stored: StoredState<unknown>): number | null {
  const extent = stored.signalExtent();
  if (extent === null) return null;
  const from = Math.max(extent.first, extent.newest + 1 - RATE_SIGNALS_MAX);
  const labelled: number[] = [];
  for (const { ordinal, metaLabel } of stored.outcomes(from)) if (metaLabel !== null) labelled.push(ordinal);
  const first = stored.signal(labelled[0] ?? -1);
  const last = stored.signal(labelled.at(-1) ?? -1);
  const days = first === null || last === null ? 0 : Number(last.timestampNs - first.timestampNs) / DAY_NS;
  return days > 0 ? (labelled.length - 1) / days : null;
}

/** The newest rows this model has answered, up to 5,000, against its training deciles, feature by feature; the furthest first. */
export function featureStabilityOf(
  stored: StoredState<unknown>,
  { modelId, featureNames, featureDeciles }: ModelBundle,
): { readonly rows: number; readonly features: readonly FeatureStability[] } {
  const rows = [
    ...newestRows(stored, (record) => record.modelId === modelId && record.row.length === featureNames.length),
  ];
  const features = featureNames.map((feature, column) => ({
    feature,
    psi: populationStability(
      featureDeciles[column]!,
      Float32Array.from(rows, (row) => row[column]!),
    ),
  }));
  // Unknown ones last.
  const rank = ({ psi }: FeatureStability): number => (Number.isNaN(psi) ? -1 : psi);
  return { rows: rows.length, features: features.sort((a, b) => rank(b) - rank(a)) };
}

function* newestRows(
  stored: StoredState<unknown>,
  isWanted: (record: SignalRecord) => boolean,
): Iterable<Float32Array> {
  const extent = stored.signalExtent();
  if (extent === null) return;
  let count = 0;
  for (let ordinal = extent.newest; ordinal >= extent.first && count < ROWS_MAX; ordinal--) {
    const record = stored.signal(ordinal);
    if (record === null || !isWanted(record)) continue;
    count++;
    yield record.row;
  }
}
