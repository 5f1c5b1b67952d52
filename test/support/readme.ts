import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(fileURLToPath(import.meta.url), '../../../..');
export const README = join(ROOT, 'README.md');

const OUTPUT = /(<!-- output:start -->\n```text\n)([\s\S]*?)(```\n<!-- output:end -->)/;

/** The output of the first command as the README shows it. */
export function shownOutput(): string {
  return OUTPUT.exec(readFileSync(README, 'utf8'))![2]!;
}

/** The same, fresh from the command. */
export function realOutput(): string {
  return execFileSync(process.execPath, [join(ROOT, 'dist/src/cli/main.js'), 'run'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

export function withOutput(readme: string, output: string): string {
  return readme.replace(OUTPUT, (_match, start: string, _old: string, end: string) => `${start}${output}${end}`);
}

/** What differs from run to run: latencies, the column widths they lead to, and model ids, which hold their creation time. */
export function withoutTimes(output: string): string {
  return output
    .replace(/[\d.]+ us/g, '_ us')
    .replace(/ {2,}/g, ' ')
    .replace(/model [0-9a-f]{16}/g, 'model _');
}
