import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ResultsFile, readResults, renderFigure } from './results.js';

/** `npm run bench:doc -- FILE`: writes the README's performance section from a file of `npm run bench -- --json FILE`. */
const README = fileURLToPath(new URL('../../README.md', import.meta.url));
const SECTION = /(<!-- performance:start -->\n)[\s\S]*?(<!-- performance:end -->)/;
const QUANTILES = ['p50', 'p90', 'p99', 'p99.9', 'max'];

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error('usage: bench:doc FILE (of `npm run bench -- --json FILE`)');
  process.exit(2);
}
const readme = readFileSync(README, 'utf8');
const section = render(readResults(path));
writeFileSync(
  README,
  readme.replace(SECTION, (_match, start: string, end: string) => `${start}${section}\n${end}`),
);

function render({ machine, rounds, results }: ResultsFile): string {
  const { cpu, cores, node } = machine;
  const runs = rounds === 1 ? 'One round' : `Medians of ${rounds} rounds`;
  const intro = `${runs}, each bench in a fresh process: ${cores} x ${cpu}, node ${node}. Quantiles are in microseconds; under a load they count from the instant a signal was due.`;
  const parts = results.map(({ bench, workload, figures }) => {
    const names = Object.keys(figures);
    const prefixes = names.filter((name) => name.endsWith(', p99.9')).map((name) => name.slice(0, -', p99.9'.length));
    const quantiles = prefixes.map((prefix) => [
      prefix,
      ...QUANTILES.map((quantile) => renderFigure({ ...figures[`${prefix}, ${quantile}`]!, unit: '' })),
    ]);
    const others = names
      .filter((name) => !prefixes.some((prefix) => name.startsWith(`${prefix}, `)))
      .map((name) => [name, renderFigure(figures[name]!)]);
    const tables = [
      ...(quantiles.length > 0 ? [table(['', ...QUANTILES], quantiles)] : []),
      ...(others.length > 0 ? [table(['', ''], others)] : []),
    ];
    return [`**${bench}** (${workload})`, ...tables].join('\n\n');
  });
  return ['', intro, ...parts, ''].join('\n\n').trim();
}

/** Padded as the formatter pads, so that it finds nothing to change. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_cell, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
