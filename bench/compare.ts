import { parseArgs } from 'node:util';
import type { Figure } from './measure.js';
import { readResults, renderFigure } from './results.js';

/**
 * `npm run bench:compare -- BASE HEAD`: two files of `npm run bench -- --json FILE`, made on one machine. Prints every figure that has a direction and
 * exits 1 if one is worse in HEAD by more than its tolerance, or gone.
 */
const { positionals } = parseArgs({ allowPositionals: true });
const [basePath, headPath] = positionals;
if (basePath === undefined || headPath === undefined) {
  console.error('usage: bench:compare BASE HEAD (files of `npm run bench -- --json FILE`)');
  process.exit(2);
}
const base = readResults(basePath);
const head = readResults(headPath);
let worse = 0;
for (const before of base.results) {
  const after = head.results.find(({ bench }) => bench === before.bench);
  for (const [name, figure] of Object.entries(before.figures)) {
    if (figure.better === null) continue;
    const isSame = after?.workload === before.workload;
    const verdict = judge(figure, isSame ? after.figures[name] : undefined);
    if (verdict.isWorse) worse++;
    console.log(`${verdict.isWorse ? 'WORSE ' : 'ok    '} ${before.bench} · ${name}: ${verdict.text}`);
  }
}
console.log(`${worse} worse`);
process.exitCode = worse > 0 ? 1 : 0;

function judge(before: Figure, after: Figure | undefined): { isWorse: boolean; text: string } {
  if (after === undefined) return { isWorse: true, text: 'not measured any more, or of another workload' };
  const ratio = after.value / before.value;
  const isWorse = before.better === 'lower' ? ratio > 1 + before.tolerance : ratio < 1 / (1 + before.tolerance);
  const text = `${renderFigure(before)} -> ${renderFigure(after)} (x ${ratio.toFixed(2)}, ${before.better} is better, tolerance ${before.tolerance})`;
  return { isWorse, text };
}
