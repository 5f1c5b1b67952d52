import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Runs every bench in a process of its own: `npm run bench -- [--smoke] [--json] [part of a name …]`. */
const ROOT = dirname(fileURLToPath(import.meta.url));
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const benches = readdirSync(ROOT).filter(
  (name) => name.endsWith('.bench.js') && (wanted.length === 0 || wanted.some((part) => name.includes(part))),
);
for (const bench of benches.sort()) {
  const { status } = spawnSync(process.execPath, [join(ROOT, bench), ...flags], {
    stdio: ['ignore', 'inherit', 'ignore'],
  });
  if (status !== 0) {
    console.error(`${bench} failed`);
    process.exitCode = 1;
  }
}
