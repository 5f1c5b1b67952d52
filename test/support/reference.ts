import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The only place that knows where the reference vectors lie: beside the checkout, or nowhere. */
const SHARED = resolve(dirname(fileURLToPath(import.meta.url)), '../../../../shared');

/** A reference file parsed, or null after saying aloud that it is not available. */
export function referenceVectors<T>(name: string): T | null {
  const path = referencePath(`golden/${name}.json`);
  return path === null ? null : (JSON.parse(readFileSync(path, 'utf8')) as T);
}

/** Path of a file of real bars, or null after saying aloud that it is not available. */
export function referenceBars(name: 'btc-perp-1m' | 'gbpusd-1m'): string | null {
  return referencePath(`data/${name}.csv`);
}

/** Path of the declarations that outside programs rely on, or null after saying aloud that they are not available. */
export function referenceApi(): string | null {
  return referencePath('api.d.ts');
}

function referencePath(name: string): string | null {
  const path = join(SHARED, name);
  if (existsSync(path)) return path;
  console.log(`not available: reference ${name}`);
  return null;
}
