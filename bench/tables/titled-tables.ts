import { writeFileSync } from 'node:fs';

export type TableRow = Readonly<Record<string, string | number>>;

/** Tables by their titles. */
export type TitledTables = Readonly<Record<string, readonly TableRow[]>>;

/** Prints every table under its title, and writes all of them as JSON to the file behind `--json`, if it is there. */
export function printTables(tables: TitledTables): void {
  for (const [title, rows] of Object.entries(tables)) {
    console.log(`\n${title}`);
    console.table(rows);
  }
  const at = process.argv.indexOf('--json');
  const file = at < 0 ? undefined : process.argv[at + 1];
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(tables, null, 2)}\n`);
}

/** A share in per cent, to a tenth. */
export function percent(share: number): number {
  return Number((100 * share).toFixed(1));
}

/** The 95 % interval of a share, in per cent (Wilson 1927). */
export function percentInterval(successes: number, trials: number): string {
  const z = 1.96;
  const share = successes / trials;
  const middle = (share + (z * z) / (2 * trials)) / (1 + (z * z) / trials);
  const reach = (z * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials ** 2))) / (1 + (z * z) / trials);
  return `${(100 * (middle - reach)).toFixed(1)}–${(100 * (middle + reach)).toFixed(1)}`;
}
