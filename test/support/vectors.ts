import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import type { TripleBarrierOptions } from '../../src/labeling/triple-barrier.js';
import { BarSeries } from '../../src/market/bar.js';
import { readBarsCsv } from '../../src/market/bars-csv.js';
import type { VpinOptions } from '../../src/orderflow/vpin.js';
import type { PrimarySignalName } from '../../src/primary/primary-signal.js';
import { FIRST_CLOSE_NS, MINUTE_NS } from './market.js';
import { referenceBars } from './reference.js';

/** null stands for NaN, or for "not available". */
export type Maybe = number | null;

interface Scores {
  readonly rocAuc: number;
  readonly logLoss: number;
  readonly brierScore: number;
  readonly accuracy: number;
}

/** The file's own note says how each value was worked. */
interface Vectors {
  readonly bars: Readonly<Record<'open' | 'high' | 'low' | 'close' | 'volume', readonly number[]>>;
  readonly atr: { readonly simple: readonly number[]; readonly wilder: readonly Maybe[] };
  readonly features: readonly {
    readonly bar: number;
    readonly side: -1 | 1;
    readonly regime: Maybe;
    readonly toxicity: Maybe;
    readonly row: readonly Maybe[];
  }[];
  readonly primary: Readonly<Record<PrimarySignalName, readonly number[]>>;
  readonly labels: {
    readonly sides: readonly number[];
    readonly cases: readonly (TripleBarrierOptions & {
      readonly censored: number;
      readonly rows: readonly (readonly number[])[];
    })[];
  };
  readonly vpin: readonly { readonly options: VpinOptions; readonly values: readonly Maybe[] }[];
  readonly sizing: { readonly rows: readonly (readonly number[])[] };
  readonly metrics: {
    readonly y: readonly number[];
    readonly p: readonly number[];
    readonly weight: readonly number[];
    readonly plain: Scores;
    readonly weighted: Scores;
  };
  readonly uniqueness: {
    readonly start: readonly number[];
    readonly end: readonly number[];
    readonly barCount: number;
    readonly values: readonly number[];
  };
}

const PATH = join(fileURLToPath(new URL('.', import.meta.url)), '../../../test/support/vectors.json');

/** Worked values that lie beside the tests, so that the definitions are checked everywhere. */
export const vectors = JSON.parse(readFileSync(PATH, 'utf8')) as Vectors;

/** The bars all of {@link vectors} is worked on. */
export function vectorBars(): BarSeries {
  const { open, high, low, close, volume } = vectors.bars;
  return BarSeries.from({
    tsEventNs: minuteStamps(open.length),
    open: Float64Array.from(open),
    high: Float64Array.from(high),
    low: Float64Array.from(low),
    close: Float64Array.from(close),
    volume: Float64Array.from(volume),
  });
}

/** Bars one minute apart from rows [open, high, low, close, volume?]. */
export function barsOf(rows: readonly (readonly number[])[]): BarSeries {
  const column = (index: number): Float64Array => Float64Array.from(rows, (row) => row[index] ?? Number.NaN);
  return BarSeries.from({
    tsEventNs: minuteStamps(rows.length),
    open: column(0),
    high: column(1),
    low: column(2),
    close: column(3),
    volume: column(4),
  });
}

export type ReferenceSlice = 'btc_0' | 'gbpusd_0';

const SLICES = {
  btc_0: { file: 'btc-perp-1m', bars: 5000 },
  gbpusd_0: { file: 'gbpusd-1m', bars: 3000 },
} as const;

/** The real bars a reference file is about, or null when they are not available. */
export async function referenceSlice(slice: ReferenceSlice): Promise<BarSeries | null> {
  const { file, bars } = SLICES[slice];
  const path = referenceBars(file);
  return path === null ? null : (await readBarsCsv(path)).slice(0, bars);
}

/** Fails unless `actual` is `expected` to a relative tolerance; null and NaN match each other alone. */
export function assertRelative(actual: number, expected: Maybe, tolerance: number, what: string): void {
  assertAbsolute(actual, expected, tolerance * Math.abs(expected ?? 0), what);
}

/** Fails unless `actual` is `expected` to an absolute tolerance; null and NaN match each other alone. */
export function assertAbsolute(actual: number, expected: Maybe, tolerance: number, what: string): void {
  const wanted = expected ?? Number.NaN;
  const same = Number.isNaN(wanted) ? Number.isNaN(actual) : Math.abs(actual - wanted) <= tolerance;
  assert.ok(same, `${what}: ${actual}, expected ${wanted} within ${tolerance}`);
}

/** Fails unless both hold the same bits, NaN equal to NaN and −0 different from 0. */
export function assertSameBits(actual: Float64Array, expected: Float64Array, what: string): void {
  assert.is(actual.length, expected.length, `${what}: lengths differ`);
  const expectedBits = new BigUint64Array(expected.slice().buffer);
  const differs = new BigUint64Array(actual.slice().buffer).findIndex((bits, index) => bits !== expectedBits[index]);
  assert.is(differs, -1, `${what}: value ${differs} is ${actual[differs]}, expected ${expected[differs]}`);
}

function minuteStamps(count: number): BigInt64Array {
  return BigInt64Array.from({ length: count }, (_, index) => FIRST_CLOSE_NS + BigInt(index) * MINUTE_NS);
}
