import hdr, { type Histogram } from 'hdr-histogram-js';

/** True when a bench runs only to show that it still works. */
export const SMOKE = process.argv.includes('--smoke');

/** One measured number: which way is better, null for one that is only told, and what share of it is noise. */
export interface Figure {
  readonly value: number;
  readonly unit: string;
  readonly better: 'lower' | 'higher' | null;
  readonly tolerance: number;
}

/** What one bench found out, as a line of JSON on stdout. */
export interface BenchResult {
  readonly bench: string;
  /** What was done, so that two results can be told apart. */
  readonly workload: string;
  /** Of the answers: two runs of one workload agree, and nobody optimises the work away. */
  readonly checksum: string;
  readonly figures: Readonly<Record<string, Figure>>;
}

const TOLERANCE = 0.25;

export function lower(value: number, unit: string, tolerance = TOLERANCE): Figure {
  return { value, unit, better: 'lower', tolerance };
}

export function higher(value: number, unit: string, tolerance = TOLERANCE): Figure {
  return { value, unit, better: 'higher', tolerance };
}

export function told(value: number, unit: string): Figure {
  return { value, unit, better: null, tolerance: 0 };
}

export function report(
  bench: string,
  workload: string,
  checksum: number | string,
  figures: Readonly<Record<string, Figure>>,
): void {
  const text = typeof checksum === 'number' ? String(checksum) : checksum;
  console.log(JSON.stringify({ bench, workload, checksum: text, figures } satisfies BenchResult));
}

/** A wrong answer makes every speed worthless: no number is printed after it. */
export function checkAnswer(condition: boolean, what: string): void {
  if (!condition) throw new Error(`the bench computed something wrong: ${what}`);
}

/** Nanoseconds from an arbitrary origin, as fine as the machine's. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

/** Durations in ns, kept to three digits. */
export function latencyHistogram(): Histogram {
  return hdr.build({ lowestDiscernibleValue: 1, highestTrackableValue: 60e9, numberOfSignificantValueDigits: 3 });
}

/** The quantiles of a histogram in microseconds, each under a name that begins with `prefix`. The tails of a shared machine are told, not compared. */
export function quantileFigures(prefix: string, histogram: Histogram): Record<string, Figure> {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000;
  return {
    [`${prefix}, p50`]: lower(at(50), 'us'),
    [`${prefix}, p90`]: lower(at(90), 'us', 0.5),
    [`${prefix}, p99`]: lower(at(99), 'us', 1),
    [`${prefix}, p99.9`]: told(at(99.9), 'us'),
    [`${prefix}, max`]: told(histogram.maxValue / 1000, 'us'),
  };
}
