import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Runs every built test file in a process of its own, with a time limit, and adds up what uvu reports.
 * `node dist/test/run.js [part of a file name …]`; those of nautilus/ need Python and are run only when they are named. Fails on a failed, hung or crashed file, on a file without tests, and when there are no tests at all; where `CI` is set, on a skipped test too.
 */
const FILE_LIMIT_MS = 300_000;
const ROOT = dirname(fileURLToPath(import.meta.url));

interface FileResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly output: string;
  readonly problem: string | null;
}

const wanted = process.argv.slice(2);
const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js') && isWanted(name))
  .sort();
const queue = files.map((name) => join(ROOT, name));
const totals = { passed: 0, failed: 0, skipped: 0 };

function isWanted(name: string): boolean {
  return wanted.length === 0 ? !name.startsWith('nautilus/') : wanted.some((part) => name.includes(part));
}

async function worker(): Promise<void> {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const started = Date.now();
    const result = await runFile(file);
    totals.passed += result.passed;
    totals.failed += result.failed;
    totals.skipped += result.skipped;
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    const name = relative(ROOT, file).replace(/\.js$/, '');
    console.log(
      `${result.failed > 0 ? 'FAIL' : 'ok  '} ${name}  ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped  (${seconds} s)`,
    );
    if (result.problem !== null) console.log(`     ${result.problem}`);
    if (result.failed > 0) console.log(result.output);
    for (const line of result.output.split('\n').filter((text) => /not available|skipped:|real node, /.test(text)))
      console.log(`     ${line.trim()}`);
  }
}

function runFile(file: string): Promise<FileResult> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--enable-source-maps', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let hung = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const limit = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, FILE_LIMIT_MS);
    child.on('close', (exitCode) => {
      clearTimeout(limit);
      const count = (name: string): number =>
        [...output.matchAll(new RegExp(`^\\s*${name}:\\s+(\\d+)`, 'gm'))].reduce(
          (sum, match) => sum + Number(match[1]),
          0,
        );
      const total = count('Total');
      const passed = count('Passed');
      const skipped = count('Skipped');
      const failed = Math.max(total - passed - skipped, 0);
      let problem: string | null = null;
      if (hung) problem = `took longer than ${FILE_LIMIT_MS / 1000} s and was killed`;
      else if (total + skipped === 0) problem = 'ran no tests: does it end with test.run()?';
      else if (exitCode !== 0 && failed === 0) problem = `exited with ${exitCode} after its tests`;
      resolve({ passed, failed: problem === null ? failed : Math.max(failed, 1), skipped, output, problem });
    });
  });
}

await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
if (totals.passed + totals.failed + totals.skipped === 0) {
  console.log('no tests ran');
  totals.failed = 1;
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
const isSkippedBad = process.env.CI !== undefined && totals.skipped > 0;
process.exitCode = totals.failed > 0 || isSkippedBad ? 1 : 0;
