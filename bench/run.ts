import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { BenchResult } from './measure.js';
import { machine, medianResults, renderResults } from './results.js';

/**
 * Runs every bench in a process of its own, all of them once per round, so that what the machine does meanwhile falls on each: `npm run bench -- [--runs N]
 * [--smoke] [--json FILE] [part of a name …]`. Prints the medians over the rounds.
 */
const ROOT = dirname(fileURLToPath(import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    smoke: { type: 'boolean', default: false },
    runs: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});
const rounds = values.smoke ? 1 : Number(values.runs);
const benches = readdirSync(ROOT)
  .filter(
    (name) =>
      name.endsWith('.bench.js') && (positionals.length === 0 || positionals.some((part) => name.includes(part))),
  )
  .sort();
const results: BenchResult[] = [];
for (let round = 0; round < rounds; round++) {
  for (const bench of benches) {
    const flags = values.smoke ? ['--smoke'] : [];
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', join(ROOT, bench), ...flags], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 26,
    });
    if (status !== 0) {
      console.error(`${bench} failed\n${stderr}`);
      process.exitCode = 1;
      continue;
    }
    for (const line of stdout.trim().split('\n')) results.push(JSON.parse(line) as BenchResult);
  }
}
const medians = { machine: machine(), rounds, results: medianResults(results) };
console.log(renderResults(medians));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(medians, null, 1)}\n`);
