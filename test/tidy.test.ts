import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** The mechanical rules, so that reviews can be about ideas. */
const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');

/** A file may import from its own entry and from those before it. An entry is a folder of src or a file in it. */
const LAYERS = [
  ['invariant', 'errors', 'clock', 'log', 'random', 'stopwatch', 'recent-ids'],
  ['market'],
  ['features'],
  ['regime'],
  ['labeling'],
  ['orderflow'],
  ['primary'],
  ['simulation'],
  ['validation'],
  ['drift'],
  ['sizing'],
  ['model'],
  ['shared-memory'],
  ['redis-config', 'config'],
  ['outcomes'],
  ['retrain'],
  ['training'],
  ['inference'],
  ['state'],
  ['loop'],
  ['bus'],
  ['orchestrator-events', 'answer-sink', 'entrance', 'orchestrator'],
  ['index'],
  ['cli'],
];
const FUNCTION_LINES_MAX = 75;
const FILE_LINES_MAX = 350;

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function importsOf(path: string): string[] {
  return [...read(path).matchAll(/(?:from|import) '([^']+)'/g)].map((match) => match[1]!);
}

function layerOf(path: string): number {
  const entry = relative('src', path).split('/')[0]!.replace(/\.ts$/, '');
  return LAYERS.findIndex((names) => names.includes(entry));
}

test('imports in src point one way, and never at workers, tests or benches', () => {
  for (const path of sources('src').filter((name) => !name.endsWith('.d.ts'))) {
    assert.ok(layerOf(path) >= 0, `${path} has no layer`);
    for (const specifier of importsOf(path).filter((name) => name.startsWith('.'))) {
      const target = join(dirname(path), specifier).replace(/\.js$/, '.ts');
      assert.ok(target.startsWith('src/'), `${path} imports ${specifier}`);
      assert.ok(layerOf(target) <= layerOf(path), `${path} imports upwards: ${specifier}`);
    }
  }
});

test('one file each loads ml-xgboost, piscina and ioredis, reads the clock and knows where references lie', () => {
  const users = (pattern: RegExp, folders: string[]): string[] =>
    folders.flatMap(sources).filter((path) => pattern.test(read(path)) && !path.endsWith('.d.ts'));
  assert.equal(users(/\('ml-xgboost|from 'ml-xgboost/, ['src', 'workers']), ['src/model/xgboost.ts']);
  assert.equal(users(/from 'piscina'/, ['src', 'workers']), ['src/inference/inference-threads.ts']);
  assert.equal(users(/from 'ioredis'/, ['src', 'workers']), ['src/bus/redis/redis-client.ts']);
  assert.equal(users(/Date\.now|performance\.now|process\.hrtime/, ['src', 'workers']), ['src/clock.ts']);
  assert.equal(
    users(/golden\/|\.\.\/shared\b(?!-)/, ['src', 'workers', 'test', 'bench']).filter(
      (path) => path !== 'test/tidy.test.ts',
    ),
    ['test/support/reference.ts'],
  );
});

test('every test file ends by running its tests', () => {
  for (const path of sources('test').filter((name) => name.endsWith('.test.ts'))) {
    assert.match(read(path).trimEnd(), /\.run\(\);$/, path);
  }
});

test('no source escapes the type checker', () => {
  for (const path of [...sources('src'), ...sources('workers')]) {
    assert.not.match(read(path), /: any\b|as any\b|<any>|@ts-|biome-ignore/, path);
  }
});

test('files and functions stay small enough to hold one idea', () => {
  for (const path of [...sources('src'), ...sources('workers')]) {
    const lines = read(path).split('\n');
    assert.ok(lines.length <= FILE_LINES_MAX, `${path} has ${lines.length} lines`);
    let start = -1;
    for (const [index, line] of lines.entries()) {
      if (
        /^( {2})?(export )?(async )?(static )?(private )?(async )?(function\*? )?[\w*]+(<[^>]*>)?\(.*\{$|^(export )?(async )?function.*\($/.test(
          line,
        )
      )
        start = index;
      if (/^( {2})?\}$/.test(line) && start >= 0) {
        assert.ok(index - start < FUNCTION_LINES_MAX, `${path}:${start + 1} is ${index - start} lines long`);
        start = -1;
      }
    }
  }
});

test('workers are thin', () => {
  for (const path of sources('workers')) assert.ok(read(path).split('\n').length <= 40, path);
});

test.run();
