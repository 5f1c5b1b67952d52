import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ResultsFile } from '../bench/results.js';

const BENCH = resolve(dirname(fileURLToPath(import.meta.url)), '../bench');
const CLI = resolve(BENCH, '../src/cli/main.js');
const test = suite('bench');
const directory = mkdtempSync(join(tmpdir(), 'ml4t-bench-'));
test.after(() => rmSync(directory, { recursive: true }));

function node(script: string, ...parameters: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [script, ...parameters], { encoding: 'utf8' });
}

const base = join(directory, 'base.json');

test('every bench checks its answers and reports finite figures at smoke size', () => {
  const { status, stdout, stderr } = node(CLI, 'bench', '--smoke', '--json', base);
  assert.is(status, 0, stderr);
  const { machine, results } = JSON.parse(readFileSync(base, 'utf8')) as ResultsFile;
  assert.ok(machine.cores > 0 && machine.node === process.version);
  const benches = readdirSync(BENCH).filter((file) => file.endsWith('.bench.js'));
  for (const bench of benches) {
    const topic = bench.replace('.bench.js', '');
    const own = results.filter((result) => result.bench.startsWith(topic));
    assert.ok(own.length > 0, `${bench} reports nothing that begins with ${topic}`);
  }
  for (const { bench, workload, checksum, figures } of results) {
    assert.ok(stdout.includes(bench) && workload !== '' && checksum !== '');
    for (const [name, { value }] of Object.entries(figures)) assert.ok(Number.isFinite(value), `${bench} · ${name}`);
  }
});

test('a comparison passes what is as good, and names what is worse by more than its tolerance or gone', () => {
  const same = node(join(BENCH, 'compare.js'), base, base);
  assert.is(same.status, 0, same.stdout);
  assert.match(same.stdout, /\n0 worse\n$/);

  const file = JSON.parse(readFileSync(base, 'utf8')) as ResultsFile;
  const results = file.results.map((result) => ({
    ...result,
    figures: Object.fromEntries(
      Object.entries(result.figures).flatMap(([name, figure]) => {
        if (name === 'times faster') return [[name, { ...figure, value: figure.value / (1.1 + figure.tolerance) }]];
        if (name === 'ours') return [[name, { ...figure, value: figure.value * (0.9 + figure.tolerance) }]];
        return name === 'peak RSS' ? [] : [[name, figure]];
      }),
    ),
  }));
  const head = join(directory, 'head.json');
  writeFileSync(head, JSON.stringify({ ...file, results }));
  const worse = node(join(BENCH, 'compare.js'), base, head);
  assert.is(worse.status, 1);
  const named = worse.stdout.split('\n').filter((line) => line.startsWith('WORSE'));
  assert.ok(
    named.every((line) => line.includes('times faster') || line.includes('peak RSS')),
    named.join('\n'),
  );
  assert.ok(named.some((line) => line.includes('not measured any more')));
  assert.ok(named.some((line) => line.includes('times faster')));
});

test('figures of another workload are not compared', () => {
  const file = JSON.parse(readFileSync(base, 'utf8')) as ResultsFile;
  const other = join(directory, 'other.json');
  writeFileSync(other, JSON.stringify({ ...file, results: file.results.map((r) => ({ ...r, workload: 'other' })) }));
  const { status, stdout } = node(join(BENCH, 'compare.js'), base, other);
  assert.is(status, 1);
  assert.not.match(stdout, /^ok/m);
});

test('a comparison without two files says how it is used', () => {
  const { status, stderr } = node(join(BENCH, 'compare.js'), base);
  assert.is(status, 2);
  assert.match(stderr, 'usage');
});

test.run();
