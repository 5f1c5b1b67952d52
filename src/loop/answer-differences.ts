import type { SignalRecord } from '../state/records.js';

export interface FieldDifference {
  /** A field of the record, or `row.NAME` for a feature. */
  readonly field: string;
  readonly stored: string;
  readonly recomputed: string;
}

/** What of a stored answer follows from its as-of, its side, its features and its bundle. */
const FIELDS = [
  'asOfNs',
  'generation',
  'modelId',
  'modelAvailable',
  'confidence',
  'regimeAvailable',
  'regimeWeight',
  'toxicityAvailable',
  'toxicity',
  'size',
  'sizeReason',
  'degraded',
] as const;

/** What is left where nothing was computed: the model may have been any. */
const FIELDS_WITHOUT = [
  'confidence',
  'regimeAvailable',
  'regimeWeight',
  'toxicityAvailable',
  'toxicity',
  'size',
  'sizeReason',
] as const;

/** Where two records of an evaluated signal differ in any bit. Rows are compared only where `columns` names theirs. */
export function answerDifferences(
  stored: SignalRecord,
  again: SignalRecord,
  columns: readonly string[] | null,
): FieldDifference[] {
  const differences = fieldDifferences(stored, again, FIELDS);
  if (columns === null) return differences;
  if (stored.row.length !== again.row.length)
    return [...differences, difference('row', stored.row.length, again.row.length)];
  for (const [k, value] of stored.row.entries()) {
    if (!Object.is(value, again.row[k])) differences.push(difference(`row.${columns[k]}`, value, again.row[k]));
  }
  return differences;
}

/** As {@link answerDifferences}, for a signal for which nothing was computed. */
export function degradedDifferences(stored: SignalRecord, again: SignalRecord): FieldDifference[] {
  return fieldDifferences(stored, again, FIELDS_WITHOUT);
}

/**
 * Whether all that differs is a configured default, or follows from one: then the answer was given under another configuration. A default stands where the model, the regime or the
 * toxicity was missing; the linear size multiplies them.
 */
export function areDefaults(
  differences: readonly FieldDifference[],
  { confidence, regimeWeight, toxicity }: { confidence: boolean; regimeWeight: boolean; toxicity: boolean },
  isLinear: boolean,
): boolean {
  const defaults = new Set([
    ...(confidence ? ['confidence'] : []),
    ...(regimeWeight ? ['regimeWeight'] : []),
    ...(toxicity ? ['toxicity'] : []),
  ]);
  const isDefault = ({ field }: FieldDifference): boolean => defaults.has(field);
  const follows = ({ field }: FieldDifference): boolean => isLinear && (field === 'size' || field === 'sizeReason');
  return differences.some(isDefault) && differences.every((one) => isDefault(one) || follows(one));
}

function fieldDifferences(
  stored: SignalRecord,
  again: SignalRecord,
  fields: readonly (typeof FIELDS)[number][],
): FieldDifference[] {
  return fields
    .filter((field) => !Object.is(stored[field], again[field]))
    .map((field) => difference(field, stored[field], again[field]));
}

function difference(field: string, stored: unknown, recomputed: unknown): FieldDifference {
  return { field, stored: textOf(stored), recomputed: textOf(recomputed) };
}

/** The shortest text that reads back as the same number, and a sign for zero. */
function textOf(value: unknown): string {
  return Object.is(value, -0) ? '-0' : String(value);
}
