import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WrittenFrame } from '../../src/bus/dialect.js';
import type { EnrichedMessage } from '../../src/bus/message-bus.js';
import { openDialect } from '../../src/bus/open-dialect.js';
import { OrchestratorConfig } from '../../src/config.js';
import { ROOT } from '../support/readme.js';

/** What can be known of the example without Python; test/nautilus runs it. */
const EXAMPLE = readFileSync(join(ROOT, 'examples/nautilus/ml4t_nautilus.py'), 'utf8');
const dialect = openDialect(OrchestratorConfig.parse({ redis: { dialect: 'nautilus-v1' } }));
const ANSWER: EnrichedMessage = {
  ...{ signalId: 's-1', instrumentId: 'X.SIM', signal: 1, timestamp: 1n, metaConfidence: 0.5, regimeWeight: 0.5 },
  ...{ toxicity: 0.5, size: 0, sizeReason: null, modelAvailable: true, toxicityAvailable: true },
  ...{ regimeAvailable: true, asOfNs: 0n, asOfSequence: -1, generation: 0, modelId: '', latencyNs: 9 },
  ...{ degraded: null, repeated: false },
};

test('the classes of the example have the fields that are written, in their order', () => {
  assert.equal(fieldsOf('EnrichedSignal'), writtenFields(dialect.encodeEnriched(ANSWER, 2n)));
  const refused = { code: 'INVALID_SIGNAL', field: 'side', reason: 'must be', payload: null } as const;
  const claim = { signalId: 's-1', instrumentId: 'X.SIM', timestamp: 1n, contents: '' };
  assert.equal(
    fieldsOf('RejectedSignal'),
    writtenFields(dialect.encodeRejected({ ...refused, ...claim, repeated: false }, 1n, 2n)),
  );
});

test('what the pages import from the example is there', () => {
  const pages = ['docs/nautilus.md', 'examples/nautilus/README.md'].map((name) =>
    readFileSync(join(ROOT, name), 'utf8'),
  );
  const imports = pages.flatMap((page) => [...page.matchAll(/from ml4t_nautilus import ([\w, ]+)/g)]);
  const names = imports.flatMap((match) => match[1]!.split(',').map((name) => name.trim()));
  assert.ok(names.includes('ML4T'));
  for (const name of names) assert.match(EXAMPLE, new RegExp(`^(?:class|def) ${name}\\b`, 'm'));
});

/** Of a Python class, without the times that every datum has. */
function fieldsOf(name: string): string[] {
  const body = new RegExp(`^class ${name}\\(Data\\):\n((?:(?: {4}.*)?\n)*)`, 'm').exec(EXAMPLE)![1]!;
  return [...body.matchAll(/^ {4}(\w+): /gm)].map((match) => match[1]!);
}

function writtenFields({ payload }: WrittenFrame): string[] {
  return Object.keys(JSON.parse(String(payload)) as object).filter((name) => !/^(type|ts_.*)$/.test(name));
}

test.run();
