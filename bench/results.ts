import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { type BenchResult, type Figure, median } from './measure.js';

interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
}

/** What `npm run bench -- --json FILE` writes. */
export interface ResultsFile {
  readonly machine: Machine;
  readonly rounds: number;
  readonly results: readonly BenchResult[];
}

export function machine(): Machine {
  return { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism(), node: process.version };
}

export function readResults(path: string): ResultsFile {
  return JSON.parse(readFileSync(path, 'utf8')) as ResultsFile;
}

/** One result per bench, each figure the median of its rounds. */
export function medianResults(results: readonly BenchResult[]): BenchResult[] {
  const byName = new Map<string, BenchResult[]>();
  for (const result of results) byName.set(result.bench, [...(byName.get(result.bench) ?? []), result]);
  return [...byName.values()].map((rounds) => {
    const [first] = rounds as [BenchResult];
    const figures = Object.entries(first.figures).map(([name, figure]): [string, Figure] => [
      name,
      { ...figure, value: median(rounds.map((round) => round.figures[name]!.value)) },
    ]);
    return { ...first, figures: Object.fromEntries(figures) };
  });
}

export function renderResults({ machine: { cpu, cores, node }, rounds, results }: ResultsFile): string {
  const head = `node ${node}, ${cores} x ${cpu}, medians of ${rounds} rounds`;
  const blocks = results.map(({ bench, workload, checksum, figures }) => {
    const lines = Object.entries(figures).map(([name, figure]) => `  ${name.padEnd(46)} ${renderFigure(figure)}`);
    return [`\n${bench}: ${workload} (checksum ${checksum})`, ...lines].join('\n');
  });
  return [head, ...blocks].join('\n');
}

export function renderFigure({ value, unit }: Figure): string {
  return `${Number(value.toPrecision(3)).toLocaleString('en-US')}${unit === '' ? '' : ` ${unit}`}`;
}
