import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { README, ROOT } from './readme.js';

/** Renews what the documents show of the simulated market that breaks: all of it in docs/story.md, its end in the README. */
const PARAMETERS = ['run', '--market', 'simulated', '--edge', '1', '--break-at', '20000'];
const STORY = join(ROOT, 'docs/story.md');

const output = execFileSync(process.execPath, [join(ROOT, 'dist/src/cli/main.js'), ...PARAMETERS], {
  cwd: ROOT,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
});
const blocks = output.trimEnd().split('\n\n');
replaceBetween(README, blocks.slice(-2).join('\n\n'));
replaceBetween(STORY, output.trimEnd());

function replaceBetween(path: string, text: string): void {
  const marked = /(<!-- story:start -->\n)[\s\S]*?(<!-- story:end -->)/;
  const block = `\`\`\`text\n${text}\n\`\`\`\n`;
  writeFileSync(
    path,
    readFileSync(path, 'utf8').replace(marked, (_all, start: string, end: string) => `${start}${block}${end}`),
  );
}
