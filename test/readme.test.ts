import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusReply } from '../src/bus/message-bus.js';
import { openDialect } from '../src/bus/open-dialect.js';
import { OrchestratorConfig } from '../src/config.js';
import { README, ROOT, realOutput, shownOutput, withoutTimes } from './support/readme.js';

const readme = readFileSync(README, 'utf8');

test('the README shows what the first command really prints', () => {
  assert.is(withoutTimes(shownOutput()), withoutTimes(realOutput()));
});

test('the library example runs as it stands and prints a verdict and an answer', () => {
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  assert.ok(example.trim().split('\n').length <= 15);
  const file = join(ROOT, 'dist/readme-example.mjs');
  writeFileSync(file, example);
  try {
    const output = execFileSync(process.execPath, [file], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    assert.match(output, /signals out of sample/);
    assert.match(
      output,
      /^0\.\d+ -?0\.?\d* \{\s*confidence: 0\.\d+,\s*regimeWeight: [01]\.?\d*,\s*toxicity: 0\.\d+\s*\}$/m,
    );
  } finally {
    rmSync(file);
  }
});

test('the configuration table holds every field with its default, and no other', () => {
  const rows = new Map(
    [...readme.matchAll(/^\| `([\w.]+)`\s+\| (.*?)\s+\| .* \|$/gm)].map((match) => [match[1]!, match[2]!]),
  );
  const defaults = new Map<string, unknown>();
  for (const [name, value] of Object.entries(OrchestratorConfig.parse())) {
    const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
    for (const [field, inner] of nested ? Object.entries(value) : [['', value]])
      defaults.set(field ? `${name}.${field}` : name, inner);
  }
  assert.equal([...rows.keys()].sort(), [...defaults.keys()].sort());
  for (const [field, value] of defaults) {
    const shown =
      field === 'featureNames' ? 'all 14' : typeof value === 'object' ? JSON.stringify(value) : String(value);
    assert.is(rows.get(field), shown, field);
  }
});

test('the messages the README shows are read as what they are said to be', () => {
  const dialect = openDialect({ ...OrchestratorConfig.parse(), userFeatures: [] });
  const lines = [...readme.matchAll(/```jsonl\n([\s\S]*?)```/g)].flatMap(([, text]) => text!.trim().split('\n'));
  const kinds = lines.map((line) => {
    const payload = Buffer.from(line);
    if (/enriched|rejected/.test(line)) return replyOf(dialect.decodeReply({ payload }));
    const decoded = dialect.decode({ payload });
    return decoded.kind === 'input' ? decoded.input.kind : decoded.kind;
  });
  assert.equal(kinds, ['bar', 'signal', 'X-1', 'INVALID_SIGNAL']);
});

function replyOf(reply: BusReply): string {
  return reply.kind === 'enriched' ? reply.answer.signalId : reply.rejection.code;
}

test('every command the README names is a script of the package', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const [, name] of readme.matchAll(/npm run ([\w:-]+)/g)) assert.ok(name! in scripts, name);
});

test.run();
