import { cpus } from 'node:os';

/** Quantiles of durations in ns. */
export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export function quantilesOf(durationsNs: Float64Array): Quantiles {
  const sorted = durationsNs.slice().sort();
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

/** Nanoseconds from an arbitrary origin, as fine as the machine's. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}

/** A wrong answer makes every speed worthless: no number is printed after it. */
export function checkAnswer(condition: boolean, what: string): void {
  if (!condition) throw new Error(`the bench computed something wrong: ${what}`);
}

/** True when the bench runs only to show that it still works. */
export const SMOKE = process.argv.includes('--smoke');

/** Prints one line a person reads and, with `--json`, the figures a program reads. */
export function report(name: string, figures: Readonly<Record<string, number | string>>): void {
  if (process.argv.includes('--json')) {
    console.log(
      JSON.stringify({
        bench: name,
        node: process.version,
        cpu: cpus()[0]?.model ?? '',
        cores: cpus().length,
        ...figures,
      }),
    );
    return;
  }
  console.log(`${name} (node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'})`);
  for (const [key, value] of Object.entries(figures)) {
    console.log(`  ${key.padEnd(28)} ${typeof value === 'number' ? Number(value.toPrecision(4)).toString() : value}`);
  }
}
