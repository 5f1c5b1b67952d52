import type { PlainValue } from '../state/records.js';

/** The figures behind a verdict as they are stored. */
export function plainFigures(figures: object): Readonly<Record<string, PlainValue>> {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): PlainValue {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === 'object' ? plainFigures(value) : String(value);
}
