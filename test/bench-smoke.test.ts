import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const BENCH = resolve(dirname(fileURLToPath(import.meta.url)), '../bench');

for (const name of readdirSync(BENCH).filter((file) => file.endsWith('.bench.js'))) {
  test(`${name} checks its answers and prints its figures at smoke size`, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(BENCH, name), '--smoke', '--json'], {
      encoding: 'utf8',
    });
    assert.is(status, 0, stderr);
    const figures = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.ok(figures.length > 0);
    for (const line of figures)
      assert.ok(
        Object.values(line).every((value) => value !== null && value !== ''),
        JSON.stringify(line),
      );
  });
}

test.run();
