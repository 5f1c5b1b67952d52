import { readFileSync, writeFileSync } from 'node:fs';
import { README } from './readme.js';
import { playSession } from './session.js';

/** Renews the session of three terminals that the README shows. */
const marked = /(<!-- session:start -->\n)[\s\S]*?(<!-- session:end -->)/;
const session = await playSession();
const text = readFileSync(README, 'utf8');
if (!marked.test(text)) throw new Error('the README has no place for the session');
const block = `\`\`\`text\n${session}\n\`\`\`\n`;
writeFileSync(
  README,
  text.replace(marked, (_all, start: string, end: string) => `${start}${block}${end}`),
);
