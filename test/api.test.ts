import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { referenceApi } from './support/reference.js';

const BUILT_INDEX = resolve(dirname(fileURLToPath(import.meta.url)), '../src/index.js');
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

const VALUES = [
  'readBarsCsv',
  'averageTrueRange',
  'FEATURE_NAMES',
  'featureMatrix',
  'extractFeatures',
  'OUTCOMES',
  'tripleBarrierLabels',
  'VpinIndicator',
  'purgedWalkForward',
  'rocAuc',
  'logLoss',
  'brierScore',
  'averageUniqueness',
  'IntegratedSizer',
];
const TYPES = [
  'Bar',
  'BarSeries',
  'TripleBarrierOptions',
  'VpinOptions',
  'SignalEvent',
  'DegradedReason',
  'EnrichedSignalEvent',
];

/** Published members that are still to be built, by type; each is taken out of the comparison and must truly be missing. */
const TO_BE_BUILT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  EnrichedSignalEvent: { target: 'number', toMetaOutput: '() => { size: number }' },
};

function compile(source: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'ml4t-api-'));
  const file = join(directory, 'check.mts');
  try {
    writeFileSync(file, source);
    execFileSync(
      process.execPath,
      [
        TSC,
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        '--module',
        'nodenext',
        '--target',
        'es2022',
        '--lib',
        'es2023',
        '--types',
        '',
        file,
      ],
      {
        cwd: directory,
        encoding: 'utf8',
      },
    );
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('the built declarations satisfy the published shapes, name by name', () => {
  const api = referenceApi();
  if (api === null) return;
  const imports = `import type * as Api from '${api}';\nimport type * as Ours from '${BUILT_INDEX}';\n`;
  const values = VALUES.map((name) => `export const ${name}: typeof Api.${name} = {} as typeof Ours.${name};`);
  const types = TYPES.map((name) => {
    const missing = Object.keys(TO_BE_BUILT[name] ?? {}).map((member) => `'${member}'`);
    const published = missing.length === 0 ? `Api.${name}` : `Omit<Api.${name}, ${missing.join(' | ')}>`;
    return `export const type${name}: ${published} = {} as Ours.${name};`;
  });
  assert.is(compile([imports, ...values, ...types].join('\n')), '');
  assert.match(
    compile(`${imports}export const wrong: Api.Bar = {} as Ours.SignalEvent;`),
    /TS2\d+/,
    'the check itself can fail',
  );
});

test('what is said to be still missing from the published shapes is missing', () => {
  const api = referenceApi();
  if (api === null) return;
  for (const [name, members] of Object.entries(TO_BE_BUILT)) {
    for (const [member, type] of Object.entries(members)) {
      const source = `import type * as Ours from '${BUILT_INDEX}';\nexport const member: { ${member}: ${type} } = {} as Ours.${name};`;
      assert.match(compile(source), /TS2\d+/, `${name}.${member} was built: take it from the list`);
    }
  }
});

test.run();
